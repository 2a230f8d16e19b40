"""Drivers, programs and scripts that labs have written for MagScope work as they are."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from systemtools import only, read_video, scripted

HERE = Path(__file__).parent
RIG = """
[settings]
"video buffer n images" = 10
"video processors n" = 1
[camera]
driver = "legacy_rig:MyCamera"
settings = { framerate = "100" }
[motors.focus]
driver = "legacy_rig:MyFocus"
[beads]
roi_px = 16
rois = [[0, 16, 0, 16]]
[acquisition]
mode = "full-video"
"""


def telemetry(path):
    with path.open() as file:
        return [
            {key: float(value) for key, value in row.items()} for row in csv.DictReader(file)
        ]  # fmt: skip


def check_frames(directory):
    """See that each saved frame is one that the camera wrote, row by row."""
    videos = sorted(directory.glob("Video *.tiff"))
    assert videos
    for path in videos:
        axes, frames, times_s = read_video(path)
        assert axes == "TYX"
        assert frames.shape == (10, 32, 48)
        assert (np.diff(times_s) > 0).all(), "B3"
        first = int(frames[0, 0, 0])
        wanted = first + np.arange(10)[:, None, None] + np.arange(32)[None, :, None]
        np.testing.assert_array_equal(frames, np.broadcast_to(wanted % 256, frames.shape))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_program_with_its_own_camera_and_hardware_runs(magscope_run, tmp_path, method):
    out = tmp_path / "out"
    out.mkdir()
    script = scripted(
        tmp_path / "steps.py",
        "'set_acquisition_mode', 'full-video', wait=True",
        "'set_acquisition_on', True",
        "'sleep', 0.2",
    )
    words = (HERE / "legacy_program.py", method, out, script)
    ended = magscope_run(*words, program=(sys.executable,)).end()
    report = ended.report
    assert ended.code == 0, (report["errors"], ended.errors)
    assert report["frames"]["delivered"] >= 40
    assert report["frames"]["processed"] >= 20
    check_frames(out)
    readings = telemetry(only(out, "Motor MyThermometer *.csv"))
    values = [row["column_1"] for row in readings]
    assert values == [21.0 + i for i in range(len(values))]
    assert len(values) > 20
    focus = telemetry(only(out, "Motor MyFocus *.csv"))
    assert {row["position_nm"] for row in focus} == {1000.0}
    assert {p["name"]: p["outcome"] for p in report["processes"]}["MyThermometer"] == "clean"


def test_a_rig_file_names_a_lab_s_own_camera_and_focus(live, tmp_path):
    out = tmp_path / "out"
    out.mkdir()

    def story(system):
        yield "video", lambda now: len(list(out.glob("Video *.tiff"))) >= 2
        system.send("focus", "move_absolute", 2500.0)
        yield "the focus there", lambda now: [m for m in now.motors if m.position == 2500.0]
        system.send("CameraManager", "set_camera_setting", "framerate", 400)
        yield "a faster camera", lambda now: now.fps > 150

    report = live(RIG, story, record=out)
    assert report.is_clean
    check_frames(out)


def test_a_lab_s_focus_motor_is_the_one_that_locks_and_sweeps_move(live, tmp_path):
    from legacy_rig import MyFocus
    from systemtools import as_toml, built, small_rig, small_rois, stuck_bead

    scope = built(small_rig(rois=as_toml(small_rois())), tmp_path)
    scope.add_hardware(MyFocus())

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        system.send("BeadLockManager", "set_z_lock_bead", stuck_bead())
        system.send("BeadLockManager", "set_z_lock_target", -200.0)
        system.send("BeadLockManager", "do_z_lock")
        yield (
            "the motor that the lab added moves",
            lambda now: [m for m in now.motors if m.name == "MyFocus" and m.position > 1100.0],
        )

    assert live(scope, story).is_clean
