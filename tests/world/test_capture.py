"""A session of a world is captured, and played back in another world."""

import h5py
import numpy as np
import pytest

from hal.recording import read_capture
from sim import World
from sim.faults import Crash, DiskFull

RIG = """
[camera]
driver = "sim.devices.truth:TruthCamera"
options = { framerate_hz = 100 }
[beads]
roi_px = 16
rois = [[0, 16, 0, 16]]
tracker = "sim.truth_tracker:read_truth"
[motors.focus]
driver = "sim.focus"
[settings]
"video processors n" = 1
"video buffer n images" = 10
"""
SCRIPT = """
from magscope.scripting import Script

script = Script()
script("sleep", 0.3)
script("move_motor", "focus", {target}, wait=True)
"""


def run(rig, record, *, script, capture=None, faults=None, for_s=1.5):
    """Run a session; return its outcome and its tracks."""
    record.mkdir()

    def prepare(scope):
        scope.capture_dir = capture

    outcome = World(
        rig, seed=2, for_s=for_s, script=script, record=record, prepare=prepare, faults=faults
    ).finish()
    tracks = {}
    for path in record.glob("Tracking Data *.h5"):
        with h5py.File(path) as file:
            group = file["tracking"]
            tracks = dict(
                zip(group["frame_numbers"][:].tolist(), group["positions_nm"][:], strict=True)
            )
    return outcome, tracks


def script(directory, target=2000.0):
    path = directory / f"to_{target:g}.py"
    path.write_text(SCRIPT.format(target=target))
    return path


@pytest.fixture
def rig(tmp_path):
    path = tmp_path / "truth.toml"
    path.write_text(RIG)
    return path


def test_a_session_of_a_world_is_played_back_in_another_the_same_each_time(rig, tmp_path):
    capture = tmp_path / "cap"
    first, tracks = run(rig, tmp_path / "first", script=script(tmp_path), capture=capture)
    assert first.violations == ()
    again = [
        run(capture / "rig.toml", tmp_path / name, script=capture / "script.py")
        for name in ("second", "third")
    ]
    assert again[0][0].trace_hash == again[1][0].trace_hash
    for outcome, played in again:
        assert outcome.violations == ()
        assert outcome.report.warnings == ()
        assert len(tracks) >= 120
        assert played.keys() >= tracks.keys()
        for number, position in tracks.items():
            np.testing.assert_array_equal(played[number], position)


def test_as_fast_as_it_can_be_the_camera_waits_for_the_workers_and_nothing_is_purged(rig, tmp_path):
    capture = tmp_path / "cap"
    _, tracks = run(rig, tmp_path / "first", script=script(tmp_path), capture=capture)
    again = capture / "rig.toml"
    text = again.read_text().replace("read_truth", "read_truth_slowly")
    again.write_text(text.replace('camera.capture"', 'camera.capture", pace = "fast"'))
    waking = script(tmp_path)  # each message wakes the camera manager, which then may make room
    steps = (
        'for _ in range(40):\n    script("sleep", 0.01)\n    script("set_acquisition_on", True)\n'
    )
    waking.write_text(waking.read_text() + steps)
    outcome, played = run(again, tmp_path / "again", script=waking, for_s=4.0)
    assert outcome.violations == ()
    assert outcome.account.purged == 0
    assert played.keys() >= tracks.keys()


def test_a_captured_world_is_the_same_each_time(rig, tmp_path):
    outcomes = [
        run(rig, tmp_path / f"out{n}", script=script(tmp_path), capture=tmp_path / f"cap{n}")[0]
        for n in (1, 2)
    ]
    assert outcomes[0].trace_hash == outcomes[1].trace_hash
    one, other = (read_capture(tmp_path / f"cap{n}" / "focus.capture") for n in (1, 2))
    assert one.calls == other.calls


def test_a_divergence_is_told_in_the_worlds_report_once(rig, tmp_path):
    capture = tmp_path / "cap"
    run(rig, tmp_path / "first", script=script(tmp_path), capture=capture)
    outcome, _ = run(capture / "rig.toml", tmp_path / "out", script=script(tmp_path, 2500.0))
    (text,) = outcome.report.warnings
    assert "captured is begin_move(2000.0)" in text
    assert "asked is begin_move(2500.0)" in text
    assert outcome.violations == ()


@pytest.mark.parametrize("hit", [2, 40, 41, 120, 121])
def test_f1_a_capture_whose_writer_was_killed_at_a_write_can_be_played(rig, tmp_path, hit):
    capture = tmp_path / "cap"
    crash = Crash("CameraManager", site="file.write", hit=hit)
    outcome, _ = run(
        rig, tmp_path / "out", script=script(tmp_path), capture=capture, faults=[crash]
    )
    assert outcome.struck == (crash,)
    read = read_capture(capture / "camera.capture")
    assert not read.is_cut
    frames = sum(call.frame is not None for call in read.calls)
    if hit == 2:
        assert frames == 0
        return
    assert frames > 0
    played, _ = run(capture / "rig.toml", tmp_path / "again", script=capture / "script.py")
    assert played.account.delivered == frames


def test_f2_a_full_disk_ends_the_capture_with_an_error_and_never_the_session(rig, tmp_path):
    capture = tmp_path / "cap"
    full = DiskFull("CameraManager", site="file.write", hit=60)
    outcome, tracks = run(
        rig, tmp_path / "out", script=script(tmp_path), capture=capture, faults=[full]
    )
    assert outcome.violations == ()
    assert outcome.account.delivered > 140
    assert len(tracks) >= 120
    (text,) = outcome.report.errors
    assert "capture of camera ended, the device goes on" in text
    assert "No space left on device" in text
    captured = read_capture(capture / "camera.capture").calls
    assert 0 < sum(call.frame is not None for call in captured) < 30
