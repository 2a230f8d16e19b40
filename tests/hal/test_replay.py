import numpy as np
import pytest
import tifffile

from hal.drivers.replay import ReplayCamera
from hal.errors import DisconnectedError, OptionError, ProtocolError, SettingError, UnsupportedError
from magscope.recording.video import write_video


@pytest.fixture
def play(context):
    cameras = []

    def play(path, **options):
        camera = ReplayCamera(path, **options)
        camera.context = context
        camera.open()
        camera.start()
        cameras.append(camera)
        return camera

    yield play
    for camera in cameras:
        camera.close()


def fetch(camera):
    out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)
    info = camera.fetch_into(out)
    return (info, out) if info else None


def fetch_all(camera):
    return list(iter(lambda: fetch(camera), None))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=["plain", "compressed"])
def test_frames_come_back_as_they_were_recorded(play, clock, write_stack, frames, dtype, options):
    recorded = frames.astype(dtype) * (257 if dtype is np.uint16 else 1)
    camera = play(write_stack(recorded, **options))
    clock.sleep_s(0.04)
    played = fetch_all(camera)
    assert np.array_equal([out for _, out in played], recorded)
    assert camera.frame_format.bits == 8 * np.dtype(dtype).itemsize


@pytest.mark.parametrize("axes", ["TYX", "ZYX"])
def test_a_stack_is_played_whether_imagej_calls_its_frames_times_or_slices(
    play, write_stack, frames, axes
):
    assert play(write_stack(frames, axes=axes)).n_frames == len(frames)


def test_a_single_image_is_a_recording_of_one_frame(play, clock, write_stack, frames):
    camera = play(write_stack(frames[0], axes="YX"))
    clock.sleep_s(0.02)
    assert [info.frame_number for info, _ in fetch_all(camera)] == [0, 1, 2]


def test_frame_k_is_due_k_periods_after_the_start_and_stamped_so(play, clock, write_stack, frames):
    camera = play(write_stack(frames), framerate_hz=250.0)
    start_ns = clock.now_ns()
    assert fetch(camera)[0].timestamp_ns == start_ns
    assert fetch(camera) is None
    assert camera.ready_in_s() == pytest.approx(0.004)
    clock.sleep_s(0.0039)
    assert fetch(camera) is None
    clock.sleep_s(0.0002)
    assert camera.ready_in_s() == 0.0
    assert fetch(camera)[0].timestamp_ns == start_ns + 4_000_000


def test_the_frame_rate_is_that_of_the_recordings_labels(play, write_stack, frames):
    camera = play(write_stack(frames, framerate_hz=40.0))
    assert camera.get("framerate_hz") == pytest.approx(40.0, rel=1e-4)


@pytest.mark.parametrize("labels", [None, ["a", "b", "c", "d", "e"], ["5", "4", "3", "2", "1"]])
def test_without_labels_that_are_rising_seconds_it_plays_100_frames_a_second(
    play, tmp_path, frames, labels
):
    path = tmp_path / "x.tiff"
    metadata = {"axes": "TYX"} | ({"Labels": labels} if labels else {})
    tifffile.imwrite(path, frames, imagej=True, metadata=metadata)
    assert play(path).get("framerate_hz") == 100.0


def test_a_new_frame_rate_holds_after_the_frame_that_is_already_due(
    play, clock, write_stack, frames
):
    camera = play(write_stack(frames), framerate_hz=100.0)
    fetch(camera)
    assert camera.set("framerate_hz", 1000.0) == 1000.0
    clock.sleep_s(0.0101)
    assert [info.frame_number for info, _ in fetch_all(camera)] == [1]
    clock.sleep_s(0.001)
    assert [info.frame_number for info, _ in fetch_all(camera)] == [2]


def test_frames_that_nobody_fetched_are_lost_by_number_but_for_the_newest_32(
    play, clock, write_stack, frames
):
    camera = play(write_stack(frames), framerate_hz=100.0)
    start_ns = clock.now_ns()
    clock.sleep_s(1.0)
    played = fetch_all(camera)
    assert [info.frame_number for info, _ in played] == list(range(69, 101))
    for info, out in played:
        assert info.timestamp_ns == start_ns + info.frame_number * 10_000_000
        assert np.array_equal(out, frames[info.frame_number % len(frames)])


def test_without_loop_it_ends_after_the_last_frame(play, clock, write_stack, frames):
    camera = play(write_stack(frames), loop=False)
    clock.sleep_s(10.0)
    assert [info.frame_number for info, _ in fetch_all(camera)] == [0, 1, 2, 3, 4]
    assert camera.ready_in_s() > 0.1


def test_without_loop_the_last_frames_wait_however_late_they_are_fetched(
    play, clock, write_stack, frames
):
    camera = play(write_stack(np.repeat(frames, 10, axis=0)), loop=False)
    clock.sleep_s(10.0)
    assert [info.frame_number for info, _ in fetch_all(camera)] == list(range(18, 50))


def test_a_recordings_full_frame_videos_follow_each_other_in_the_order_of_their_names(
    play, clock, write_stack, frames, tmp_path
):
    write_stack(frames[3:], name="Video 2026-01-02.tiff")
    write_stack(frames[:3], name="Video 2026-01-01.tiff")
    crops = np.zeros((3, 2, 4, 4), np.uint8)
    write_stack(crops, name="Video 2026-01-03 crops.tiff", axes="TCYX")
    camera = play(tmp_path)
    clock.sleep_s(0.06)
    played = [out for _, out in fetch_all(camera)]
    assert np.array_equal(played, [*frames, *frames[:2]])
    assert camera.identity.serial == tmp_path.name


def test_a_recording_of_our_own_plays_as_it_was_taken(play, clock, frames, tmp_path):
    for first in (0, 3):
        stack = frames[first:].transpose(2, 1, 0)  # (width, height, n_images), as in the buffer
        timestamps_s = 1.7e9 + (first + np.arange(len(frames) - first)) / 30
        write_video(tmp_path, stack, timestamps_s, nm_per_px=100.0)
    camera = play(tmp_path)
    assert camera.get("framerate_hz") == pytest.approx(30.0, rel=1e-5)
    clock.sleep_s(7.1 / 30)
    played = [out for _, out in fetch_all(camera)]
    assert np.array_equal(played, [*frames, *frames[3:], frames[0]])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"gone\.tiff.*no such file"):
        ReplayCamera(tmp_path / "gone.tiff").open()


def test_a_directory_without_full_frame_videos_is_refused(write_stack, tmp_path):
    write_stack(np.zeros((3, 2, 4, 4), np.uint8), name="Video 1.tiff", axes="TCYX")
    with pytest.raises(OptionError, match="no full-frame video"):
        ReplayCamera(tmp_path).open()


def test_cropped_videos_are_refused_with_their_axes(write_stack):
    path = write_stack(np.zeros((3, 2, 4, 4), np.uint8), axes="TCYX")
    camera = ReplayCamera(path)
    with pytest.raises(UnsupportedError, match="axes TCYX; a stack of full frames has TYX"):
        camera.open()
    assert not camera.is_open


def test_pixels_other_than_uint8_and_uint16_are_refused_with_what_to_do(write_stack, frames):
    with pytest.raises(UnsupportedError, match=r"float32; uint8 or uint16 .*ImageJ"):
        ReplayCamera(write_stack(frames.astype(np.float32))).open()


def test_a_file_that_is_no_tiff_is_refused(tmp_path):
    (tmp_path / "notes.tiff").write_text("not a TIFF")
    with pytest.raises(ProtocolError, match="not a readable TIFF"):
        ReplayCamera(tmp_path / "notes.tiff").open()


@pytest.mark.parametrize("n_bytes_kept", [400, 1_000, 1_500])
def test_a_file_that_was_cut_off_is_refused(write_stack, frames, n_bytes_kept):
    path = write_stack(frames)
    path.write_bytes(path.read_bytes()[:n_bytes_kept])
    with pytest.raises(ProtocolError, match=r"stack\.tiff is (cut off|shorter)"):
        ReplayCamera(path).open()


def test_a_compressed_page_that_is_damaged_is_reported_when_it_is_played(
    play, clock, write_stack, frames
):
    path = write_stack(frames, compression="zlib")
    good = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[1].dataoffsets[0]
    path.write_bytes(good[:offset] + bytes(20) + good[offset + 20 :])
    camera = play(path)
    clock.sleep_s(0.01)
    assert fetch(camera)[0].frame_number == 0
    with pytest.raises(ProtocolError, match="frame 1"):
        fetch(camera)


def test_videos_that_differ_in_shape_are_refused(write_stack, frames, tmp_path):
    write_stack(frames, name="Video 1.tiff")
    write_stack(frames[:, :6], name="Video 2.tiff")
    with pytest.raises(ProtocolError, match="differ"):
        ReplayCamera(tmp_path).open()


def test_a_frame_rate_that_makes_no_sense_is_refused_before_anything_is_opened(write_stack):
    with pytest.raises(SettingError, match="framerate_hz = 0"):
        ReplayCamera("x.tiff", framerate_hz=0)


def test_a_closed_replay_has_no_format(write_stack, frames):
    with pytest.raises(DisconnectedError, match="open it first"):
        _ = ReplayCamera(write_stack(frames)).frame_format
