"""Each acquisition mode does what it says, from the rig file and while running."""

import signal

import numpy as np
import pytest
from systemtools import (
    as_toml,
    expected_frames,
    frame_numbers,
    has_nothing_to_do,
    only,
    read_hdf5,
    read_video,
    small_rig,
    small_rois,
)

from magscope.utils import AcquisitionMode

ROIS = small_rois()
FIXED = as_toml(ROIS)
N_IMAGES = 20


@pytest.mark.parametrize(
    ("mode", "tracks", "axes"),
    [
        ("track", True, None),
        ("track-and-crop-video", True, "TCYX"),
        ("track-and-full-video", True, "TYX"),
        ("crop-video", False, "TCYX"),
        ("full-video", False, "TYX"),
    ],
)
def test_a_mode_of_the_rig_file_saves_what_it_says_and_nothing_else(
    live, tmp_path, mode, tracks, axes
):
    out = tmp_path / "out"
    out.mkdir()

    def story(system):
        yield "three stacks", lambda now: now.frames.processed >= 3 * N_IMAGES
        assert system.now.acquisition_mode == mode
        assert (system.now.tracks_rows > 0) == tracks
        yield "all in files", lambda now: now.recording == str(out)

    report = live(small_rig(mode=mode, rois=FIXED), story, record=out)
    assert report.is_clean
    assert (report.tracks_rows > 0) == tracks
    videos = sorted(out.glob("Video *.tiff"))
    _, data = read_hdf5(only(out, "Tracking Data *.h5"))
    assert len(data["bead_ids"]) == report.tracks_rows
    assert len(videos) == (report.frames.processed // N_IMAGES if axes else 0)
    device_lost = report.frames.device_lost  # by a camera that was not asked for them in time
    frames = expected_frames(report.frames.delivered + device_lost)
    for video in videos:
        found_axes, pixels, times_s = read_video(video)
        assert found_axes == axes
        n_channels = len(ROIS) if axes == "TCYX" else 1
        numbers = frame_numbers(out, times_s)[::n_channels]
        steps = np.diff(numbers)
        assert len(numbers) == N_IMAGES
        assert (steps > 0).all()
        assert (steps - 1).sum() <= device_lost
        wanted = frames[numbers]
        if axes == "TCYX":
            crops = [wanted[:, y0:y1, x0:x1] for x0, x1, y0, y1 in ROIS]
            wanted = np.stack(crops, axis=1)
        np.testing.assert_array_equal(pixels, wanted, err_msg="B2")


def test_modes_change_while_running_by_message(live, tmp_path):
    out = tmp_path / "out"
    out.mkdir()

    def axes_of_videos():
        return {read_video(path)[0] for path in out.glob("Video *.tiff")}

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        assert not axes_of_videos()
        system.send("ManagerProcessBase", "set_acquisition_mode", AcquisitionMode.FULL_VIDEO)
        yield "full video", lambda now: axes_of_videos() == {"TYX"}
        yield "no track under way", lambda now: now.busy_count == 0
        seen_s = system.now.t_s
        yield "what came of the last one", lambda now: now.t_s > seen_s
        rows, stacks = system.now.tracks_rows, system.now.frames.processed
        yield "more stacks", lambda now: now.frames.processed > stacks + N_IMAGES
        assert system.now.tracks_rows == rows
        system.send("ManagerProcessBase", "set_acquisition_mode", AcquisitionMode.CROP_VIDEO)
        yield "crops", lambda now: axes_of_videos() == {"TYX", "TCYX"}
        assert system.now.tracks_rows == rows
        system.send("ManagerProcessBase", "set_acquisition_mode", "track")
        yield "tracks again", lambda now: now.tracks_rows > rows
        yield "idle", lambda now: now.busy_count == 0

    report = live(small_rig(rois=FIXED), story, record=out)
    assert report.is_clean
    _, data = read_hdf5(only(out, "Tracking Data *.h5"))
    assert len(data["bead_ids"]) == report.tracks_rows
    sequences = sorted(data["batch_sequence"].tolist())
    assert sequences == list(range(len(sequences))), "F3: a gap"


def test_b1_frames_are_discarded_and_counted_while_acquisition_is_off(live):
    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        assert system.now.frames.discarded == 0
        system.send("ManagerProcessBase", "set_acquisition_on", False)
        yield "discarded frames", lambda now: now.frames.discarded >= 2 * N_IMAGES
        yield "no stack in hand", has_nothing_to_do
        processed = system.now.frames.processed
        discarded = system.now.frames.discarded
        yield "more of them", lambda now: now.frames.discarded > discarded + N_IMAGES
        assert system.now.frames.processed == processed
        assert system.now.frames.balances, f"B1: {system.now.frames}"
        system.send("ManagerProcessBase", "set_acquisition_on", True)
        yield "stacks again", lambda now: now.frames.processed > processed

    assert live(small_rig(rois=FIXED), story).is_clean


def test_acquisition_that_is_off_in_the_rig_file_processes_nothing(live):
    def story(system):
        yield "discarded frames", lambda now: now.frames.discarded >= 2 * N_IMAGES

    report = live(small_rig(rois=FIXED, on=False), story)
    assert report.is_clean
    assert report.frames.processed == 0


def test_b1_frames_that_nobody_takes_are_purged_and_counted(live):
    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        system.send("ManagerProcessBase", "set_acquisition_on", False)
        yield "nothing under way", has_nothing_to_do
        system.signal("VideoProcessorManager", signal.SIGSTOP)  # without the flag's lock in hand
        system.send("ManagerProcessBase", "set_acquisition_on", True)
        yield "purged frames", lambda now: now.frames.purged > 0
        assert system.now.frames.balances, f"B1: {system.now.frames}"
        processed = system.now.frames.processed
        system.signal("VideoProcessorManager", signal.SIGCONT)
        yield "stacks again", lambda now: now.frames.processed > processed

    report = live(small_rig(rois=FIXED), story)
    assert report.is_clean
    assert any("frames purged" in line for line in report.warnings)


def test_a_rig_without_rois_finds_its_beads(live):
    def story(system):
        yield "two beads", lambda now: len(now.beads) == 2
        yield "its line", lambda now: system.logged("found 2 beads")

    assert live(small_rig(), story).is_clean


def test_a_field_without_beads_is_said_so_and_loses_no_stack(live):
    def story(system):
        yield "the warning", lambda now: system.logged("found no beads")

    report = live(small_rig(tethered=0, stuck=0), story)
    assert report.is_clean
    assert report.frames.lost == 0
