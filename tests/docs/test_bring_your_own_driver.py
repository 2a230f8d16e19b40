"""The guide's camera and motor are what the guide says that they are."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

from hal.testing import Subject, run_checks
from hal.testing.catalogue import CHECKS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "bring-your-own-driver.md").read_text()
FILES = dict(re.findall(r"<!-- file: (.*?) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
# The corrected motor is put through all of them.
WITH_MOVEMENTS = {
    "moves-in-its-unit", "arrives-at-its-target", "moves-when-it-says-so", "stops",
    "takes-a-new-target-under-way", "stands-when-closed", "stays-when-opened-again",
    "does-so-in-any-order",
}  # fmt: skip
MODULES = ("toycam", "toystage", "my_camera", "my_stage")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        if "," not in name:
            (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


def corrected():
    last = FILES["my_stage.py"].rindex("    @property")
    return FILES["my_stage.py"][:last] + indent(FILES["my_stage.py, in place of its end"], "    ")


def failed(driver, checks=None):
    report = run_checks(Subject.of(driver), checks)
    return [outcome for outcome in report.outcomes if outcome.state == "failed"]


def test_the_guides_camera_passes(folder):
    assert not failed("my_camera:MyCamera")


def test_the_guides_first_motor_fails_as_the_guide_shows(folder):
    quick = [check for check in CHECKS["motor"] if check.name not in WITH_MOVEMENTS]
    (outcome,) = failed("my_stage:MyStage", quick)
    assert f"✗  {outcome.name:34}  {outcome.says}\n" in PAGE
    assert f"     expected  {outcome.expected}\n" in PAGE
    assert f"     got       {outcome.got}\n" in PAGE


def test_the_guides_corrected_motor_passes(folder):
    (folder / "my_stage.py").write_text(corrected())
    assert not failed("my_stage:MyStage")


def test_the_guides_tests_find_every_check(folder):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "test_my_devices.py"]
    listed = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "TestMyCamera::test_frames_come_in_order" in listed
    assert "TestMyStage::test_stops" in listed
