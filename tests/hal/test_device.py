import math
from types import MappingProxyType

import numpy as np
import pytest

import hal
from hal.errors import DisconnectedError, LimitError, SettingError, UnsupportedError

IDENTITY = hal.Identity("nobody", "nothing", "1", driver="test", is_real=False)


class StillCamera(hal.Camera):
    identity = IDENTITY
    is_open = False
    frame_format = hal.FrameFormat(4, 3, 16)
    settings = (hal.Setting("gain_db", float, "dB", lower=0.0, upper=1.0),)

    def open(self):
        self.is_open = True

    def close(self):
        self.is_open = False

    def start(self):
        pass

    def stop(self):
        pass

    def fetch_into(self, out):
        return None


class StepMotor(hal.RotaryMotor):
    identity = IDENTITY
    is_open = True
    is_moving = False
    axis = hal.Axis("turn", -10.0, 10.0, 0.01, 1.0)
    position = 0.5

    def open(self):
        pass

    def close(self):
        pass

    def read_position(self):
        return self.position

    def begin_move(self, target):
        self.position = target

    def halt(self):
        pass


def test_a_device_opens_in_a_with_statement_and_closes_after_it():
    with StillCamera() as camera:
        assert camera.is_open
    assert not camera.is_open


def test_a_frame_format_has_the_shape_of_an_image_array():
    image = hal.FrameFormat(width_px=4, height_px=3, bits=16)
    assert image.shape == (3, 4)
    assert image.dtype == np.uint16


def test_a_camera_that_does_not_know_better_is_asked_every_millisecond():
    assert StillCamera().ready_in_s() == 0.001


def test_a_setting_that_a_device_has_not_is_refused_with_those_that_it_has():
    with pytest.raises(SettingError, match=r"no setting 'gain'.*gain_db"):
        StillCamera().get("gain")
    with pytest.raises(SettingError, match="this device has: none"):
        StepMotor().set("gain", 1)


def test_a_device_that_lists_a_setting_but_does_not_implement_it_says_so():
    with pytest.raises(UnsupportedError, match="does not read it"):
        StillCamera().get("gain_db")
    with pytest.raises(UnsupportedError, match="does not write it"):
        StillCamera().set("gain_db", 0.5)
    with pytest.raises(SettingError, match="between 0 and 1"):
        StillCamera().set("gain_db", 2.0)


@pytest.mark.parametrize("target", [10.1, -10.1, math.inf, math.nan])
def test_a_target_outside_the_axis_is_refused_and_nothing_moves(target):
    motor = StepMotor()
    with pytest.raises(LimitError, match="-10 to 10 turn"):
        motor.move_to_turns(target)
    assert motor.position_turns == 0.5
    assert motor.target_turns == 0.5


def test_the_target_is_the_last_one_given_until_the_motor_is_stopped_elsewhere():
    motor = StepMotor()
    motor.move_to_turns(3)
    assert motor.target_turns == 3.0
    motor.position = 2.0
    motor.stop()
    assert motor.target_turns == 2.0


def test_a_closed_motor_does_not_move():
    motor = StepMotor()
    motor.is_open = False
    with pytest.raises(DisconnectedError, match="open it before moving"):
        motor.move_to(1.0)
    assert motor.position == 0.5


class Handle:
    def close(self):
        self.is_open = False


class HandledMotor(Handle, StepMotor):
    """Inherits `close` from what is no motor."""


@pytest.mark.parametrize("kind", [StepMotor, HandledMotor])
def test_a_motor_that_was_closed_has_its_target_where_it_is_found(kind):
    motor = kind()
    motor.move_to_turns(3.0)
    motor.close()
    motor.position = 1.5
    motor.open()
    assert motor.target_turns == 1.5


def test_a_motor_without_close_can_not_be_made():
    class Unfinished(hal.LinearMotor):
        pass

    assert "close" in Unfinished.__abstractmethods__


def test_a_motor_without_a_home_says_so():
    with pytest.raises(UnsupportedError, match="no home"):
        StepMotor().home()


def test_devices_of_one_standalone_context_share_the_memory_that_they_declare():
    class Sharing(StepMotor):
        shared_memory = MappingProxyType({"bench": 16})

    context = hal.DeviceContext.standalone(Sharing)
    context.shared("bench")[0] = 7
    assert bytes(context.shared("bench")) == b"\x07" + bytes(15)


def test_shared_memory_that_no_driver_declared_is_refused_by_name():
    with pytest.raises(UnsupportedError, match="bench"):
        hal.DeviceContext().shared("bench")


def test_the_clock_of_the_machine_tells_unix_time_and_never_steps_back():
    clock = hal.MachineClock()
    assert clock.now_ns() > 1_600_000_000 * 10**9
    before = clock.monotonic_ns()
    clock.sleep_s(-1.0)
    clock.sleep_s(0.0)
    assert clock.monotonic_ns() >= before
