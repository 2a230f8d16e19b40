"""What every motor does: it arrives, stays within its limits, and stops when it is told to."""

from hal.errors import DisconnectedError, LimitError, UnsupportedError
from hal.motor import Axis, LinearMotor, RotaryMotor
from hal.testing.checks import Check, check, expect, refuses
from hal.testing.moves import (
    beyond,
    duration_s,
    farthest,
    goals,
    near,
    set_off,
    settled,
    stands_still,
    within,
)
from hal.testing.stand import Stand

_HOMING_S = 120.0
# How often one looks at a motor on its way, at its largest speed.
_LOOKS = 500
_LEAST_PAUSE_S = 0.001


@check
def describes_its_axis(stand: Stand) -> None:
    """Its axis has a range, a resolution and a speed, in the unit of its kind."""
    motor = stand.motor
    motor.open()
    axis = motor.axis
    expect(isinstance(axis, Axis), "axis to be a hal.Axis", axis)
    expect(axis.lower < axis.upper, "an axis whose lower end is below its upper", axis)
    wanted = "a positive resolution and speed"
    expect(axis.resolution > 0 and axis.max_speed > 0, wanted, axis)
    kinds = {"nm": LinearMotor, "turn": RotaryMotor}
    expect(axis.unit in kinds, "an axis in 'nm' or 'turn'", axis.unit)
    kind = kinds[axis.unit]
    wanted = f"a motor in {axis.unit} to be a hal.{kind.__name__}"
    expect(isinstance(stand.itself, kind), wanted, type(stand.itself).__mro__[1].__name__)
    expect(motor.unit == axis.unit, f"unit to be that of the axis, {axis.unit!r}", motor.unit)
    within(stand, motor.read_position())


@check
def moves_in_its_unit(stand: Stand) -> None:
    """Position and target have the same values under the names that carry their unit."""
    stand.motor.open()
    motor = stand.itself
    goal = goals(stand)[1]
    if isinstance(motor, LinearMotor):
        motor.move_to_nm(goal)
        target = motor.target_nm
        position = settled(stand)
        named = motor.position_nm
    else:
        assert isinstance(motor, RotaryMotor)
        motor.move_to_turns(goal)
        target = motor.target_turns
        position = settled(stand)
        named = motor.position_turns
    expect(target == goal, f"the target to be {goal:g}", target)
    near(stand, named, position, "the position, under either of its names,")
    near(stand, position, goal, "the position after the movement")


@check
def arrives_at_its_target(stand: Stand) -> None:
    """A movement ends within the resolution of its target, and the motor then stands."""
    stand.motor.open()
    for goal in goals(stand):
        stand.motor.move_to(goal)
        expect(stand.motor.target == goal, f"the target to be {goal:g}", stand.motor.target)
        near(stand, settled(stand), goal, "the position after the movement")
        stands_still(stand)
        expect(stand.motor.target == goal, f"the target to stay {goal:g}", stand.motor.target)


@check
def moves_when_it_says_so(stand: Stand) -> None:
    """It says that it moves as long as it has not arrived, and no longer."""
    stand.motor.open()
    goal = farthest(stand)
    stand.motor.move_to(goal)
    pause_s = max(duration_s(stand, goal) / _LOOKS, _LEAST_PAUSE_S)
    for _ in range(10 * _LOOKS):
        is_moving = stand.motor.is_moving
        position = stand.motor.read_position()
        within(stand, position)
        expect(isinstance(is_moving, bool), "is_moving to be a bool", repr(is_moving))
        if not is_moving:
            near(stand, position, goal, "the position as soon as is_moving is False")
            break
        stand.clock.sleep_s(pause_s)
    settled(stand)
    stands_still(stand)


@check
def takes_a_new_target_under_way(stand: Stand) -> None:
    """A new target replaces one that is under way."""
    stand.motor.open()
    start = stand.motor.read_position()
    start = min(max(start, stand.motor.axis.lower), stand.motor.axis.upper)
    away = farthest(stand)
    stand.motor.move_to(away)
    stand.wait(duration_s(stand, away) / 10)
    stand.motor.move_to(start)
    expect(stand.motor.target == start, f"the target to be {start:g}", stand.motor.target)
    near(stand, settled(stand), start, "the position after the second movement")


@check
def refuses_targets_outside(stand: Stand) -> None:
    """A target outside the axis, or no number, raises LimitError, and nothing moves."""
    motor = stand.motor
    motor.open()
    before, target = settled(stand), motor.target
    for wrong in beyond(motor.axis):
        refuses(LimitError, lambda: motor.move_to(wrong), f"move_to({wrong!r})")  # noqa: B023
        expect(not motor.is_moving, f"nothing to move after move_to({wrong!r})", "is_moving")
        now = motor.target
        expect(now == target, f"the target to stay {target:g} after move_to({wrong!r})", now)
    stand.wait(0.02)
    near(stand, motor.read_position(), before, "the position after refused movements")


@check
def stops(stand: Stand) -> None:
    """`stop` ends a movement on its way, and the motor stays where it stopped."""
    motor = stand.motor
    motor.open()
    motor.stop()
    goal = farthest(stand)
    was_under_way = set_off(stand, goal)
    motor.stop()
    motor.stop()
    stopped_at = settled(stand)
    near(stand, motor.target, stopped_at, "the target of a motor that was stopped")
    if was_under_way:
        is_short = abs(goal - stopped_at) > motor.axis.resolution
        expect(is_short, f"to stop before the target, {goal:g}", f"it went on to {stopped_at:g}")
    stand.wait(duration_s(stand, goal))
    near(stand, motor.read_position(), stopped_at, "the position some time after stop")
    expect(not motor.is_moving, "is_moving to be False after stop", "True")


@check
def goes_home(stand: Stand) -> None:
    """It goes home, to the same place from anywhere, or says that it has none."""
    motor = stand.motor
    motor.open()
    if not motor.axis.can_home:
        before = settled(stand)
        refuses(UnsupportedError, motor.home, "home of an axis that can not (can_home)")
        near(stand, motor.read_position(), before, "the position after home was refused")
        return
    homes = []
    for is_return in (False, True):
        motor.move_to(farthest(stand, back=is_return))
        settled(stand)
        motor.home()
        home = settled(stand, _HOMING_S)
        within(stand, home)
        near(stand, motor.target, home, "the target at home")
        homes.append(home)
    near(stand, homes[1], homes[0], "the home position")


@check
def stands_when_closed(stand: Stand) -> None:
    """`close` ends a movement on its way, and the motor stands when it is opened again."""
    motor = stand.motor
    motor.open()
    goal = farthest(stand)
    was_under_way = set_off(stand, goal)
    time_left_s = 2 * duration_s(stand, goal)
    motor.close()
    stand.wait(time_left_s)
    motor.open()
    before = settled(stand)
    if was_under_way:
        is_short = abs(goal - before) > motor.axis.resolution
        expect(is_short, f"close to stop it before {goal:g}", f"it went on to {before:g}")
    near(stand, motor.target, before, "the target of a motor that was just opened")
    stand.wait(time_left_s)
    near(stand, motor.read_position(), before, "the position some time after it was opened")


@check
def stays_when_opened_again(stand: Stand) -> None:
    """`open` does nothing to a motor that is open: not to its position, nor to its target."""
    motor = stand.motor
    motor.open()
    goal = goals(stand)[2]
    motor.move_to(goal)
    near(stand, settled(stand), goal, "the position after the movement")
    motor.open()
    near(stand, motor.read_position(), goal, "the position after a second open")
    near(stand, motor.target, goal, "the target after a second open")


@check
def refuses_use_when_closed(stand: Stand) -> None:
    """A closed motor neither moves nor tells where it is: DisconnectedError."""
    motor = stand.motor
    motor.open()
    before, can_home = settled(stand), motor.axis.can_home
    goal = farthest(stand)
    motor.close()
    refuses(DisconnectedError, lambda: motor.move_to(goal), f"move_to({goal:g}) after close")
    refuses(DisconnectedError, motor.read_position, "read_position after close")
    if can_home:
        refuses(DisconnectedError, motor.home, "home after close")
    motor.open()
    near(stand, settled(stand), before, "the position of a motor that was closed")


MOTOR_CHECKS: tuple[Check, ...] = (
    describes_its_axis,
    moves_in_its_unit,
    arrives_at_its_target,
    moves_when_it_says_so,
    takes_a_new_target_under_way,
    refuses_targets_outside,
    stops,
    goes_home,
    stands_when_closed,
    stays_when_opened_again,
    refuses_use_when_closed,
)
