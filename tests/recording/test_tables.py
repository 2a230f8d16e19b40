import h5py
import numpy as np
import pytest

from magscope.recording.errors import RecordingError
from magscope.recording.repair import repair
from magscope.recording.tables import AnnotationFile, TelemetryFile

START_NS = 1_700_000_000_123_456_789


@pytest.fixture
def telemetry(tmp_path):
    table = TelemetryFile(tmp_path, "focus", ["position_nm", "is_moving"], started_ns=START_NS)
    yield table
    table.close()


@pytest.fixture
def truth(tmp_path):
    table = AnnotationFile(
        tmp_path, "truth", ["x_nm", "y_nm"], started_ns=START_NS, recording_id="abc"
    )
    yield table
    table.close()


def test_telemetry_is_csv_with_units_in_its_header_and_readable_at_once(telemetry):
    telemetry.append([START_NS, START_NS + 1], np.array([[1.5, 0], [-2e6, 1]]))
    assert telemetry.path.name.startswith("Motor focus 20")
    assert telemetry.path.read_text() == (
        f"timestamp_ns,position_nm,is_moving\n{START_NS},1.5,0\n{START_NS + 1},-2000000,1\n"
    )
    assert telemetry.rows_saved == 2


def test_f1_a_line_that_a_kill_cut_off_is_taken_away(telemetry):
    telemetry.append([1, 2], np.ones((2, 2)))
    whole = telemetry.path.read_bytes()
    for end in range(whole.index(b"\n") + 1, len(whole)):
        telemetry.path.write_bytes(whole[:end])
        found = repair(telemetry.path)
        assert telemetry.path.read_bytes() == whole[: whole.rindex(b"\n", 0, end) + 1]
        assert repair(telemetry.path).rows == found.rows <= 2
        assert repair(telemetry.path).rows_cut == 0


def test_telemetry_of_a_deleted_file_is_refused(telemetry):
    telemetry.path.unlink()
    with pytest.raises(RecordingError, match="moved or deleted"):
        telemetry.append([1], np.ones((1, 2)))
    assert not telemetry.is_open
    with pytest.raises(RecordingError, match="closed"):
        telemetry.append([1], np.ones((1, 2)))


def test_telemetry_rows_of_another_width_are_refused(telemetry):
    with pytest.raises(ValueError, match=r"shape \(1, 3\): expected \(1, 2\)"):
        telemetry.append([1], np.ones((1, 3)))
    assert telemetry.is_open


def test_two_tables_of_one_motor_have_files_of_their_own(telemetry, tmp_path):
    other = TelemetryFile(tmp_path, "focus", ["position_nm"], started_ns=START_NS)
    other.close()
    assert other.path != telemetry.path


def test_annotations_have_a_group_of_their_name_and_a_dataset_a_column(truth):
    truth.append([5, 5, 6], [10, 10, 20], np.arange(6).reshape(3, 2))
    truth.append([], [], np.zeros((0, 2)))
    truth.close()
    assert truth.path.name.startswith("Truth 20")
    assert truth.rows_saved == 3
    with h5py.File(truth.path, "r") as file:
        group = file["truth"]
        assert list(group.attrs["columns"]) == ["x_nm", "y_nm"]
        assert group.attrs["recording_id"] == "abc"
        assert group["frame_number"].dtype == group["timestamp_ns"].dtype == np.uint64
        np.testing.assert_array_equal(group["frame_number"], [5, 5, 6])
        np.testing.assert_array_equal(group["timestamp_ns"], [10, 10, 20])
        np.testing.assert_array_equal(group["x_nm"], [0.0, 2.0, 4.0])
        np.testing.assert_array_equal(group["y_nm"], [1.0, 3.0, 5.0])


def test_f1_an_append_of_annotations_that_was_cut_off_is_taken_away(truth):
    truth.append([1, 2], [10, 20], np.arange(4).reshape(2, 2))
    truth.close()
    with h5py.File(truth.path, "r+") as file:
        file["truth/x_nm"].resize((5,))
        file["truth/timestamp_ns"].resize((5,))
    found = repair(truth.path)
    assert found.rows == 2
    with h5py.File(truth.path, "r") as file:
        assert {len(dataset) for dataset in file["truth"].values()} == {2}
        np.testing.assert_array_equal(file["truth/x_nm"], [0.0, 2.0])
        assert list(file["truth"].attrs["columns"]) == ["x_nm", "y_nm"]


@pytest.mark.parametrize("columns", [["x_nm", "x_nm"], ["frame_number"], ["a/b"]])
def test_columns_that_clash_are_refused(tmp_path, columns):
    with pytest.raises(ValueError, match="expected different names"):
        AnnotationFile(tmp_path, "truth", columns, started_ns=0, recording_id="")


def test_annotation_rows_that_do_not_fit_are_refused(truth):
    with pytest.raises(ValueError, match="do not fit"):
        truth.append([1], [1], np.zeros((1, 3)))
    with pytest.raises(ValueError, match="timestamps_ns has the shape"):
        truth.append([1], [1, 2], np.zeros((1, 2)))
    assert truth.is_open
