"""Each rig file and each program of the examples runs."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from sim.physics import magnetic_force_pn

EXAMPLES = Path(__file__).parents[2] / "examples"
DRIVE = Path(__file__).with_name("drive.py")
WEAK_NM = 1e7
OWN_DEVICES = """
[camera]
driver = "custom_camera:MyCamera"
[motors.slide]
driver = "custom_motor:MyMotor"
[beads]
rois = [[0, 64, 0, 64]]
"""


def run(rig: Path, script: Path | str = "-", record: Path | str = "-") -> dict:
    """Run a rig file until a stack was processed, or the script has finished; check its account."""
    done = subprocess.run(
        [sys.executable, DRIVE, rig, script, record], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    terms = ("processed", "purged", "discarded", "lost", "in_buffer")
    frames = report["frames"]
    assert frames["delivered"] == sum(frames[term] for term in terms)
    return report


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_a_rig_file_of_the_examples_is_short_and_gives_frames(path):
    assert len(path.read_text().splitlines()) < 45
    report = run(path)
    assert report["frames"]["delivered"] > 20
    assert report["errors"] == []


def test_the_custom_camera_and_motor_run_from_a_rig_file_beside_them(tmp_path):
    for name in ("custom_camera.py", "custom_motor.py"):
        (tmp_path / name).write_text((EXAMPLES / name).read_text())
    rig = tmp_path / "rig.toml"
    rig.write_text(OWN_DEVICES)
    script = tmp_path / "move.py"
    script.write_text(
        "from magscope.scripting import Script\n"
        "script = Script()\n"
        "script('move_motor', 'slide', 1e5, wait=True)\n"
    )
    report = run(rig, script, tmp_path / "out")
    assert report["frames"]["delivered"] > 20
    (table,) = (tmp_path / "out").glob("Motor slide *.csv")
    assert float(table.read_text().splitlines()[-1].split(",")[1]) == 1e5


def test_real_drivers_move_the_simulated_bench_and_its_beads_respond(tmp_path):
    script = tmp_path / "move.py"
    script.write_text(
        "from magscope.scripting import Script\n"
        "script = Script()\n"
        f"script('move_motor', 'magnet_height', {WEAK_NM}, wait=True)\n"
        "script('move_motor', 'magnet_rotation', 2.0, wait=True)\n"
        "script('move_motor', 'focus', 500.0, wait=True)\n"
        "script('sleep', 0.5)\n"
    )
    report = run(EXAMPLES / "zaber_on_bench.toml", script, tmp_path / "out")
    assert report["errors"] == []
    (path,) = (tmp_path / "out").glob("Truth *.h5")
    with h5py.File(path) as file:
        truth = {name: values[:] for name, values in file["truth"].items()}
    is_pulled = truth["z_nm"] > 1000.0
    assert truth["force_pn"][is_pulled][0] == pytest.approx(magnetic_force_pn(1e6), rel=0.4)
    assert truth["force_pn"][-5:].max() == pytest.approx(magnetic_force_pn(WEAK_NM), rel=0.4)
    bead = truth["bead_id"] == truth["bead_id"][is_pulled][0]
    assert truth["z_nm"][bead][-20:].mean() < truth["z_nm"][bead][0] - 500.0 - 300.0
    assert truth["focus_nm"][-1] == 500.0
    (table,) = (tmp_path / "out").glob("Motor magnet_rotation *.csv")
    assert float(table.read_text().splitlines()[-1].split(",")[1]) == pytest.approx(2.0, abs=1e-4)


def test_drivers_that_were_written_for_magscope_run_unchanged():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "existing_drivers.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "FrameAccount(delivered=" in done.stdout
    assert "delivered=0" not in done.stdout
