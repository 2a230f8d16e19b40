import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from magscope.recording.batch import TracksBatch
from magscope.recording.check import problems_of_recording
from magscope.recording.errors import RecordingError
from magscope.recording.names import date_timestamp_str_ns
from magscope.recording.repair import repair
from magscope.recording.tracks import TracksFile
from magscope.runtime import current


@pytest.fixture
def open_tracks(tmp_path, batches):
    opened = []

    def open_(**options):
        tracks = TracksFile(tmp_path, started_ns=batches.START_NS, recording_id="abc", **options)
        opened.append(tracks)
        return tracks

    yield open_
    for tracks in opened:
        tracks.close()


def test_the_layout_is_the_one_that_analysis_scripts_read(open_tracks, batches):
    with open_tracks() as tracks:
        tracks.append(batches.make_batch(0))
    assert tracks.path.name == f"Tracking Data {date_timestamp_str_ns(batches.START_NS)}.h5"
    with h5py.File(tracks.path, "r") as file:
        assert list(file) == ["tracking"]
        assert dict(file["tracking"].attrs) == {
            "schema_version": 1,
            "include_roi_positions": True,
            "record_order": "writer_append_order",
            "batch_sequence_order": "video_task_enqueue_order",
            "recording_id": "abc",
            "recording_start_ns": batches.START_NS,
            "file_start_ns": batches.START_NS,
        }
        assert {name: str(dataset.dtype) for name, dataset in file["tracking"].items()} == {
            "frame_timestamps_ns": "uint64",
            "frame_numbers": "uint64",
            "frame_offsets": "uint64",
            "frame_batch_sequence": "uint64",
            "bead_ids": "uint16",
            "positions_nm": "float64",
            "roi_positions_px": "uint16",
            "batch_sequence": "uint64",
            "batch_frame_start": "uint64",
            "batch_frame_count": "uint64",
            "batch_record_start": "uint64",
            "batch_record_count": "uint64",
        }


def test_a_new_file_is_readable_and_its_frame_offsets_start_with_0(open_tracks):
    tracks = open_tracks()
    tracks.close()
    with h5py.File(tracks.path, "r") as file:
        np.testing.assert_array_equal(file["tracking/frame_offsets"], [0])
        assert file["tracking/positions_nm"].shape == (0, 3)


def test_batches_come_back_as_they_were_appended(open_tracks, batches):
    tracks = open_tracks()
    for sequence in range(30):
        tracks.append(batches.make_batch(sequence))
    tracks.close()
    assert (tracks.rows_saved, tracks.batches_saved) == (30 * 40, 30)
    assert batches.check_tracks(tracks.path, 30, 30) == 30


def test_frames_without_beads_and_batches_without_frames_are_kept(open_tracks, batches):
    tracks = open_tracks()
    empty = batches.make_batch(0, n_beads=0)
    tracks.append(empty)
    tracks.append(batches.make_batch(1, n_frames=0))
    tracks.append(batches.make_batch(2, n_frames=2, n_beads=1))
    tracks.close()
    with h5py.File(tracks.path, "r") as file:
        group = file["tracking"]
        np.testing.assert_array_equal(group["frame_offsets"], [0] * 9 + [1, 2])
        np.testing.assert_array_equal(group["batch_frame_count"], [8, 0, 2])


def test_roi_positions_are_left_out_when_told(open_tracks, batches):
    tracks = open_tracks(include_roi_positions=False)
    tracks.append(batches.make_batch(0))
    tracks.close()
    with h5py.File(tracks.path, "r") as file:
        assert "roi_positions_px" not in file["tracking"]
        assert not file["tracking"].attrs["include_roi_positions"]
    assert repair(tracks.path).rows == 40


def test_another_program_reads_the_file_plainly_after_every_append(open_tracks, batches):
    script = (
        "import sys, h5py\n"
        "for line in sys.stdin:\n"
        "    with h5py.File(sys.argv[1], 'r') as file:\n"
        "        print(len(file['tracking/batch_sequence']), flush=True)\n"
    )
    tracks = open_tracks()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tracks.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        for sequence in range(60):
            tracks.append(batches.make_batch(sequence, n_frames=20, n_beads=20))
            reader.stdin.write("\n")
            reader.stdin.flush()
            assert int(reader.stdout.readline()) == sequence + 1
        reader.stdin.close()


def test_f1_a_file_can_be_read_plainly_before_each_operation_on_it(
    open_tracks, batches, tmp_path, monkeypatch
):
    copies = tmp_path / "copies"
    copies.mkdir()
    seen = []

    def look(_disk, operation, path, _size=0):
        if path.exists():
            (copies / path.name).write_bytes(path.read_bytes())
            seen.append((operation, *problems_of_recording(copies, 0)))

    monkeypatch.setattr(type(current().disk), "at", look)
    with open_tracks() as tracks:
        for sequence in range(8):
            tracks.append(batches.make_batch(sequence, n_frames=200, n_beads=30))
    operations = {operation for operation, *_ in seen}
    assert operations >= {"write", "flush", "truncate", "patch", "close"}
    assert [line for _, *lines in seen for line in lines if line.startswith("F1: ")] == []


def test_a_file_is_longer_than_what_it_holds_only_until_it_is_closed(open_tracks, batches):
    tracks = open_tracks()
    tracks.append(batches.make_batch(0))
    open_bytes = tracks.path.stat().st_size
    tracks.close()
    closed_bytes = tracks.path.stat().st_size
    stated = int.from_bytes(tracks.path.read_bytes()[28:36], "little")
    assert stated == closed_bytes < open_bytes < closed_bytes + 2_000_000


def test_a_full_file_is_followed_by_another_of_the_same_recording(open_tracks, batches):
    tracks = open_tracks(max_bytes=400_000)
    for sequence in range(40):
        tracks.append(batches.make_batch(sequence, n_frames=20, n_beads=20))
    tracks.close()
    assert len(tracks.paths) > 1
    assert tracks.rows_saved == 40 * 400
    n = 0
    for path in tracks.paths:
        n += batches.check_tracks(path, 1, 40, n, n_frames=20, n_beads=20)
        with h5py.File(path, "r") as file:
            attributes = file["tracking"].attrs
            assert attributes["recording_id"] == "abc"
            first = file["tracking/frame_timestamps_ns"][0]
            assert attributes["file_start_ns"] == first
        assert path.stat().st_size < 600_000
    assert n == 40


def test_two_recordings_of_the_same_millisecond_have_names_of_their_own(open_tracks, batches):
    first, second = open_tracks(), open_tracks()
    assert first.path != second.path
    second.append(batches.make_batch(0))
    first.append(batches.make_batch(0))


def test_a_missing_directory_is_refused_with_one_clear_line(tmp_path):
    with pytest.raises(RecordingError, match=r"missing does not exist: make it") as caught:
        TracksFile(tmp_path / "missing", started_ns=0, recording_id="")
    assert "\n" not in str(caught.value)


def test_f2_a_file_that_vanishes_is_noticed_and_not_reported_as_saved(open_tracks, batches):
    tracks = open_tracks()
    tracks.append(batches.make_batch(0))
    tracks.path.unlink()
    with pytest.raises(RecordingError, match="moved or deleted while it was written"):
        tracks.append(batches.make_batch(1))
    assert tracks.batches_saved == 1
    assert not tracks.is_open
    with pytest.raises(RecordingError, match="closed: start a new file"):
        tracks.append(batches.make_batch(2))


def test_a_file_that_is_replaced_is_noticed(open_tracks, batches):
    tracks = open_tracks()
    tracks.path.rename(tracks.path.with_suffix(".old"))
    tracks.path.write_bytes(b"")
    with pytest.raises(RecordingError, match="was replaced"):
        tracks.append(batches.make_batch(0))


def test_f2_too_little_free_space_stops_the_recording_before_the_disk_is_full(
    open_tracks, batches, monkeypatch
):
    tracks = open_tracks()
    tracks.append(batches.make_batch(0))
    usage = type("usage", (), {"free": 1_200_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(RecordingError, match=r"disk full: .* has 1\.2 MB free, and 1\.6 MB"):
        tracks.append(batches.make_batch(1))
    batches.check_tracks(tracks.path, 1, 1)


def test_closing_twice_does_nothing(open_tracks):
    tracks = open_tracks()
    tracks.close()
    tracks.close()
    assert not tracks.is_open


def test_repair_leaves_a_whole_file_untouched(open_tracks, batches):
    with open_tracks() as tracks:
        tracks.append(batches.make_batch(0))
    before = tracks.path.read_bytes()
    assert repair(tracks.path).rows_cut == 0
    assert tracks.path.read_bytes() == before


def test_repair_refuses_what_is_no_recording(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(RecordingError, match=r"can not repair .*x\.h5"):
        repair(path)
    with h5py.File(path, "w") as file:
        file.create_group("other")
    with pytest.raises(RecordingError, match="neither tracks nor annotations"):
        repair(path)


def test_a_batch_survives_pickling_and_stays_small(batches):
    batch = batches.make_batch(3, n_frames=40, n_beads=50)
    pickled = pickle.dumps(batch, protocol=5)
    again = pickle.loads(pickled)
    for name in vars(batch):
        np.testing.assert_array_equal(getattr(again, name), getattr(batch, name))
    assert len(pickled) < batch.n_records * 30 + batch.n_frames * 24 + 1500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sequence": -1}, "sequence = -1"),
        ({"bead_ids": np.full(40, 70_000)}, "bead_ids holds 70000: expected whole numbers"),
        ({"bead_ids": np.full(40, 0.5)}, r"bead_ids holds 0\.5"),
        ({"roi_positions_px": np.full((40, 2), -1)}, "roi_positions_px holds -1"),
        ({"positions_nm": np.zeros((40, 2))}, r"positions_nm has the shape \(40, 2\)"),
        ({"frame_numbers": np.zeros(3)}, r"frame_numbers has the shape \(3,\)"),
        ({"frame_counts": np.full(8, 4)}, "frame_counts sum to 32: expected 40 records"),
    ],
)
def test_a_batch_whose_parts_do_not_fit_is_refused(batches, change, message):
    with pytest.raises(ValueError, match=message):
        TracksBatch(**{**vars(batches.make_batch(0)), **change})
