"""A clock for devices that know no other time: it moves only when it is told to."""

from hal.clock import NS_PER_S, Clock


class ManualClock(Clock):
    """A clock that only moves when it is told to, or when somebody sleeps.

    Args:
        unix_ns: The Unix time at which it begins.
    """

    def __init__(self, unix_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._unix_ns = unix_ns
        self._elapsed_ns = 0

    def now_ns(self) -> int:
        """Return the Unix time in ns."""
        return self._unix_ns + self._elapsed_ns

    def monotonic_ns(self) -> int:
        """Return the ns since it was made."""
        return self._elapsed_ns

    def sleep_s(self, seconds: float) -> None:
        """Move on by so many seconds, at once."""
        self._elapsed_ns += max(round(seconds * NS_PER_S), 0)
