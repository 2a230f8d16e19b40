"""A captured session, played back through the unchanged system."""

import contextlib
import json
import shutil
import signal

import numpy as np
import psutil
import pytest
from systemtools import (
    as_toml,
    built,
    is_gone,
    only,
    read_hdf5,
    read_video,
    scripted,
    small_rig,
    small_rois,
    wait_until,
)

from hal.recording import read_capture
from magscope.rig import load_rig
from magscope.scope import MagScope

STEPS = (
    "'move_motor', 'focus', 400.0, wait=True",
    "'move_motor', 'magnet_height', 1100000.0, speed=2e6, wait=True",
    "'set_camera_setting', 'exposure_us', 500",
    "'note', 'done'",
)


def tracks_by_frame(directory):
    """Return bead ids and positions of each frame, by its number."""
    _, data = read_hdf5(only(directory, "Tracking Data *.h5"))
    ends = data["frame_offsets"].astype(int)
    return {
        int(number): (data["bead_ids"][a:b], data["positions_nm"][a:b])
        for number, a, b in zip(data["frame_numbers"], ends[:-1], ends[1:], strict=True)
    }


def frames_by_number(directory):
    """Return the pixels of each frame in the videos, by its number."""
    _, data = read_hdf5(only(directory, "Tracking Data *.h5"))
    times_s, numbers = data["frame_timestamps_ns"] / 1e9, data["frame_numbers"].astype(int)
    frames = {}
    for path in sorted(directory.glob("Video *.tiff")):
        _, pixels, labels_s = read_video(path)
        nearest = np.abs(times_s[None, :] - labels_s[:, None]).argmin(axis=1)
        assert np.abs(times_s[nearest] - labels_s).max() < 1e-6
        frames |= zip(numbers[nearest].tolist(), pixels, strict=True)
    return frames


def about_captures(report):
    """Return the warnings that tell of captures; a busy machine may purge frames."""
    return [text for text in report.warnings if "captur" in text]


def new(directory):
    directory.mkdir()
    return directory


@pytest.fixture
def captured(live, tmp_path):
    """A captured session with a script, its report, and the directories of both."""
    scope = built(small_rig(rois=as_toml(small_rois()), mode="track-and-full-video"), tmp_path)
    scope.capture_dir = tmp_path / "cap"

    def story(system):
        yield "the script", lambda now: system.logged("note: done")
        frames = system.now.frames.delivered
        yield "some more frames", lambda now: now.frames.processed >= frames + 40

    script = scripted(tmp_path / "moves.py", *STEPS)
    out = new(tmp_path / "out")
    report = live(scope, story, record=out, script=script)
    assert report.is_clean
    assert not about_captures(report)
    return scope.capture_dir, out, report


def replayed(live, directory, tmp_path, *, script=None, change=lambda text: text):
    """Play a capture until all of its frames are processed; return the report."""
    rig = directory / "rig.toml"
    rig.write_text(change(rig.read_text()))
    frames = [call for call in read_capture(directory).calls if call.frame]

    def story(system):
        yield "all frames", lambda now: now.frames.delivered == len(frames)
        yield "all stacks", lambda now: now.frames.in_buffer < 20 and now.busy_count == 0
        yield "the script", lambda now: system.logged("note: done")

    scope = MagScope(rig=load_rig(rig))
    return live(
        scope, story, record=new(tmp_path / "again"), script=script or directory / "script.py",
        deadline_s=30.0,
    )  # fmt: skip


def assert_same(out, again):
    """See that all that was tracked and filmed is there again, bit for bit."""
    tracks, tracks_again = tracks_by_frame(out), tracks_by_frame(again)
    assert len(tracks) >= 60
    for number, (ids, positions) in tracks.items():
        np.testing.assert_array_equal(tracks_again[number][0], ids)
        np.testing.assert_array_equal(tracks_again[number][1], positions)
    frames, frames_again = frames_by_number(out), frames_by_number(again)
    assert len(frames) == len(tracks)
    for number, pixels in frames.items():
        np.testing.assert_array_equal(frames_again[number], pixels)


def test_a_captured_session_gives_the_same_frames_and_tracks_again(captured, live, tmp_path):
    directory, out, _ = captured
    carried = tmp_path / "elsewhere" / "cap"
    shutil.copytree(directory, carried)
    shutil.rmtree(directory)
    assert load_rig(carried / "rig.toml").beads.zlut == carried / "zlut.txt"
    report = replayed(live, carried, tmp_path)
    assert report.is_clean
    assert not about_captures(report)
    assert report.frames.purged == 0
    assert_same(out, tmp_path / "again")
    manifest = json.loads((tmp_path / "again" / "manifest.json").read_text())
    assert {d["identity"]["driver"] for d in manifest["devices"]} == {
        "replay", "replay.motor", "replay.rotary", "replay.focus",
    }  # fmt: skip
    assert not any(d["identity"]["is_real"] for d in manifest["devices"])


def fast(text):
    """Let every device of a rig file play as fast as it can."""
    return text.replace('.capture" }', '.capture", pace = "fast" }')


def test_as_fast_as_it_can_be_no_frame_is_purged_and_all_are_the_same(captured, live, tmp_path):
    directory, out, _ = captured
    report = replayed(live, directory, tmp_path, change=fast)
    assert report.is_clean
    assert report.frames.purged == 0
    assert_same(out, tmp_path / "again")


def test_what_is_asked_otherwise_is_reported_once_and_the_session_goes_on(captured, live, tmp_path):
    directory, _, _ = captured
    other = [step.replace("400.0", "450.0") for step in STEPS]
    script = scripted(tmp_path / "other.py", *other)
    report = replayed(live, directory, tmp_path, script=script, change=fast)
    assert report.is_clean
    (text,) = about_captures(report)
    assert text.startswith("focus: focus.capture differs from what is asked: ")
    assert "captured is begin_move(400.0)" in text
    assert "asked is begin_move(450.0)" in text


def test_where_it_is_to_stop_at_a_divergence_the_session_fails_with_its_words(
    captured, live, tmp_path
):
    directory, _, _ = captured
    script = scripted(tmp_path / "other.py", STEPS[0].replace("400.0", "450.0"))
    rig = directory / "rig.toml"
    rig.write_text(
        rig.read_text().replace(
            'path = "focus.capture"', 'path = "focus.capture", on_divergence = "stop"'
        )
    )

    def story(system):
        yield "its end", lambda now: False

    report = live(MagScope(rig=load_rig(rig)), story, script=script, ends_by_itself=True)
    assert not report.is_clean
    assert any("asked is begin_move(450.0)" in error for error in report.errors)


def test_f1_the_capture_of_a_system_that_was_killed_can_be_played(magscope_run, live, tmp_path):
    rig = small_rig(rois=as_toml(small_rois()))
    running = magscope_run("--capture", "cap", "--json", rig=rig)
    lines = tmp_path / "cap" / "camera.capture"
    wait_until(lambda: lines.exists() and lines.read_bytes().count(b'"frame"') > 60, "frames")
    processes = running.until_up()
    running.process.send_signal(signal.SIGKILL)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it was a worker, and its manager is gone
            process.send_signal(signal.SIGKILL)
    running.end()
    wait_until(lambda: all(is_gone(p.pid) for p in processes), "the end")
    frames = [call for call in read_capture(lines).calls if call.frame]
    assert len(frames) > 60

    def story(system):
        yield "all frames", lambda now: now.frames.delivered == len(frames)

    report = live(MagScope(rig=load_rig(tmp_path / "cap" / "rig.toml")), story)
    assert report.is_clean
    assert not about_captures(report)


def test_devices_without_the_contract_are_left_out_with_one_line(live, tmp_path):
    rig = small_rig(on=False, more='[motors.stage]\ndriver = "legacy_rig:MyThermometer"\n')
    scope = built(rig, tmp_path)
    scope.capture_dir = tmp_path / "cap"

    def story(system):
        yield "frames", lambda now: now.frames.delivered > 20

    report = live(scope, story)
    (text,) = about_captures(report)
    assert text == (
        "router: --capture leaves out stage: only drivers that derive from hal.Camera or hal.Motor "
        "can be captured; rig.toml names the other drivers as they are"
    )
    assert report.is_clean
    assert {path.name for path in scope.capture_dir.glob("*.capture")} == {"camera.capture"}
