import numpy as np
import pytest
import tifffile

from magscope.recording.errors import RecordingError
from magscope.recording.names import date_timestamp_str
from magscope.recording.repair import repair_directory
from magscope.recording.video import write_video

TIMES = 1_700_000_000.123 + np.arange(3) / 100


def frames(shape, dtype=np.uint8):
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_stack_is_an_imagej_hyperstack_with_rows_of_x(tmp_path, dtype):
    stack = frames((20, 10, 3), dtype)
    path = write_video(tmp_path, stack, TIMES, nm_per_px=100.0)
    assert path.name == f"Video {date_timestamp_str(TIMES[0])}.tiff"
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_imagej
        assert tiff.series[0].axes == "TYX"
        video = tiff.asarray()
        metadata = tiff.imagej_metadata
        resolution = tiff.pages[0].tags["XResolution"].value
    assert video.dtype == dtype
    np.testing.assert_array_equal(video, stack.transpose(2, 1, 0))
    assert metadata["unit"] == "nm"
    assert resolution[1] / resolution[0] == pytest.approx(100.0)
    assert [float(label) for label in metadata["Labels"]] == TIMES.tolist()


def test_crops_have_a_channel_for_each_roi(tmp_path):
    crops = frames((8, 8, 3, 2))
    path = write_video(tmp_path, crops, TIMES, nm_per_px=50.0)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "TCYX"
        np.testing.assert_array_equal(tiff.asarray(), crops.transpose(2, 3, 1, 0))
        labels = [float(label) for label in tiff.imagej_metadata["Labels"]]
    assert labels == np.repeat(TIMES, 2).tolist()


def test_one_frame_of_one_roi_is_written(tmp_path):
    path = write_video(tmp_path, frames((8, 8, 1, 1)), TIMES[:1], nm_per_px=50.0)
    assert tifffile.imread(path).size == 64


def test_two_stacks_of_the_same_moment_never_share_a_name(tmp_path):
    stacks = [frames((9, 8, 3)) + np.uint8(i) for i in range(3)]
    paths = [write_video(tmp_path, stack, TIMES, nm_per_px=50.0) for stack in stacks]
    assert len(set(paths)) == 3
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path, stack in zip(paths, stacks, strict=True):
        np.testing.assert_array_equal(tifffile.imread(path), stack.transpose(2, 1, 0))


def test_names_stay_unique_on_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no hard links")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    paths = {write_video(tmp_path, frames((9, 8, 3)), TIMES, nm_per_px=50.0) for _ in range(3)}
    assert len(paths) == 3


def test_f1_a_write_that_breaks_off_leaves_no_file(tmp_path, monkeypatch):
    def break_off(file, *_, **__):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tifffile.imwrite", break_off)
    with pytest.raises(RecordingError, match="disk full"):
        write_video(tmp_path, frames((9, 8, 3)), TIMES, nm_per_px=50.0)
    assert not list(tmp_path.iterdir())


def test_f1_what_a_killed_writer_left_has_no_videos_name_and_is_swept(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(file, *_, **__):
        file.write(b"half")
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("tifffile.imwrite", killed)
        patched.setattr("pathlib.Path.unlink", lambda *_, **__: None)
        with pytest.raises(Killed):
            write_video(tmp_path, frames((9, 8, 3)), TIMES, nm_per_px=50.0)
    assert not list(tmp_path.glob("*.tiff"))
    repair_directory(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("stack", "times", "scale", "message"),
    [
        (frames((9, 8)), TIMES, 50.0, "expected \\(width, height, n_images\\)"),
        (frames((9, 8, 2)), TIMES, 50.0, "2 frames have 3 timestamps"),
        (frames((9, 8, 3)).astype(float), TIMES, 50.0, "float64: expected uint8 or uint16"),
        (frames((9, 8, 3)), TIMES, 0.0, "nm_per_px = 0.0"),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path, stack, times, scale, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path, stack, times, nm_per_px=scale)


def test_a_missing_directory_is_refused_with_one_clear_line(tmp_path):
    with pytest.raises(RecordingError, match="does not exist"):
        write_video(tmp_path / "missing", frames((9, 8, 3)), TIMES, nm_per_px=50.0)
