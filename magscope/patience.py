"""How long a manager waits for a driver that does not return, and when it says so."""

from hal.clock import NS_PER_S

SLOW_S = 3.0
GIVE_UP_S = 4.0
LOOK_S = 0.5


class Patience:
    """One wait for a driver.

    Args:
        began_ns: When it was called.

    Attributes:
        is_at_end: Whether it has taken so long that people were told.
    """

    def __init__(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self.is_at_end = False

    def taken_s(self, now_ns: int) -> float:
        """Return how long it has taken so far."""
        return (now_ns - self._began_ns) / NS_PER_S

    def ends(self, now_ns: int) -> bool:
        """Whether people should be told now: once, after `SLOW_S`."""
        is_new = not self.is_at_end and self.taken_s(now_ns) >= SLOW_S
        self.is_at_end = self.is_at_end or is_new
        return is_new

    def next_look_s(self, now_ns: int, give_up_ns: int) -> float:
        """Return when to look again: every now and then, and when there is something to do."""
        waits_s = [LOOK_S]
        if not self.is_at_end:
            waits_s.append(SLOW_S - self.taken_s(now_ns))
        if give_up_ns:
            waits_s.append((give_up_ns - now_ns) / NS_PER_S)
        return max(min(waits_s), 0.0)
