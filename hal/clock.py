"""The time that devices live in: the machine's, or a virtual one."""

import time
from abc import ABC, abstractmethod

NS_PER_S = 1_000_000_000


class Clock(ABC):
    """Where a device reads the time. Never read `time` directly: the clock may be virtual."""

    @abstractmethod
    def now_ns(self) -> int:
        """Return the Unix time in ns: what frames and positions are stamped with."""

    @abstractmethod
    def monotonic_ns(self) -> int:
        """Return a time in ns that never steps back: what deadlines are measured with."""

    @abstractmethod
    def sleep_s(self, seconds: float) -> None:
        """Wait; only for a driver whose device offers nothing to wait for."""


class MachineClock(Clock):
    """The clocks of this machine."""

    def now_ns(self) -> int:
        """Return the Unix time in ns."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return the monotonic time in ns."""
        return time.monotonic_ns()

    def sleep_s(self, seconds: float) -> None:
        """Block this process for so many seconds."""
        time.sleep(max(seconds, 0.0))
