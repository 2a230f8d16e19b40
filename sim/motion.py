"""The motion of one axis, as a formula: where it is at any time follows from how it was started.

A motion is at most four phases of constant acceleration, and rest after them. Evaluated with
`+ - * /` alone, so every process that knows the motion computes the same position, bit for bit.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt

NS_PER_S = 1_000_000_000
MAX_PHASES = 4


@dataclass(frozen=True)
class Motion:
    """One motion of an axis, in the axis' unit u.

    Attributes:
        start_ns: Monotonic time at which it begins; before that, the axis stands at `position`.
        position: Where it begins.
        velocity: Velocity at the beginning, u/s.
        phases: Pairs (duration in s, acceleration in u/s²).
        end: Where it rests afterwards.
    """

    start_ns: int
    position: float
    velocity: float
    phases: tuple[tuple[float, float], ...]
    end: float

    @cached_property
    def duration_s(self) -> float:
        """How long it takes."""
        return sum((seconds for seconds, _ in self.phases), 0.0)

    @cached_property
    def end_ns(self) -> int:
        """From when on the axis rests."""
        return self.start_ns + ceil(self.duration_s * NS_PER_S)

    def is_over(self, time_ns: int) -> bool:
        """Whether the axis rests at this time."""
        return time_ns >= self.end_ns

    def state_at(self, time_ns: int) -> tuple[float, float]:
        """Return position and velocity at a monotonic time."""
        left = (time_ns - self.start_ns) / NS_PER_S
        if left < 0.0:
            return self.position, 0.0
        if self.is_over(time_ns):
            return self.end, 0.0
        position, velocity = self.position, self.velocity
        for seconds, acceleration in self.phases:
            spent = min(left, seconds)
            position += (velocity + 0.5 * acceleration * spent) * spent
            velocity += acceleration * spent
            left -= spent
        return position, velocity

    def position_at(self, time_ns: int) -> float:
        """Return the position at a monotonic time."""
        return self.state_at(time_ns)[0]


def at_rest(position: float, time_ns: int = 0) -> Motion:
    """Return the motion of an axis that stands."""
    return Motion(time_ns, position, 0.0, (), position)


def move(
    now_ns: int, position: float, velocity: float, target: float, speed: float, acceleration: float
) -> Motion:
    """Return the fastest motion from this position and velocity to rest at `target`.

    An axis that runs away from the target, or too fast to stop at it, brakes to rest first; one
    that runs faster than `speed` brakes to `speed`.

    Args:
        now_ns: Monotonic time of the beginning.
        position: Where it begins.
        velocity: Velocity at the beginning.
        target: Where it ends.
        speed: Largest speed, > 0.
        acceleration: Size of every acceleration, > 0.
    """
    phases: list[tuple[float, float]] = []
    start, moving = position, velocity
    stop = position + 0.5 * velocity * abs(velocity) / acceleration
    if velocity * (target - position) < 0.0 or velocity * (target - stop) < 0.0:
        phases.append((abs(velocity) / acceleration, -_with_sign(acceleration, velocity)))
        start, moving = stop, 0.0
    distance, entry = abs(target - start), abs(moving)
    pull = _with_sign(acceleration, target - start)
    peak = sqrt(acceleration * distance + 0.5 * entry * entry)
    if peak <= speed:
        phases += [((peak - entry) / acceleration, pull), (peak / acceleration, -pull)]
    else:
        change = (speed - entry) / acceleration
        used = 0.5 * (speed + entry) * abs(change) + 0.5 * speed * speed / acceleration
        phases += [
            (abs(change), pull if change >= 0.0 else -pull),
            ((distance - used) / speed, 0.0),
            (speed / acceleration, -pull),
        ]
    kept = tuple((seconds, rate) for seconds, rate in phases if seconds > 0.0)
    return Motion(now_ns, position, velocity, kept, target)


def halt(now_ns: int, position: float, velocity: float, acceleration: float) -> Motion:
    """Return the motion that brakes to rest as fast as `acceleration` allows."""
    if velocity == 0.0:
        return at_rest(position, now_ns)
    stop = position + 0.5 * velocity * abs(velocity) / acceleration
    brake = (abs(velocity) / acceleration, -_with_sign(acceleration, velocity))
    return Motion(now_ns, position, velocity, (brake,), stop)


def _with_sign(size: float, of: float) -> float:
    return size if of >= 0.0 else -size
