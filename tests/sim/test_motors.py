import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal import DeviceContext, FocusMotor, LinearMotor, RotaryMotor
from hal.errors import DisconnectedError, LimitError, OptionError, SettingError, UnsupportedError
from hal.registry import load_driver
from sim.devices.motors import BenchMotor, Focus, MagnetHeight, MagnetRotation

MOTORS = (MagnetHeight, MagnetRotation, Focus)


@pytest.fixture(params=MOTORS)
def motor(request, rig) -> BenchMotor:
    return rig.open(request.param())


def _far(motor: BenchMotor) -> float:
    return (motor.axis.lower + 3.0 * motor.axis.upper) / 4.0


def _speed(motor: BenchMotor) -> float:
    return float(motor.get(motor.settings[0].name))


def test_each_motor_is_of_its_kind_and_registered_under_its_name() -> None:
    for name, kind, base in (
        ("sim.magnet-height", MagnetHeight, LinearMotor),
        ("sim.magnet-rotation", MagnetRotation, RotaryMotor),
        ("sim.focus", Focus, FocusMotor),
    ):
        assert load_driver(name) is kind
        assert kind.driver == name
        assert issubclass(kind, base)
        assert not kind().identity.is_real


def test_a_move_ends_within_the_resolution_at_the_predicted_time(motor, rig) -> None:
    start, target = motor.read_position(), _far(motor) + 0.3 * motor.resolution
    speed, acceleration = _speed(motor), motor._acceleration
    seconds = abs(target - start) / speed + speed / acceleration
    motor.move_to(target)
    rig.after(seconds * 0.999)
    assert motor.is_moving
    rig.after(seconds * 0.001 + 2e-6 * seconds + 1e-5)
    assert not motor.is_moving
    assert abs(motor.read_position() - target) <= motor.axis.resolution / 2.0 + 1e-9
    assert motor.target == target


def test_halfway_through_the_time_a_motor_is_halfway_there(motor, rig) -> None:
    start, target = motor.read_position(), _far(motor)
    motor.move_to(target)
    motion = motor._motion()
    rig.after(motion.duration_s / 2.0)
    assert motor.read_position() == pytest.approx((start + target) / 2.0, rel=1e-6)


def test_stop_brakes_and_the_motor_stays_where_it_stopped(motor, rig) -> None:
    motor.move_to(_far(motor))
    rig.after(motor._motion().duration_s / 2.0)
    before = motor.read_position()
    motor.stop()
    assert motor.is_moving
    braking_s = _speed(motor) / motor._acceleration
    rig.after(braking_s + 1e-6)
    assert not motor.is_moving
    stopped = motor.read_position()
    assert abs(stopped - before) == pytest.approx(_speed(motor) * braking_s / 2.0, rel=1e-3)
    assert motor.target == stopped
    rig.after(10.0)
    assert motor.read_position() == stopped
    motor.stop()
    assert motor.read_position() == stopped


def test_a_new_target_on_the_way_changes_neither_position_nor_velocity_at_once(motor, rig) -> None:
    motor.move_to(_far(motor))
    rig.after(motor._motion().duration_s / 2.0)
    state = motor._motion().state_at(rig.clock.monotonic_ns())
    assert state[1] != 0.0
    motor.move_to(motor.axis.lower)
    assert motor._motion().state_at(rig.clock.monotonic_ns()) == state
    rig.after(motor._motion().duration_s + 1e-6)
    assert not motor.is_moving
    assert motor.read_position() == motor.axis.lower


def test_a_target_outside_the_axis_is_refused_and_nothing_moves(motor) -> None:
    before = motor.read_position()
    for target in (motor.axis.lower - 1.0, motor.axis.upper + 1.0, math.nan, math.inf):
        with pytest.raises(LimitError, match="outside the axis"):
            motor.move_to(target)
    assert not motor.is_moving
    assert motor.read_position() == before


def test_the_ends_of_the_axis_can_be_reached(motor, rig) -> None:
    for end in (motor.axis.lower, motor.axis.upper):
        motor.move_to(end)
        rig.after(1000.0)
        assert motor.read_position() == end


def test_a_reopened_motor_is_where_it_was(motor, rig) -> None:
    motor.move_to(_far(motor))
    rig.after(1000.0)
    motor.close()
    assert not motor.is_open
    again = rig.open(type(motor)())
    assert again.read_position() == pytest.approx(_far(motor), abs=motor.resolution)
    assert not again.is_moving


def test_closing_stops_the_motor_even_for_the_others_of_the_bench(motor, rig) -> None:
    other = rig.open(type(motor)())
    motor.move_to(_far(motor))
    rig.after(motor._motion().duration_s / 2.0)
    motor.close()
    motor.close()
    rig.after(_speed(other) / other._acceleration + 1e-6)
    assert not other.is_moving


def test_opening_an_open_motor_does_nothing(motor, rig) -> None:
    motor.move_to(_far(motor))
    rig.after(0.01)
    motor.open()
    assert motor.is_moving


def test_a_closed_motor_says_that_it_must_be_opened() -> None:
    for kind in MOTORS:
        motor = kind()
        for use in (motor.read_position, lambda m=motor: m.move_to(0.0), motor.halt):
            with pytest.raises(DisconnectedError, match="open it before"):
                use()


def test_the_speed_setting_holds_from_the_next_movement_on(motor, rig) -> None:
    name = motor.settings[0].name
    slow = _speed(motor) / 10.0
    motor.move_to(_far(motor))
    fast_s = motor._motion().duration_s
    assert motor.set(name, slow) == slow == motor.get(name)
    assert motor._motion().duration_s == fast_s
    motor.move_to(_far(motor))
    assert motor._motion().duration_s > 5.0 * fast_s
    for wrong in (0.0, -1.0, motor.axis.max_speed * 1.01, "fast", math.nan):
        with pytest.raises(SettingError):
            motor.set(name, wrong)
    with pytest.raises(SettingError, match="no setting"):
        motor.set("colour", 1.0)


def test_home_is_reached_where_there_is_one(motor, rig) -> None:
    motor.move_to(_far(motor))
    rig.after(1000.0)
    if not motor.axis.can_home:
        with pytest.raises(UnsupportedError, match="no home"):
            motor.home()
        return
    motor.home()
    assert motor.is_moving
    rig.after(1000.0)
    assert motor.read_position() == motor.home_position


def test_options_set_the_start_the_limits_and_the_speed(rig) -> None:
    height = rig.open(MagnetHeight(start_nm=3e6, lower_nm=2e6, upper_nm=4e6, speed_nm_per_s=1e6))
    assert (height.position_nm, height.axis.lower, height.axis.upper) == (3e6, 2e6, 4e6)
    assert height.get("speed_nm_per_s") == 1e6
    height.home()
    rig.after(100.0)
    assert height.position_nm == 4e6


def test_an_option_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(OptionError, match="start 5 nm must lie between"):
        MagnetHeight(start_nm=5.0, lower_nm=10.0)
    with pytest.raises(OptionError, match="acceleration 0"):
        Focus(acceleration_nm_per_s2=0.0)
    with pytest.raises(SettingError, match="speed_turns_per_s"):
        MagnetRotation(speed_turns_per_s=1e6)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 0.02), st.one_of(st.none(), st.floats(-5e4, 5e4))), max_size=12
    )
)
def test_whatever_is_asked_of_it_a_motor_keeps_to_its_axis_and_comes_to_rest(new_clock, commands):
    focus, clock = Focus(), new_clock()
    focus.context = DeviceContext.standalone(Focus, clock=clock)
    focus.open()
    last = focus.read_position()
    for seconds, target in commands:
        if target is None:
            focus.stop()
        else:
            focus.move_to_nm(target)
        clock.sleep_s(seconds)
        position = focus.position_nm
        assert focus.axis.lower <= position <= focus.axis.upper
        assert abs(position - last) <= focus.get("speed_nm_per_s") * seconds + 1e-3
        last = position
    clock.sleep_s(10.0)
    assert not focus.is_moving
    assert abs(focus.position_nm - focus.target_nm) <= focus.resolution
