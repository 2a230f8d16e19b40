"""A capture, played by the replay drivers: what is asked again is answered again."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from hal import DeviceContext
from hal.drivers.replay import ReplayCamera, ReplayFocus, ReplayMotor, ReplayRotary
from hal.errors import (
    DisconnectedError,
    DivergenceError,
    LimitError,
    OptionError,
    ProtocolError,
    SettingError,
)

SMALL = {"width_px": 128, "height_px": 128, "n_tethered": 1, "n_stuck": 0}


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def play(clock, warnings):
    devices = []

    def play(driver, path, *, is_open=True, **options):
        device = driver(path, **options)
        device.context = DeviceContext(clock=clock, warn=warnings.append)
        devices.append(device)
        if is_open:
            device.open()
        return device

    yield play
    for device in devices:
        device.close()


def fetch_all(camera):
    frames = []
    out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)
    while (info := camera.fetch_into(out)) is not None:
        frames.append((info, out.copy()))
    return frames


def fetch_for(camera, clock, steps):
    """Fetch as a manager does: when the camera says that it is worth it."""
    frames = []
    for _ in range(steps):
        clock.sleep_s(min(camera.ready_in_s(), 0.01))
        frames += fetch_all(camera)
    return frames


@pytest.fixture
def filmed(make_capture, clock):
    """A capture of a camera whose 20 frames came late in bursts of five, and those frames."""

    def story(camera):
        camera.open()
        camera.set("exposure_us", 1000.0)
        clock.sleep_s(0.5)
        camera.start()
        story.start = clock.now_ns()
        story.frames = []
        for _ in range(4):
            clock.sleep_s(0.05)
            story.frames += fetch_all(camera)
        camera.stop()
        camera.close()

    path = make_capture("sim.bead-camera", story, role="camera", framerate_hz=100.0, **SMALL)
    assert len(story.frames) == 20
    return path, story


def same(played, frames, shift_ns):
    for (info, pixels), (was, were) in zip(played, frames, strict=True):
        assert info.frame_number == was.frame_number
        assert info.timestamp_ns == was.timestamp_ns + shift_ns
        np.testing.assert_array_equal(info.annotation, was.annotation)
        np.testing.assert_array_equal(pixels, were)


def test_frames_come_bit_for_bit_at_the_end_of_their_exposures(play, clock, filmed, warnings):
    path, story = filmed
    clock.sleep_s(1000.0)
    camera = play(ReplayCamera, path)
    camera.set("exposure_us", 1000.0)
    camera.start()
    start_ns = clock.now_ns()
    came = []
    while len(came) < 20:
        clock.sleep_s(camera.ready_in_s())
        came += [(info, pixels, clock.now_ns()) for info, pixels in fetch_all(camera)]
    same([c[:2] for c in came], story.frames, start_ns - story.start)
    assert all(info.timestamp_ns == at_ns for info, _, at_ns in came)
    camera.stop()
    camera.close()
    assert warnings == []


def test_no_frame_is_lost_however_late_it_is_fetched(play, clock, filmed):
    path, _ = filmed
    camera = play(ReplayCamera, path)
    assert camera.keeps_all_frames
    camera.set("exposure_us", 1000.0)
    camera.start()
    clock.sleep_s(60.0)
    assert len(fetch_all(camera)) == 20
    assert camera.ready_in_s() > 0.1


def test_at_the_fast_pace_all_frames_are_there_at_once(play, clock, filmed):
    path, story = filmed
    camera = play(ReplayCamera, path, pace="fast")
    camera.set("exposure_us", 1000.0)
    camera.start()
    assert camera.ready_in_s() == 0.0
    same(fetch_all(camera), story.frames, clock.now_ns() - story.start)


def test_a_clock_that_was_set_delays_no_frame_beyond_the_moment_it_was_fetched(play, clock, filmed):
    path, story = filmed
    jump = 3_600 * 10**9
    text = path.read_text()
    for info, _ in story.frames[5:]:
        text = text.replace(str(info.timestamp_ns), str(info.timestamp_ns + jump))
    path.write_text(text)
    camera = play(ReplayCamera, path)
    camera.set("exposure_us", 1000.0)
    camera.start()
    clock.sleep_s(0.2)
    assert len(fetch_all(camera)) == 20


def test_the_device_that_was_captured_is_named_and_is_not_real(play, filmed):
    identity = play(ReplayCamera, filmed[0]).identity
    assert identity.model == "simulated bead camera"
    assert identity.driver == "replay"
    assert not identity.is_real


def test_an_error_comes_again_at_its_place_and_the_frames_go_on(play, clock, make_capture):
    def story(camera):
        camera.open()
        camera.start()
        clock.sleep_s(0.008)
        assert len(fetch_all(camera)) == 1
        clock.sleep_s(0.01)
        with pytest.raises(SettingError):
            camera.fetch_into(np.zeros((1, 1), np.uint8))
        assert len(fetch_all(camera)) == 1

    camera = play(ReplayCamera, make_capture("sim.bead-camera", story, **SMALL))
    camera.start()
    clock.sleep_s(1.0)
    out = np.zeros((128, 128), np.uint8)
    assert camera.fetch_into(out).frame_number == 0
    with pytest.raises(SettingError, match=r"frame to fill is \(1, 1\)"):
        camera.fetch_into(out)
    assert camera.fetch_into(out).frame_number == 1
    assert camera.fetch_into(out) is None


def test_each_start_plays_what_followed_the_captured_one(play, clock, make_capture):
    def story(camera):
        camera.open()
        for n_frames in (2, 5):
            camera.start()
            clock.sleep_s(n_frames * 0.01)
            fetch_all(camera)
            camera.stop()

    camera = play(ReplayCamera, make_capture("sim.bead-camera", story, **SMALL))
    assert camera.n_frames == 7
    counts = []
    for _ in range(3):
        camera.start()
        counts.append(len(fetch_for(camera, clock, 10)))
        camera.stop()
    assert counts == [2, 5, 5]


@pytest.fixture
def moved(make_capture, clock):
    """A capture of a focus that moved by 1000 nm and on by 500 nm, and was refused once between."""

    def story(motor):
        motor.open()
        motor.read_position()
        story.took_s = []
        for target in (1000.0, 1500.0):
            motor.move_to(target)
            began_ns = clock.monotonic_ns()
            while motor.is_moving:
                motor.read_position()
                clock.sleep_s(0.002)
            motor.read_position()
            story.took_s.append((clock.monotonic_ns() - began_ns) / 1e9)
            clock.sleep_s(1.0)
            if target == 1000.0:
                with pytest.raises(LimitError):
                    motor.move_to(1e9)
        motor.stop()
        motor.close()

    return make_capture("sim.focus", story, speed_nm_per_s=5e4), story


def arrival_s(motor, clock):
    began_ns = clock.monotonic_ns()
    while motor.is_moving:
        clock.sleep_s(0.002)
    return (clock.monotonic_ns() - began_ns) / 1e9


def test_a_movement_takes_the_time_that_it_took(play, clock, moved, warnings):
    path, story = moved
    motor = play(ReplayFocus, path)
    clock.sleep_s(77.0)
    assert not motor.is_moving
    assert motor.read_position() == 0.0
    motor.move_to(1000.0)
    assert motor.target == 1000.0
    clock.sleep_s(story.took_s[0] / 2)
    assert motor.is_moving
    assert 200.0 < motor.read_position() < 800.0
    assert arrival_s(motor, clock) == pytest.approx(story.took_s[0] / 2, abs=0.004)
    assert motor.read_position() == 1000.0
    with pytest.raises(LimitError, match=r"target 1e\+09 nm is outside the axis"):
        motor.move_to(1e9)
    motor.move_to(1500.0)
    assert arrival_s(motor, clock) == pytest.approx(story.took_s[1], abs=0.004)
    assert motor.read_position() == 1500.0
    motor.stop()
    motor.close()
    assert warnings == []


def test_at_the_fast_pace_a_movement_is_over_at_once(play, moved):
    motor = play(ReplayFocus, moved[0], pace="fast")
    motor.move_to(1000.0)
    assert not motor.is_moving
    assert motor.read_position() == 1000.0


def test_a_divergence_is_reported_once_with_both_calls_and_their_times(
    play, clock, moved, warnings
):
    motor = play(ReplayFocus, moved[0])
    clock.sleep_s(2.5)
    motor.move_to(1234.0)
    motor.move_to(1235.0)
    (text,) = warnings
    assert "it.capture differs from what is asked" in text
    assert (
        "captured is begin_move(1000.0) at 0.000 s, asked is begin_move(1234.0) at 2.500 s" in text
    )


def test_after_a_divergence_a_motor_moves_as_an_ideal_one(play, clock, moved):
    motor = play(ReplayFocus, moved[0])
    motor.move_to(-2000.0)
    assert motor.is_moving
    assert arrival_s(motor, clock) == pytest.approx(2000.0 / motor.axis.max_speed, abs=0.004)
    assert motor.read_position() == -2000.0
    motor.move_to(20_000.0)
    clock.sleep_s(0.01)
    motor.stop()
    assert not motor.is_moving
    assert motor.read_position() == pytest.approx(8000.0)
    with pytest.raises(LimitError):
        motor.move_to(1e8)


def test_the_next_captured_command_leads_back_to_what_was_captured(play, clock, moved, warnings):
    path, story = moved
    motor = play(ReplayFocus, path)
    motor.move_to(-2000.0)
    motor.move_to(1000.0)
    assert arrival_s(motor, clock) == pytest.approx(story.took_s[0], abs=0.004)
    assert motor.read_position() == 1000.0
    motor.move_to(1500.0)
    assert arrival_s(motor, clock) == pytest.approx(story.took_s[1], abs=0.004)
    motor.stop()
    motor.close()
    assert len(warnings) == 1


def test_a_command_that_is_left_out_is_reported_and_the_next_is_followed(
    play, clock, moved, warnings
):
    path, story = moved
    motor = play(ReplayFocus, path)
    motor.move_to(1500.0)
    (text,) = warnings
    assert "captured is begin_move(1000.0)" in text
    assert "asked is begin_move(1500.0)" in text
    assert motor.read_position() == 1000.0, "where the captured one came from"
    assert arrival_s(motor, clock) == pytest.approx(story.took_s[1], abs=0.004)
    assert motor.read_position() == 1500.0
    motor.stop()
    motor.close()
    assert len(warnings) == 1


def test_where_a_divergence_stops_it_every_call_but_those_of_the_end_says_so(play, moved, warnings):
    motor = play(ReplayFocus, moved[0], on_divergence="stop")
    for ask in (lambda: motor.move_to(3.0), motor.read_position, lambda: motor.move_to(1000.0)):
        with pytest.raises(DivergenceError, match=r"begin_move\(1000.0\).*begin_move\(3.0\)"):
            ask()
    assert warnings == []
    motor.close()
    assert not motor.is_open


def test_another_value_of_a_setting_is_reported_and_taken(play, filmed, warnings):
    camera = play(ReplayCamera, filmed[0])
    assert camera.set("exposure_us", 2000.0) == 2000.0
    assert camera.get("exposure_us") == 2000.0
    assert "set('exposure_us', 1000.0)" in warnings[0]
    assert "set('exposure_us', 2000.0)" in warnings[0]
    with pytest.raises(SettingError, match="must lie between"):
        camera.set("exposure_us", 1e9)
    assert camera.set("exposure_us", 1000.0) == 1000.0
    assert camera.get("exposure_us") == 1000.0
    assert len(warnings) == 1


def test_a_value_that_nobody_read_is_not_made_up(play, filmed):
    with pytest.raises(SettingError, match="framerate_hz was never read"):
        play(ReplayCamera, filmed[0]).get("framerate_hz")


def test_who_ends_a_session_where_the_capture_was_cut_off_is_not_reported(play, moved, warnings):
    path, _ = moved
    lines = path.read_bytes().split(b"\n")
    cut = next(n for n, line in enumerate(lines) if b'"halt"' in line)
    path.write_bytes(b"\n".join(lines[:cut]) + b"\n")
    motor = play(ReplayFocus, path)
    for target in (1000.0, 1e9, 1500.0):
        with pytest.raises(LimitError) if target > 1e8 else nullcontext():
            motor.move_to(target)
    motor.stop()
    motor.close()
    assert warnings == []
    motor.open()
    assert warnings == [], "all was played: it begins anew"


@pytest.mark.parametrize("pace", ["real", "fast"])
def test_a_movement_in_which_the_capture_was_cut_off_comes_to_an_end(play, clock, moved, pace):
    path, _ = moved
    lines = path.read_bytes().split(b"\n")
    moving = [n for n, line in enumerate(lines) if b'"is_moving"' in line and b"true" in line]
    path.write_bytes(b"\n".join(lines[: moving[2] + 1]) + b"\n")
    motor = play(ReplayFocus, path, pace=pace)
    motor.move_to(1000.0)
    assert motor.is_moving == (pace == "real")
    clock.sleep_s(1.0)
    assert not motor.is_moving
    assert 0.0 <= motor.read_position() < 1000.0


def test_a_path_is_relative_to_the_rig_file(clock, filmed, tmp_path):
    for directory, path in ((tmp_path, "camera.capture"), (tmp_path.parent, tmp_path.name)):
        camera = ReplayCamera(path)
        camera.context = replace(DeviceContext(clock=clock), directory=directory)
        with camera:
            assert camera.n_frames == 20


def test_a_capture_of_another_kind_of_device_is_refused(play, moved, filmed):
    with pytest.raises(OptionError, match=r"capture of a focus device; replay plays camera"):
        play(ReplayCamera, moved[0])
    with pytest.raises(OptionError, match=r"capture of a camera device; replay.rotary plays"):
        play(ReplayRotary, filmed[0])
    assert play(ReplayMotor, moved[0]).axis.unit == "nm"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pace": "slow"}, "pace = 'slow': choose one of real, fast"),
        ({"on_divergence": "cry"}, "on_divergence = 'cry': choose one of report, stop"),
    ],
)
@pytest.mark.parametrize("driver", [ReplayCamera, ReplayFocus])
def test_a_wrong_word_is_refused_with_the_choices(driver, options, words):
    with pytest.raises(OptionError, match=words):
        driver("it.capture", **options)


def test_a_capture_has_no_frame_rate_to_be_chosen(play, filmed):
    with pytest.raises(OptionError, match="is a capture, and has times of its own"):
        play(ReplayCamera, filmed[0], framerate_hz=10.0)


def test_a_capture_that_was_cut_off_before_the_device_was_open_is_refused(play, filmed):
    path, _ = filmed
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
    with pytest.raises(ProtocolError, match="cut off before it was open"):
        play(ReplayCamera, path)


def test_a_device_that_did_not_open_does_not_open_again(play, make_capture, tmp_path):
    def story(camera):
        with pytest.raises(OptionError):
            camera.open()

    path = make_capture("replay", story, path=str(tmp_path / "gone.tiff"))
    camera = play(ReplayCamera, path, is_open=False)
    with pytest.raises(OptionError, match="no such file or directory"):
        camera.open()
    assert not camera.is_open


def test_a_closed_one_answers_nothing(play, moved, filmed):
    camera, motor = play(ReplayCamera, filmed[0]), play(ReplayFocus, moved[0])
    camera.close()
    motor.close()
    for ask in (camera.start, motor.read_position, lambda: motor.axis):
        with pytest.raises(DisconnectedError, match="open it first"):
            ask()
