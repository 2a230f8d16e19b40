import pytest

from hal import DeviceContext, FocusMotor
from hal.errors import (
    DeviceError,
    DisconnectedError,
    LimitError,
    MotionError,
    OptionError,
    UnsupportedError,
)
from hal.registry import create, load_driver

WAIT_NS = 10 * 10**9
Z = {"axis": "z", "lower_nm": 0, "upper_nm": 1e6}


@pytest.fixture
def opened():
    """Open stages of `labscopes` whose unit is a micrometre, and close them."""
    made = []

    def opened(kind="LabAxis", driver="microscope.stage", **options):
        options = {"nm_per_unit": 1000, "timeout_s": 2.0} | options
        warned = []
        motor = create(
            driver, {"device": f"labscopes:{kind}"} | options, DeviceContext(warn=warned.append)
        )
        made.append(motor)
        motor.warned = warned
        motor.open()
        return motor

    yield opened
    for motor in made:
        motor.close()


def settled(motor):
    clock = motor.context.clock
    deadline_ns = clock.monotonic_ns() + WAIT_NS
    while motor.is_moving:
        assert clock.monotonic_ns() < deadline_ns
        clock.sleep_s(0.001)
    return motor.read_position()


def test_positions_and_limits_are_scaled(opened):
    motor = opened()
    assert (motor.axis.lower, motor.axis.upper, motor.axis.resolution) == (0, 1e6, 1000)
    assert motor.read_position() == 500e3
    motor.move_to(700e3)
    assert settled(motor) == 700e3
    with pytest.raises(LimitError):
        motor.move_to(1.1e6)


def test_a_negative_scale_turns_the_direction_round(opened):
    motor = opened(nm_per_unit=-1000)
    assert (motor.axis.lower, motor.axis.upper) == (-1e6, 0)
    motor.move_to(-200e3)
    assert settled(motor) == -200e3


def test_turns_are_scaled_likewise(opened):
    motor = create(
        "microscope.rotary",
        {"device": "labscopes:LabAxis", "turns_per_unit": 1 / 360, "upper_turns": 2.0},
    )
    with motor:
        assert motor.axis.upper == 2.0
        motor.move_to_turns(0.5)
        assert settled(motor) == pytest.approx(0.5)


def test_a_device_that_cuts_off_what_lies_between_its_steps_arrives(opened):
    motor = opened("WholeSteps")
    motor.move_to(123_900)
    assert settled(motor) == 123_000


def test_a_movement_is_made_in_steps_and_stopped_after_the_one_under_way(opened):
    motor = opened(step_nm=50_000)
    axis = motor._device
    axis.may_arrive.clear()
    motor.move_to(900e3)
    assert axis.has_begun.wait(10)
    assert motor.is_moving
    asked = axis.asked
    assert motor.read_position() == 500e3
    assert axis.asked == asked  # many would answer only when they have arrived
    axis.has_begun.clear()
    axis.may_arrive.set()
    assert axis.has_begun.wait(10)
    motor.stop()
    stopped_at = motor.read_position()
    assert not motor.is_moving
    assert axis.moves[:2] == [550.0, 600.0]
    assert stopped_at == axis.moves[-1] * 1000 == motor.target


def test_a_step_that_does_not_end_can_not_be_stopped_and_that_is_said(opened):
    motor = opened(timeout_s=0.05)
    axis = motor._device
    axis.may_arrive.clear()
    motor.move_to(900e3)
    assert axis.has_begun.wait(10)
    with pytest.raises(UnsupportedError, match="no call that stops a stage: give a smaller step"):
        motor.stop()
    motor.close()
    assert any("could not be stopped" in text for text in motor.warned)
    axis.may_arrive.set()


def test_a_stage_that_returns_at_once_is_watched_and_stopped_where_it_is(opened):
    motor = opened("Unhurried", resolution_nm=100)
    motor.move_to(520e3)
    assert settled(motor) == 520e3
    motor._device.has_begun.clear()
    motor.move_to(900e3)
    assert motor._device.has_begun.wait(10)
    motor.stop()
    motor.stop()
    assert motor.read_position() < 800e3
    assert motor._device.moves[-1] < 800.0  # it was sent to where it is
    assert not motor.is_moving


def test_a_new_target_replaces_the_old_one(opened):
    motor = opened(step_nm=50_000)
    motor.move_to(900e3)
    motor.move_to(100e3)
    assert settled(motor) == 100e3


def test_an_axis_that_does_not_move_is_a_motion_error_told_once(opened):
    motor = opened("Stuck", timeout_s=0.02)
    motor.move_to(900e3)
    with pytest.raises(MotionError, match="stands at 500 instead of 900"):
        settled(motor)
    assert not motor.is_moving


def test_an_error_of_the_axis_is_raised_by_its_kind(opened):
    motor = opened()
    motor._device.refuses = ConnectionResetError("unplugged")
    motor.move_to(900e3)
    with pytest.raises(DisconnectedError, match=r"moving to 900: .*unplugged"):
        settled(motor)
    motor._device.refuses = None
    motor.move_to(900e3)
    assert settled(motor) == 900e3


def test_a_stage_is_enabled_and_its_axis_chosen_by_name(opened):
    motor = opened("LabStage", **Z)
    assert motor._device.enables == 1
    assert (motor.axis.lower, motor.axis.upper) == (0, 1e6)
    assert opened("LabController", member="stage", axis="x").axis.upper == 1e6


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"axis": ""}, OptionError, "has the axes 'x', 'z'"),
        ({"axis": "z"}, OptionError, "give a lower and an upper limit"),
        (Z | {"lower_nm": 2e6}, OptionError, "no range is left"),
        (Z | {"nm_per_unit": 0}, OptionError, "expected a scale"),
        (Z | {"resolution_nm": 0}, OptionError, "resolution = 0.0 nm"),
        (Z | {"step_nm": -1}, OptionError, "step = -1.0 nm"),
        (Z | {"options": {"homes": True}}, OptionError, "may_move_on_open"),
        (Z | {"options": {"enable": "raise"}}, DeviceError, "the emergency stop is pressed"),
        (Z | {"options": {"enable": "no"}}, DeviceError, "says that it is not enabled"),
        (Z | {"device": "labscopes:LabCamera"}, OptionError, "Stage or a microscope.abc.StageAxis"),
    ],
)
def test_what_can_not_be_used_is_refused_with_what_would(opened, options, kind, words):
    with pytest.raises(kind, match=words):
        opened(**({"device": "labscopes:LabStage"} | options))


def test_a_stage_that_moves_when_it_is_enabled_does_so_only_with_consent(opened):
    motor = opened("LabStage", **Z, options={"homes": True}, may_move_on_open=True)
    assert motor._device.enables == 1


def test_a_stage_that_does_not_say_whether_it_is_enabled_is_used(opened):
    assert opened("LabStage", **Z, options={"enable": "silent"}).is_open


def test_tables_in_the_options_become_the_librarys_tuples(opened):
    motor = opened(
        device="microscope.simulators:SimulatedStage",
        options={"limits": {"a": {"lower": -1, "upper": 1}}},
    )
    assert (motor.axis.lower, motor.axis.upper) == (-1000, 1000)


@pytest.mark.parametrize("name", ["LabAxis", "LabStage"])
def test_a_class_of_the_library_is_a_driver_itself_and_can_be_the_focus(name):
    driver = load_driver(f"labscopes:{name}")
    assert issubclass(driver, FocusMotor)
    assert driver is load_driver(f"labscopes:{name}")
    with create(f"labscopes:{name}", {"nm_per_unit": 1000, "axis": "x"}) as motor:
        assert motor.identity.driver == f"labscopes:{name}"
        assert motor.identity.is_real
    with pytest.raises(OptionError, match="no option 'device'; it has: nm_per_unit"):
        create(f"labscopes:{name}", {"nm_per_unit": 1000, "device": "x"})
    with pytest.raises(OptionError, match="needs the option 'nm_per_unit'"):
        create(f"labscopes:{name}")


def test_devices_of_the_library_that_are_neither_are_left_as_they_are():
    from microscope.simulators import SimulatedFilterWheel

    assert load_driver("microscope.simulators:SimulatedFilterWheel") is SimulatedFilterWheel
