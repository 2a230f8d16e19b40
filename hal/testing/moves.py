"""Movements of a motor under test: where it can be sent, and whether it got there."""

import math

from hal.motor import Axis
from hal.testing.checks import expect
from hal.testing.stand import PATIENCE_S, Stand

# Where one would have to wait, a motor is moved no farther than it comes in this time.
_LONGEST_MOVE_S = 0.3
_SLACK = 1e-6


def beyond(axis: Axis) -> list[float]:
    """Return targets that an axis must refuse."""
    span = axis.upper - axis.lower
    just = (math.nextafter(axis.upper, math.inf), math.nextafter(axis.lower, -math.inf))
    far = (axis.upper + span, axis.lower - span)
    return [*far, *just, math.inf, -math.inf, math.nan]


def reach(stand: Stand) -> float:
    """Return how far a motor is moved: over its axis, or as far as there is time for."""
    axis = stand.motor.axis
    span = axis.upper - axis.lower
    return min(span, axis.max_speed * _LONGEST_MOVE_S) if stand.subject.has_own_time else span


def goals(stand: Stand) -> list[float]:
    """Return targets over the whole reach, both ends of the axis among them if they are within."""
    axis, distance = stand.motor.axis, reach(stand)
    start = min(max(stand.motor.read_position() - distance / 2, axis.lower), axis.upper - distance)
    if distance == axis.upper - axis.lower:
        start = axis.lower
    found = [start + fraction * distance for fraction in (0.0, 0.01, 0.5, 1.0)]
    return [min(max(goal, axis.lower), axis.upper) for goal in found]


def farthest(stand: Stand, *, back: bool = False) -> float:
    """Return the target that is farthest from where the motor is; a little less far with `back`."""
    axis, here = stand.motor.axis, stand.motor.read_position()
    distance = reach(stand) * (0.7 if back else 1.0)
    up = axis.upper - here > here - axis.lower
    return min(here + distance, axis.upper) if up else max(here - distance, axis.lower)


def set_off(stand: Stand, goal: float) -> bool:
    """Start a long movement; return whether the motor is on its way, far from the end, or there."""
    motor = stand.motor
    here = motor.read_position()
    motor.move_to(goal)
    stand.wait(duration_s(stand, goal) / 20)
    is_moving = motor.is_moving
    return is_moving and abs(goal - motor.read_position()) > abs(goal - here) / 2


def settled(stand: Stand, patience_s: float = PATIENCE_S) -> float:
    """Wait until the motor stands, and return where."""
    motor = stand.motor
    axis = motor.axis
    if not stand.subject.has_own_time:  # it costs nothing to wait
        patience_s = max(patience_s, 100 * (axis.upper - axis.lower) / axis.max_speed)
    pause_s = max(0.002, patience_s / 10_000)
    stand.until(lambda: not motor.is_moving, "the motor to stand", pause_s=pause_s,
                patience_s=patience_s)  # fmt: skip
    position = motor.read_position()
    within(stand, position)
    return position


def stands_still(stand: Stand) -> None:
    """Expect that the motor does not move for a moment."""
    before = stand.motor.read_position()
    stand.wait(0.01)
    near(stand, stand.motor.read_position(), before, "the position of a motor that stands")
    expect(not stand.motor.is_moving, "is_moving to stay False", "True")


def near(stand: Stand, value: float, wanted: float, what: str) -> None:
    """Expect a position within the resolution of another."""
    axis = stand.motor.axis
    slack = axis.resolution * (1 + _SLACK) + 1e-12 * abs(wanted)
    within_it = f"{what} to be {wanted:.12g} {axis.unit}, within {axis.resolution:g}"
    expect(abs(value - wanted) <= slack, within_it, f"{value:.12g}")


def within(stand: Stand, position: float) -> None:
    """Expect a position on the axis."""
    axis = stand.motor.axis
    low, high = axis.lower - axis.resolution, axis.upper + axis.resolution
    wanted = f"a position between {axis.lower:g} and {axis.upper:g} {axis.unit}"
    expect(low <= position <= high, wanted, position)


def duration_s(stand: Stand, goal: float) -> float:
    """Return how long the motor needs at least to a target, or as long as there is time for."""
    distance = abs(goal - stand.motor.read_position())
    longest_s = _LONGEST_MOVE_S if stand.subject.has_own_time else math.inf
    return min(max(distance / stand.motor.axis.max_speed, 0.001), longest_s)
