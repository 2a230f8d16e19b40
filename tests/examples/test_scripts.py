"""Each script of the examples is checked whole, and run with its times cut short."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from magscope.runtime import machine
from magscope.scope import MagScope
from magscope.scripting import ScriptManager, load_script
from sim.physics import magnetic_force_pn

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(
    path for path in EXAMPLES.glob("*.py") if "\nscript = Script()\n" in path.read_text()
)
DRIVE = Path(__file__).with_name("drive.py")


@pytest.fixture
def managers():
    scope = MagScope()
    yield scope.managers
    machine().singletons().clear()


def shortened(name: str, directory: Path, **constants: object) -> Path:
    """Write a script with other constants at its top."""
    text = (EXAMPLES / name).read_text()
    for constant, value in constants.items():
        text, count = re.subn(
            rf"^{constant} = .*$", f"{constant} = {value!r}", text, flags=re.MULTILINE
        )
        assert count == 1, constant
    path = directory / name
    path.write_text(text)
    return path


def run(script: Path, directory: Path) -> dict:
    """Run a script on the default rig until it has finished, and return the report."""
    done = subprocess.run(
        [sys.executable, DRIVE, "-", script, directory], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def telemetry(directory: Path, motor: str) -> np.ndarray:
    """Return the positions that a motor wrote down."""
    (path,) = directory.glob(f"Motor {motor} *.csv")
    rows = list(csv.reader(path.read_text().splitlines()))
    return np.array([float(row[1]) for row in rows[1:]])


def truth(directory: Path) -> h5py.Group:
    (path,) = directory.glob("Truth *.h5")
    return h5py.File(path)["truth"]


def test_there_are_a_force_ramp_and_a_hat_curve():
    assert {path.name for path in SCRIPTS} >= {"force_ramp.py", "hat_curve.py"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_of_the_examples_can_be_carried_out_by_the_default_rig(path, managers):
    (script_manager,) = (m for m in managers if isinstance(m, ScriptManager))
    script_manager.prepare(path, managers)
    assert len(load_script(path)) > 10


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_of_the_examples_has_fewer_than_40_lines(path):
    assert len(path.read_text().splitlines()) < 40


def test_the_force_ramp_takes_the_beads_from_the_weak_to_the_strong_force_and_back(tmp_path):
    script = shortened("force_ramp.py", tmp_path, STEPS=3, DWELL_S=0.01, RAMP_S=0.8)
    weak_nm, strong_nm = 10e6, 1e6
    script.write_text(script.read_text().replace("SPEED_NM_PER_S = 5e6", "SPEED_NM_PER_S = 2e7"))
    report = run(script, tmp_path / "out")
    heights_nm = telemetry(tmp_path / "out", "magnet_height")
    assert heights_nm.max() == weak_nm
    assert heights_nm.min() == strong_nm
    assert heights_nm[-1] == weak_nm
    assert report["frames"]["delivered"] > 100
    group = truth(tmp_path / "out")
    forces_pn = group["force_pn"][:]
    z_nm = group["z_nm"][:]
    weakest, strongest = magnetic_force_pn(weak_nm), magnetic_force_pn(strong_nm)
    assert forces_pn.min() == pytest.approx(weakest, rel=0.4)  # beads differ
    assert forces_pn.max() == pytest.approx(strongest, rel=0.4)
    is_tethered = np.isin(group["bead_id"][:], np.unique(group["bead_id"][:][z_nm > 1000]))
    at_rest = is_tethered & (forces_pn > 0.9 * strongest)
    assert z_nm[at_rest].mean() > z_nm[is_tethered & (forces_pn < 2 * weakest)].mean() + 300


def test_the_hat_curve_turns_to_both_sides_at_every_force(tmp_path):
    script = shortened("hat_curve.py", tmp_path, TURNS=15.0, TURNS_PER_S=20.0, SETTLE_S=0.01)
    run(script, tmp_path / "out")
    turns = telemetry(tmp_path / "out", "magnet_rotation")
    assert (turns.min(), turns.max(), turns[-1]) == (-15.0, 15.0, 0.0)
    assert telemetry(tmp_path / "out", "magnet_height").max() == 8e6
