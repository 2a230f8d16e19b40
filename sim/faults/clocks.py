"""Faults of clocks, of one process or of all (`*`, with `at_s`)."""

from dataclasses import dataclass
from typing import ClassVar

from sim.faults.base import EVERYBODY, Fault, LastingFault, seconds


def _whose(process: str) -> str:
    return "every process" if process == EVERYBODY else process


@dataclass(frozen=True)
class ClockJump(Fault):
    """The wall clock is set to another time; monotonic time goes on.

    Attributes:
        by_s: How far ahead, in seconds; below 0: back.
    """

    by_s: float = seconds(3600.0)
    kind: ClassVar[str] = "clock-jump"
    may_be_everybody: ClassVar[bool] = True

    def __str__(self) -> str:
        way = "ahead" if self.by_s >= 0 else "back"
        return f"the wall clock of {_whose(self.process)} is set {way} by {abs(self.by_s):g} s " + (
            self.when
        )


@dataclass(frozen=True)
class CoarseClock(LastingFault):
    """Both clocks stand still between ticks that are far apart.

    Attributes:
        tick_s: Seconds from one tick to the next.
    """

    tick_s: float = seconds(0.016, above=0.0)
    kind: ClassVar[str] = "coarse-clock"
    may_be_everybody: ClassVar[bool] = True

    def __str__(self) -> str:
        whose = _whose(self.process)
        return f"the clocks of {whose} tick every {self.tick_s:g} s {self.when} {self.how_long}"


@dataclass(frozen=True)
class LateTimers(LastingFault):
    """Who waits for a time is woken late.

    Attributes:
        late_s: By how much.
    """

    late_s: float = seconds(0.05, above=0.0)
    kind: ClassVar[str] = "late-timers"
    may_be_everybody: ClassVar[bool] = True

    def __str__(self) -> str:
        whose = _whose(self.process)
        return f"the timers of {whose} are {self.late_s:g} s late {self.when} {self.how_long}"
