import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from magscope.cli import main

ROOT = Path(__file__).parents[2]
PLACES = [ROOT / "examples", ROOT / "tests" / "hal" / "broken"]


@pytest.fixture(autouse=True)
def _beside_the_devices(monkeypatch):
    for place in PLACES:
        monkeypatch.syspath_prepend(str(place))


def test_a_driver_that_does_all_it_should_is_reported_check_by_check_with_code_0(capsys):
    assert main(["check", "custom_camera:MyCamera", "--option", "framerate_hz=200"]) == 0
    out = capsys.readouterr().out
    assert "custom_camera:MyCamera: a camera, on the manual clock" in out
    assert "✓  frames-come-in-order" in out
    assert "·  takes-what-it-reads" in out
    assert "it has no settings" in out
    assert "0 failed" in out


def test_a_driver_that_does_not_is_told_what_was_expected_what_came_and_after_which_calls(capsys):
    assert main(["check", "broken_cameras:BeginsAtOne"]) == 1
    out = capsys.readouterr().out
    assert "✗  frames-come-in-order" in out
    assert "expected  the first frame to have number 0\n     got       1\n" in out
    assert "calls     camera.open()\n               camera.start()\n" in out


def test_the_report_as_json_has_every_check(capsys):
    assert main(["check", "broken_motors:ClipsTargets", "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["clock"], facts["ok"]) == ("motor", "manual", False)
    (failed,) = [c for c in facts["checks"] if c["name"] == "refuses-targets-outside"]
    assert failed["state"] == "failed"
    assert "move_to" in failed["expected"]
    assert failed["calls"][0] == "motor.open()"
    assert facts["failed"] == sum(c["state"] == "failed" for c in facts["checks"]) >= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody.camera"], "no driver 'nobody.camera'"),
        (["hal:Setting"], "is no device"),
        (["sim.focus", "--option", "speed"], "expected NAME=VALUE"),
        (["sim.focus", "--option", "sped=1"], "has no option 'sped'"),
        (["replay", "--option", "path=nowhere.tiff"], "no such file"),
        (["sim.focus", "--seconds", "-1"], "--seconds"),
    ],
)
def test_bad_input_is_one_line_and_code_2(capsys, words, said):
    assert main(["check", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_without_hypothesis_it_is_one_line_with_the_command_and_code_2(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    assert main(["check", "sim.focus"]) == 2
    error = capsys.readouterr().err
    assert "pip install hypothesis" in error
    assert len(error.splitlines()) == 1


def test_a_setting_can_be_left_alone(capsys):
    assert main(["check", "broken_cameras:IgnoresGain"]) == 1
    assert main(["check", "broken_cameras:IgnoresGain", "--leave", "gain_db"]) == 0


def test_nothing_is_left_in_the_present_directory(tmp_path):
    code = "import sys; from magscope.cli import main; sys.exit(main(['check', 'sim.focus']))"
    search = {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=search, check=True)
    assert not list(tmp_path.iterdir())


def test_a_driver_in_the_present_directory_is_found(capsys, monkeypatch, tmp_path):
    source = (ROOT / "examples" / "custom_motor.py").read_text()
    (tmp_path / "motor_of_today.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["check", "motor_of_today:MyMotor"]) == 0
