import subprocess

import numpy as np
import pytest

from magscope.recording.errors import RecordingError
from magscope.recording.repair import repair
from magscope.recording.tables import TelemetryFile
from magscope.recording.tracks import TracksFile
from magscope.recording.video import write_video

pytestmark = pytest.mark.system
SIZES = {"n_frames": 20, "n_beads": 30}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB; mounting it needs root."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def until_full(write):
    """Write until it is refused; return the error's one line."""
    for n in range(10_000):
        try:
            write(n)
        except RecordingError as error:
            message = str(error)
            break
    else:
        raise AssertionError("the disk never filled")
    assert "disk full" in message
    assert "\n" not in message
    return message


def fill(tracks, batches):
    """Append until it is refused; return how many were saved, and the error."""
    message = until_full(lambda n: tracks.append(batches.make_batch(n, **SIZES)))
    return tracks.batches_saved, message


def test_f2_a_full_disk_stops_the_tracks_with_one_line_and_leaves_them_whole(small_disk, batches):
    tracks = TracksFile(small_disk, started_ns=batches.START_NS, recording_id="full")
    n, message = fill(tracks, batches)
    assert n > 50
    assert "free some space" in message
    tracks.close()
    assert tracks.batches_saved == n
    batches.check_tracks(tracks.path, n, n, **SIZES)


def test_f2_a_disk_that_another_program_fills_meanwhile_loses_only_the_batch_being_written(
    small_disk, batches, monkeypatch
):
    tracks = TracksFile(small_disk, started_ns=batches.START_NS, recording_id="full")
    monkeypatch.setattr("magscope.recording.appendfile.check_free_space", lambda *_: None)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2_500_000))
    n, _ = fill(tracks, batches)
    tracks.close()
    found = repair(tracks.path)
    assert found.rows == tracks.rows_saved == n * 600
    ballast.unlink()
    assert repair(tracks.path).is_cut
    batches.check_tracks(tracks.path, n, n, **SIZES)
    again = TracksFile(small_disk, started_ns=batches.START_NS, recording_id="resumed")
    again.append(batches.make_batch(0, **SIZES))
    again.close()
    batches.check_tracks(again.path, 1, 1, **SIZES)


def test_f2_a_full_disk_leaves_no_part_of_a_video(small_disk):
    stack = np.zeros((500, 300, 10), dtype=np.uint8)
    times = 1.7e9 + np.arange(10) / 100
    until_full(lambda second: write_video(small_disk, stack, times + second, nm_per_px=100.0))
    videos = list(small_disk.iterdir())
    assert len(videos) == 2
    assert all(video.stat().st_size > stack.nbytes for video in videos)


def test_f2_a_full_disk_leaves_whole_lines_of_telemetry(small_disk, monkeypatch):
    telemetry = TelemetryFile(small_disk, "focus", ["position_nm"], started_ns=0)
    monkeypatch.setattr("magscope.recording.tables.check_free_space", lambda *_: None)
    until_full(lambda _: telemetry.append(np.arange(1000), np.ones((1000, 1))))
    lines = telemetry.path.read_bytes().split(b"\n")
    assert lines[-1] == b""
    assert len(lines) == telemetry.rows_saved + 2
