"""What every camera and every motor does, whoever made it: the contracts of `hal`, tried out."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import peers
import pytest

from hal import Camera, DeviceContext, Identity, LinearMotor, MachineClock, Motor, RotaryMotor
from hal.clock import NS_PER_S
from hal.errors import DisconnectedError, LimitError, SettingError, UnsupportedError
from hal.registry import create, load_driver

DEADLINE_S = 20.0


@dataclass(frozen=True)
class Case:
    """A driver under test.

    Attributes:
        driver: Its name in a rig file.
        has_own_time: Whether a machine stands behind it, which knows nothing of a virtual clock.
        options: Its options, made from the path of a TIFF stack.
        captured: The driver whose capture it plays.
    """

    driver: str
    has_own_time: bool = False
    options: Callable[[Any], dict[str, Any]] = lambda _: {}
    captured: str = ""


DEMO_CAMERA = {
    "width_px": 64,
    "height_px": 48,
    "buffer_mb": 4,
    "properties": {"AsyncPropertyDelayMS": 0},  # else closing waits for 2 s
}
CAMERAS = [
    Case("sim.bead-camera"),
    Case("replay", options=lambda stack: {"path": stack}),
    Case("replay", captured="sim.bead-camera"),
    Case("micromanager.camera", True, lambda _: DEMO_CAMERA),
    Case("custom_camera:MyCamera"),
]
MOTORS = [
    Case("sim.focus"),
    Case("sim.magnet-height"),
    Case("sim.magnet-rotation"),
    Case("replay.motor", captured="sim.magnet-height"),
    Case("replay.rotary", captured="sim.magnet-rotation"),
    Case("replay.focus", captured="sim.focus"),
    Case("micromanager.stage", True),
    Case("micromanager.focus", True),
    Case("pi-gcs", True, lambda _: peers.focus_options()),
    Case("zaber.linear", True, lambda _: peers.linear_options()),
    Case("zaber.rotary", True, lambda _: peers.rotary_options()),
    Case("custom_motor:MyMotor"),
]


def name_of(case: Case) -> str:
    return case.driver


@pytest.fixture(params=CAMERAS, ids=name_of)
def case(request) -> Case:
    return request.param


@pytest.fixture
def device(case, clock, write_stack, frames, examples_on_path, make_capture):
    context = DeviceContext.standalone(
        load_driver(case.driver), clock=MachineClock() if case.has_own_time else clock, seed=3
    )
    options = case.options(write_stack(frames))
    if case.captured:
        options |= {"path": make_capture(case.captured)}
    device = create(case.driver, options, context)
    yield device
    device.close()


@pytest.fixture
def camera(device) -> Camera:
    return device


@pytest.fixture
def motor(device) -> Motor:
    return device


for_motors = pytest.mark.parametrize("case", MOTORS, ids=name_of)
for_all = pytest.mark.parametrize("case", CAMERAS + MOTORS, ids=name_of)


def wait_until(device, condition, pause_s=0.001):
    clock = device.context.clock
    deadline_ns = clock.monotonic_ns() + round(DEADLINE_S * NS_PER_S)
    while not (found := condition()):
        assert clock.monotonic_ns() < deadline_ns, f"not within {DEADLINE_S:g} s: {device.identity}"
        clock.sleep_s(pause_s)
    return found


def empty_frame(camera):
    return np.zeros(camera.frame_format.shape, camera.frame_format.dtype)


def next_frame(camera, out):
    return wait_until(camera, lambda: camera.fetch_into(out), 0.001)


def settled(motor):
    wait_until(motor, lambda: not motor.is_moving, 0.005)
    return motor.read_position()


@for_all
def test_a_device_is_closed_until_it_is_opened_and_after_it_is_closed(device):
    assert not device.is_open
    device.close()
    for _ in range(3):
        device.open()
        device.open()
        assert device.is_open
        device.close()
        device.close()
        assert not device.is_open


@for_all
def test_a_device_says_who_it_is_under_the_name_of_its_driver(device, case):
    device.open()
    identity = device.identity
    assert isinstance(identity, Identity)
    assert identity.driver == case.driver
    assert identity.vendor
    assert identity.model
    assert identity.is_real is False


@for_all
def test_every_setting_reads_as_its_type_and_takes_its_own_value(device):
    device.open()
    names = [setting.name for setting in device.settings]
    assert len(set(names)) == len(names)
    for setting in device.settings:
        value = device.get(setting.name)
        assert type(value) is setting.kind, setting
        if setting.is_read_only:
            with pytest.raises(SettingError):
                device.set(setting.name, value)
        else:
            taken = device.set(setting.name, value)
            assert taken == device.get(setting.name), setting
            assert taken == (pytest.approx(value) if setting.kind is float else value), setting


@for_all
def test_a_value_outside_a_settings_limits_or_choices_is_refused_and_changes_nothing(device):
    device.open()
    for setting in device.settings:
        before = device.get(setting.name)
        wrong = [limit for limit in (setting.lower, setting.upper) if limit is not None]
        wrong = [limit + step for limit, step in zip(wrong, (-1, 1), strict=False)]
        if setting.kind is not str:
            wrong += ["none", math.nan]
        elif setting.choices:
            wrong.append("no such choice")
        for value in wrong:
            with pytest.raises(SettingError, match=re.escape(setting.name)):
                device.set(setting.name, value)
        assert device.get(setting.name) == before


@for_all
def test_an_unknown_setting_is_refused(device):
    device.open()
    with pytest.raises(SettingError, match="no_such_setting"):
        device.get("no_such_setting")
    with pytest.raises(SettingError, match="no_such_setting"):
        device.set("no_such_setting", 1)


def test_frames_fill_the_array_that_the_format_declares_in_rising_order(camera):
    camera.open()
    out = empty_frame(camera)
    assert out.dtype in (np.uint8, np.uint16)
    camera.start()
    infos = [next_frame(camera, out) for _ in range(5)]
    assert infos[0].frame_number == 0
    for before, after in pairwise(infos):
        assert after.frame_number > before.frame_number
        assert after.timestamp_ns > before.timestamp_ns
    assert abs(camera.context.clock.now_ns() - infos[-1].timestamp_ns) < 10 * NS_PER_S
    assert out.any()


def test_annotations_have_the_columns_that_the_camera_declares(camera):
    camera.open()
    camera.start()
    annotation = next_frame(camera, empty_frame(camera)).annotation
    if annotation is None:
        assert not camera.annotation_columns
    else:
        assert camera.annotation_name
        assert annotation.dtype == np.float64
        assert annotation.shape[1:] == (len(camera.annotation_columns),)


def test_the_frame_is_untouched_when_there_is_none_to_fetch(camera):
    camera.open()
    out = empty_frame(camera)
    assert camera.fetch_into(out) is None  # not started
    camera.start()
    for _ in range(100):
        sentinel = np.full_like(out, 171)
        if camera.fetch_into(sentinel) is None:
            break
    assert (sentinel == 171).all()


def test_a_camera_says_when_to_ask_again(camera):
    camera.open()
    camera.start()
    next_frame(camera, empty_frame(camera))
    assert 0.0 <= camera.ready_in_s() <= 1.0


def test_no_frame_comes_after_stop_which_is_prompt_and_may_be_repeated(camera):
    camera.stop()
    camera.open()
    camera.stop()
    camera.start()
    out = empty_frame(camera)
    next_frame(camera, out)
    before_ns = MachineClock().monotonic_ns()
    camera.stop()
    camera.stop()
    assert MachineClock().monotonic_ns() - before_ns < NS_PER_S
    out[:] = 171
    camera.context.clock.sleep_s(0.03)
    assert camera.fetch_into(out) is None
    assert (out == 171).all()


def test_the_numbers_begin_at_zero_whenever_the_camera_is_started(camera):
    camera.open()
    out = empty_frame(camera)
    last_ns = 0
    for _ in range(3):
        camera.start()
        infos = [next_frame(camera, out) for _ in range(3)]
        assert infos[0].frame_number == 0
        assert infos[0].timestamp_ns > last_ns
        last_ns = infos[-1].timestamp_ns
        camera.stop()
        camera.context.clock.sleep_s(0.001)
    camera.close()
    camera.open()
    camera.start()
    assert next_frame(camera, out).frame_number == 0


def test_a_closed_camera_gives_no_frames_and_does_not_start(camera):
    camera.open()
    out = empty_frame(camera)
    camera.start()
    camera.close()
    with pytest.raises(DisconnectedError):
        camera.fetch_into(out)
    with pytest.raises(DisconnectedError):
        camera.start()
    camera.stop()


@for_motors
def test_an_axis_has_a_range_that_holds_the_position(motor):
    motor.open()
    axis = motor.axis
    assert axis.lower < axis.upper
    assert axis.resolution > 0
    assert axis.max_speed > 0
    assert isinstance(motor, LinearMotor if axis.unit == "nm" else RotaryMotor)
    assert motor.unit == axis.unit
    assert axis.lower - axis.resolution <= motor.read_position() <= axis.upper + axis.resolution


@for_motors
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 1.0])
def test_a_move_ends_within_the_resolution_of_its_target(motor, fraction):
    motor.open()
    axis = motor.axis
    target = axis.lower + fraction * (axis.upper - axis.lower)
    if axis.max_speed * DEADLINE_S / 2 < axis.upper - axis.lower:  # as far as there is time for
        target = motor.read_position() + (fraction - 0.5) * axis.max_speed
        target = min(max(target, axis.lower), axis.upper)
    motor.move_to(target)
    assert motor.target == target
    assert settled(motor) == pytest.approx(target, abs=axis.resolution)


@for_motors
def test_a_new_target_replaces_one_that_is_under_way(motor):
    motor.open()
    step = min(motor.axis.max_speed, motor.axis.upper - motor.axis.lower) / 4
    start = motor.read_position()
    there = start + step if start + step <= motor.axis.upper else start - step
    motor.move_to(there)
    motor.move_to(start)
    assert settled(motor) == pytest.approx(start, abs=motor.axis.resolution)


@for_motors
def test_a_target_outside_the_axis_is_refused_and_nothing_moves(motor):
    motor.open()
    before = settled(motor)
    span = motor.axis.upper - motor.axis.lower
    outside = [motor.axis.upper + span, motor.axis.lower - span, math.inf, -math.inf, math.nan]
    for target in [*outside, math.nextafter(motor.axis.upper, math.inf)]:
        with pytest.raises(LimitError):
            motor.move_to(target)
    assert not motor.is_moving
    assert motor.read_position() == pytest.approx(before, abs=motor.axis.resolution)


@for_motors
def test_a_motor_that_was_stopped_stays_where_it_is(motor):
    motor.open()
    motor.stop()
    motor.move_to(motor.axis.upper if motor.read_position() < 0 else motor.axis.lower)
    motor.context.clock.sleep_s(0.01)
    motor.stop()
    motor.stop()
    stopped_at = settled(motor)
    assert motor.target == pytest.approx(stopped_at, abs=motor.axis.resolution)
    motor.context.clock.sleep_s(0.02)
    assert motor.read_position() == pytest.approx(stopped_at, abs=motor.axis.resolution)


@for_motors
def test_a_motor_goes_home_or_says_that_it_has_none(motor):
    motor.open()
    if motor.axis.can_home:
        motor.home()
        position = settled(motor)
        assert motor.axis.lower <= position <= motor.axis.upper
        assert motor.target == pytest.approx(position, abs=motor.axis.resolution)
    else:
        with pytest.raises(UnsupportedError):
            motor.home()


@for_motors
def test_a_closed_motor_does_not_move_and_is_standing_when_it_is_opened_again(motor):
    motor.open()
    motor.move_to(motor.axis.upper if motor.read_position() < 0 else motor.axis.lower)
    motor.context.clock.sleep_s(0.001)
    motor.close()
    with pytest.raises(DisconnectedError):
        motor.move_to(0.0)
    with pytest.raises(DisconnectedError):
        motor.read_position()
    motor.open()
    before = settled(motor)
    motor.context.clock.sleep_s(0.02)
    assert motor.read_position() == pytest.approx(before, abs=motor.axis.resolution)
    assert motor.target == pytest.approx(before, abs=motor.axis.resolution)
