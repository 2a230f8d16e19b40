"""The check of a recording fires for each thing that can be wrong with it."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from magscope.recording.check import problems_of_recording
from magscope.recording.manifest import (
    FileRecord,
    Manifest,
    mark_ended,
    read_manifest,
    write_manifest,
)
from magscope.recording.tables import AnnotationFile, TelemetryFile
from magscope.recording.tracks import TracksFile
from magscope.recording.video import write_video

ROWS = 40


@pytest.fixture
def recording(tmp_path, batches):
    """A recording of five batches with a file of every kind."""
    with TracksFile(tmp_path, started_ns=batches.START_NS, recording_id="abc") as tracks:
        for sequence in range(5):
            tracks.append(batches.make_batch(sequence))
    telemetry = TelemetryFile(tmp_path, "focus", ["position_nm"], started_ns=batches.START_NS)
    telemetry.append([1, 2], np.ones((2, 1)))
    telemetry.close()
    truth = AnnotationFile(
        tmp_path, "truth", ["x_nm"], started_ns=batches.START_NS, recording_id="abc"
    )
    truth.append([1, 2], [10, 20], np.ones((2, 1)))
    truth.close()
    write_video(tmp_path, np.zeros((9, 8, 3), np.uint8), [1.0, 2.0, 3.0], nm_per_px=100.0)
    write_manifest(tmp_path, Manifest("abc", 0))
    mark_ended(tmp_path, "clean", ended_ns=1)
    return tmp_path


def only(directory, pattern):
    (path,) = directory.glob(pattern)
    return path


def test_a_whole_recording_has_no_problems(recording):
    assert problems_of_recording(recording, 5 * ROWS) == []


def test_the_batch_that_was_being_written_may_be_there_and_no_other(recording):
    assert problems_of_recording(recording, 4 * ROWS) == []
    (problem,) = problems_of_recording(recording, 3 * ROWS)
    assert problem == "F3: 200 rows are on disk, but 120 were reported as saved"


def test_rows_that_were_reported_and_are_not_there_are_told(recording):
    (problem,) = problems_of_recording(recording, 6 * ROWS)
    assert problem == "F3: 240 rows were reported as saved, but 200 are on disk"


@pytest.mark.parametrize(
    ("pattern", "end"),
    [("Tracking*.h5", 100), ("Truth*.h5", 100), ("Video*", 100), ("Motor*", -1), ("manifest*", -3)],
)
def test_f1_a_file_that_is_cut_off_is_named(recording, pattern, end):
    path = only(recording, pattern)
    path.write_bytes(path.read_bytes()[:end])
    problems = problems_of_recording(recording, 5 * ROWS)
    assert problems[0].startswith(f"F1: {path.name} can not be read: ")
    assert "\n" not in problems[0]


def test_f1_a_file_whose_index_counts_more_than_there_is_is_named(recording):
    path = only(recording, "Tracking*.h5")
    with h5py.File(path, "r+") as file:
        for name in ("positions_nm", "bead_ids"):
            file["tracking"][name].resize(5 * ROWS - 1, axis=0)
    problems = problems_of_recording(recording, 5 * ROWS)
    assert problems[0] == f"F1: {path.name} counts 200 rows, and 199 are there"


def test_f1_a_file_that_was_left_half_written_is_named_once_the_session_has_ended(recording):
    (recording / ".Video x.tiff.7-0.part").write_bytes(b"half")
    assert problems_of_recording(recording, 5 * ROWS) == [
        "F1: .Video x.tiff.7-0.part was left half written"
    ]


def test_f3_an_append_that_was_not_finished_is_told(recording):
    path = only(recording, "Tracking*.h5")
    with h5py.File(path, "r+") as file:
        file["tracking/bead_ids"].resize((5 * ROWS + 1,))
    (problem,) = problems_of_recording(recording, 5 * ROWS)
    assert problem == f"F3: {path.name} holds 201 rows, of which 200 count"


def test_f3_a_batch_that_is_missing_must_have_been_reported(recording, batches):
    with TracksFile(recording, started_ns=batches.START_NS + 10**9, recording_id="x") as tracks:
        for sequence in (0, 2):
            tracks.append(batches.make_batch(sequence))
    (problem,) = problems_of_recording(recording, 7 * ROWS)
    assert problem == "F3: 1 batches are missing in the middle, and 0 were reported"
    assert problems_of_recording(recording, 7 * ROWS, batches_lost=1) == []


def test_f3_a_manifest_that_states_other_rows_than_there_are_is_told(recording):
    path = only(recording, "Tracking*.h5")
    files = (FileRecord("tracks", path.name, 4 * ROWS),)
    write_manifest(recording, replace(read_manifest(recording), files=files))
    (problem,) = problems_of_recording(recording, 5 * ROWS)
    assert problem == f"F3: manifest.json states 160 rows of {path.name}, which has 200"


def test_f3_a_manifest_that_states_other_rows_of_telemetry_is_told(recording):
    path = only(recording, "Motor*.csv")
    there = path.read_text().count("\n") - 1
    files = (FileRecord("telemetry", path.name, there + 3),)
    write_manifest(recording, replace(read_manifest(recording), files=files))
    (problem,) = problems_of_recording(recording, 5 * ROWS)
    assert problem == f"F3: manifest.json states {there + 3} rows of {path.name}, which has {there}"


@pytest.mark.parametrize("name", ["batch_frame_start", "batch_record_start"])
def test_f3_an_index_that_points_elsewhere_is_told(recording, name):
    path = only(recording, "Tracking*.h5")
    with h5py.File(path, "r+") as file:
        file["tracking"][name][:] += 1
    (problem,) = problems_of_recording(recording, 5 * ROWS)
    assert problem == f"F3: {path.name} has an index whose batches do not follow on one another"


def test_the_first_batch_of_a_recording_may_be_in_its_second_file(tmp_path, batches):
    since = batches.START_NS - 10**9
    with TracksFile(
        tmp_path, started_ns=since, recording_id="abc", file_start_ns=since, max_bytes=1
    ) as tracks:
        for sequence in (1, 0, 3, 2):
            tracks.append(batches.make_batch(sequence))
    assert len(tracks.paths) == 4
    assert problems_of_recording(tmp_path, 4 * ROWS) == []


def test_batches_of_two_recordings_are_told_apart_by_when_those_began(tmp_path, batches):
    first, second = batches.START_NS + 10**7, batches.START_NS + 2 * 10**7
    with TracksFile(tmp_path, started_ns=first, recording_id="abc") as tracks:
        tracks.append(batches.make_batch(0))
    with TracksFile(tmp_path, started_ns=second, recording_id="abc", max_bytes=1) as tracks:
        for sequence, frames in ((0, 1), (1, 0), (2, 3)):  # one has frames from before it began
            batch = batches.make_batch(sequence)
            moved = 8 * (frames + 1) - 8 * sequence
            tracks.append(
                replace(
                    batch,
                    frame_numbers=batch.frame_numbers + np.uint64(moved),
                    frame_timestamps_ns=batch.frame_timestamps_ns - np.uint64(10**9 * (not frames)),
                )
            )
    assert problems_of_recording(tmp_path, 4 * ROWS) == []


def test_f3_a_batch_that_is_there_twice_is_told(recording, batches):
    with TracksFile(recording, started_ns=batches.START_NS + 10**9, recording_id="abc") as tracks:
        for sequence in (4, 4):
            tracks.append(batches.make_batch(sequence))
    problems = problems_of_recording(recording, 7 * ROWS)
    assert f"F3: {tracks.path.name} holds a batch twice" in problems
    assert "F3: 16 frames were saved twice" in problems
