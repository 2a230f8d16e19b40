"""What is written down of a device, and what is read of it again, whenever its writer ended."""

import errno
import json

import numpy as np
import pytest

from hal import Camera, DeviceContext, FrameFormat, FrameInfo, Identity
from hal.errors import LimitError, OptionError, ProtocolError, SettingError, UnsupportedError
from hal.recording import CaptureWriter, is_capture, read_capture, recorded
from hal.registry import create, load_driver

SMALL = {"width_px": 128, "height_px": 128, "n_tethered": 1, "n_stuck": 0}


class Deep(Camera):
    """A camera of 16 bits without annotations, whose frames have an odd number of pixels."""

    identity = Identity("My lab", "deep", "1", driver="deep", is_real=False)
    frame_format = FrameFormat(5, 3, 16)
    is_open = True

    def open(self):
        self.count = 0

    def close(self):
        pass

    def start(self):
        pass

    def stop(self):
        pass

    def fetch_into(self, out):
        out[:] = np.arange(15).reshape(3, 5) + 1000 * self.count
        self.count += 1
        return FrameInfo(self.count - 1, self.context.clock.now_ns())


def calls(capture):
    return [call.words for call in capture.calls if call.frame is None]


def take_frames(device, clock, n_frames=4):
    frames = []
    out = np.zeros(device.frame_format.shape, device.frame_format.dtype)
    while len(frames) < n_frames:
        clock.sleep_s(0.01)
        if (info := device.fetch_into(out)) is not None:
            frames.append((info, out.copy()))
    return frames


def test_every_call_is_written_with_its_answer_and_its_times(make_capture, clock):
    began = clock.monotonic_ns(), clock.now_ns()

    def story(motor):
        motor.open()
        clock.sleep_s(1.5)
        assert motor.set("speed_nm_per_s", 1000) == 1000.0
        motor.move_to(500.0)
        assert motor.target == 500.0
        assert motor.is_moving
        motor.stop()
        motor.close()

    capture = read_capture(make_capture("sim.focus", story))
    assert calls(capture) == [
        "open()", "set('speed_nm_per_s', 1000)", "begin_move(500.0)", "is_moving()", "halt()",
        "close()",
    ]  # fmt: skip
    taken = capture.calls[1]
    assert taken.answer == 1000.0
    assert (taken.at_ns, taken.unix_ns) == tuple(began_ns + 1_500_000_000 for began_ns in began)
    assert not capture.is_cut


def test_a_call_that_fails_is_written_with_the_class_and_the_words_of_its_error(make_capture):
    def story(motor):
        motor.open()
        with pytest.raises(LimitError) as caught:
            motor.move_to(1e9)
        story.words = str(caught.value)
        with pytest.raises(SettingError):
            motor.get("colour")
        with pytest.raises(UnsupportedError):
            motor.home()

    capture = read_capture(make_capture("sim.focus", story))
    refused, unknown, homeless = [call.error for call in capture.calls if call.error]
    assert type(refused) is LimitError
    assert str(refused) == story.words
    assert type(unknown) is SettingError
    assert type(homeless) is UnsupportedError


def test_the_header_and_the_description_say_which_device_it_was(make_capture):
    capture = read_capture(make_capture("sim.bead-camera", role="camera", **SMALL))
    assert capture.header["role"] == capture.kind == "camera"
    assert capture.header["driver"] == "sim.bead-camera"
    assert capture.header["options"] == SMALL
    _, description = capture.descriptions[0]
    assert description.frame_format == FrameFormat(128, 128, 8)
    assert [s.name for s in description.settings] == ["framerate_hz", "exposure_us"]
    assert description.settings[0].kind is float


def test_a_setting_that_changes_the_limits_of_others_is_described_again(make_capture):
    def story(camera):
        camera.open()
        camera.set("framerate_hz", 1000.0)
        camera.set("exposure_us", 20.0)

    capture = read_capture(make_capture("sim.bead-camera", story, **SMALL))
    upper = [d.settings[1].upper for _, d in capture.descriptions]
    assert upper == [10_000.0, 1000.0]


def test_frames_and_their_rows_come_back_bit_for_bit(make_capture, clock):
    def story(camera):
        camera.open()
        camera.start()
        story.frames = take_frames(camera, clock)

    capture = read_capture(make_capture("sim.bead-camera", story, **SMALL))
    form = capture.descriptions[0][1].frame_format
    captured = [call.frame for call in capture.calls if call.frame]
    assert len(captured) == len(story.frames)
    for frame, (info, pixels) in zip(captured, story.frames, strict=True):
        assert (frame.number, frame.timestamp_ns) == (info.frame_number, info.timestamp_ns)
        np.testing.assert_array_equal(capture.pixels(frame, form), pixels)
        np.testing.assert_array_equal(capture.annotation(frame, form), info.annotation)


def test_frames_of_16_bits_and_an_odd_size_come_back_bit_for_bit(tmp_path, context):
    device = Deep()
    device.context = context
    writer = CaptureWriter(tmp_path, "deep", device, driver="d", options={}, complain=pytest.fail)
    camera = recorded(device, writer)
    camera.open()
    camera.start()
    out = np.zeros((3, 5), np.uint16)
    for _ in range(3):
        camera.fetch_into(out)
    writer.close()
    capture = read_capture(writer.path)
    last = capture.calls[-1].frame
    np.testing.assert_array_equal(capture.pixels(last, device.frame_format), out)
    assert capture.annotation(last, device.frame_format) is None


class Kept:
    """Files in memory, with every write in its order, as a kill at any moment finds them."""

    def __init__(self, fails_at=None):
        self.writes = []
        self.fails_at = fails_at

    def __call__(self, path):
        kept = self

        class File:
            def write(self, data):
                if kept.fails_at is not None and len(kept.writes) >= kept.fails_at:
                    raise OSError(errno.ENOSPC, "No space left on device")
                kept.writes.append((path, bytes(data)))
                return len(data)

            def close(self):
                pass

        path.touch()
        return File()

    def killed_at(self, index, n_bytes, directory):
        """Write what is on disk when the writer is killed in the middle of a write."""
        content = {path: b"" for path, _ in self.writes}
        for path, data in self.writes[:index]:
            content[path] += data
        path, data = self.writes[index]
        content[path] += data[:n_bytes]
        for path, data in content.items():
            (directory / path.name).write_bytes(data)


def written(tmp_path, clock, kept, driver="sim.bead-camera", complain=pytest.fail, n_frames=3):
    """Write the capture of a few frames with these files."""
    options = SMALL if driver == "sim.bead-camera" else {}
    context = DeviceContext.standalone(load_driver(driver), clock=clock, seed=3)
    device = create(driver, options, context)
    writer = CaptureWriter(
        tmp_path, "camera", device, driver=driver, options=options, complain=complain,
        open_file=kept,
    )  # fmt: skip
    camera = recorded(device, writer)
    camera.open()
    camera.start()
    frames = take_frames(camera, clock, n_frames)
    camera.close()
    return frames


def test_f1_a_capture_whose_writer_was_killed_at_any_point_can_be_read(tmp_path, clock):
    kept = Kept()
    written(tmp_path, clock, kept)
    lost_most = 0
    whole_before = -1
    header = next(n for n, (path, _) in enumerate(kept.writes) if path.suffix == ".capture")
    for index in range(header + 1, len(kept.writes)):
        path, data = kept.writes[index]
        lines = [d for p, d in kept.writes[:index] if p.suffix == ".capture"]
        frames = sum(b'"frame"' in line for line in lines)
        for n_bytes in {0, 1, len(data) // 2, len(data) - 1}:
            kept.killed_at(index, n_bytes, tmp_path)
            capture = read_capture(tmp_path / "camera.capture")
            read = sum(call.frame is not None for call in capture.calls)
            assert read == frames, f"killed at byte {n_bytes} of write {index}"
            assert capture.is_cut == (path.suffix == ".capture" and n_bytes > 0)
            lost_most = max(lost_most, frames - read)
        whole_before = max(whole_before, frames)
    assert whole_before == 3
    assert lost_most == 0


def test_what_is_left_when_the_machine_has_lost_pixels_ends_before_their_frame(make_capture, clock):
    path = make_capture("sim.bead-camera", **SMALL)
    n_frames = sum(call.frame is not None for call in read_capture(path).calls)
    frames = path.with_suffix(".frames")
    frames.write_bytes(frames.read_bytes()[:-1])
    capture = read_capture(path)
    assert capture.is_cut
    assert sum(call.frame is not None for call in capture.calls) == n_frames - 1


def test_f2_a_full_disk_ends_the_capture_and_never_the_use_of_the_device(tmp_path, clock):
    whole = Kept()
    written(tmp_path, clock, whole)
    for fails_at in range(1, len(whole.writes)):
        complaints = []
        kept = Kept(fails_at)
        frames = written(tmp_path, clock, kept, complain=complaints.append)
        assert len(frames) == 3
        assert len(complaints) == 1
        assert "No space left on device" in complaints[0]
        assert "the device goes on" in complaints[0]
        kept.writes.append((tmp_path / "camera.frames", b""))
        kept.killed_at(len(kept.writes) - 1, 0, tmp_path)
        read_capture(tmp_path / "camera.capture")


def test_nothing_is_overwritten(make_capture):
    path = make_capture("sim.focus")
    before = path.read_bytes()
    with pytest.raises(AssertionError, match=r"can not write .*it\.capture.*File exists"):
        make_capture("sim.focus")
    assert path.read_bytes() == before


def test_only_a_capture_is_taken_for_one(make_capture, tmp_path, write_stack, frames):
    assert is_capture(make_capture("sim.bead-camera", role="camera", **SMALL))
    assert is_capture(tmp_path)
    assert not is_capture(write_stack(frames))
    assert not is_capture(tmp_path / "gone")
    with pytest.raises(OptionError, match=r"gone.*give a file <role>\.capture"):
        read_capture(tmp_path / "gone")
    (tmp_path / "notes").write_text("a note\n")
    with pytest.raises(ProtocolError, match="is no capture"):
        read_capture(tmp_path / "notes")


def test_a_capture_of_another_version_is_refused_with_both(make_capture):
    path = make_capture("sim.focus")
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2', 1))
    with pytest.raises(ProtocolError, match="version 2; this program reads 1"):
        read_capture(path)


@pytest.mark.parametrize("damage", [b"{]", b'{"call":"open"}', b"[1]", b'{"describe":{}}'])
def test_a_damaged_line_that_is_not_the_last_is_named(make_capture, damage):
    path = make_capture("sim.focus")
    lines = path.read_bytes().split(b"\n")
    lines[4] = damage
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ProtocolError, match="line 5 is damaged"):
        read_capture(path)


def test_a_call_takes_one_line_and_each_line_is_json(make_capture):
    path = make_capture("sim.bead-camera", **SMALL)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum("describe" in record for record in records) == 1
    polls = [r for r in records if r.get("call") == "fetch_into" and "frame" not in r]
    assert polls, "also what gave no frame is there"
    assert all(record["answer"] is None for record in polls)


def test_what_is_neither_camera_nor_motor_can_not_be_captured(tmp_path, context):
    device = Deep()
    device.context = context
    writer = CaptureWriter(tmp_path, "x", device, driver="d", options={}, complain=pytest.fail)
    with pytest.raises(UnsupportedError, match="a str can not be captured"):
        recorded("a device", writer)
    writer.close()
