"""A device that goes away: whether it is there, and when its driver looks for it again."""

from collections.abc import Callable
from typing import Literal

from hal.clock import NS_PER_S
from hal.errors import DeviceError, DeviceTimeoutError, DisconnectedError, ProtocolError
from magscope.processes import ManagerProcessBase
from magscope.runtime import current

Policy = Literal["never", "ask", "auto"]

GONE = (DisconnectedError, DeviceTimeoutError, ProtocolError)
ASK = "press Enter, or send reconnect_camera or reconnect_motor"
FIRST_TRY_S, LAST_TRY_S = 1.0, 10.0


class Link:
    """Whether a device is there, and what is done when it is not.

    Args:
        role: What the device is called in the log.
        policy: `never` ends the session when the device has gone; `ask` goes on without it until
            somebody asks for it; `auto` also looks for it, at first after one second, and at longer
            and longer intervals up to ten.
        manager: Whose device it is, which tells of it.
    """

    def __init__(self, role: str, policy: Policy, manager: ManagerProcessBase) -> None:
        self._role = role
        self._policy = policy
        self._manager = manager
        self._down_ns: int | None = None
        self._next_ns: int | None = None
        self._pause_s = FIRST_TRY_S

    @property
    def is_down(self) -> bool:
        """Whether the device has gone, and was not found again."""
        return self._down_ns is not None

    @property
    def due_in_s(self) -> float:
        """In how many seconds it is to be looked for; infinite if nobody has asked."""
        if self._next_ns is None:
            return float("inf")
        return (self._next_ns - current().clock.monotonic_ns()) / NS_PER_S

    def break_off(self, error: DeviceError) -> None:
        """Take note that the device has gone; raises the error if the session is to end with it."""
        if self._policy == "never":
            raise error
        now_ns = current().clock.monotonic_ns()
        self._down_ns, self._pause_s = now_ns, FIRST_TRY_S
        self._next_ns = None
        if self._policy == "auto":
            self._next_ns = now_ns + int(self._pause_s * NS_PER_S)
        what = "it is looked for" if self._policy == "auto" else f"when it is back: {ASK}"
        self._manager.log("warning", f"{self._role} has gone: {error}; the rest goes on; {what}")

    def ask(self) -> None:
        """Have the device looked for now."""
        self._pause_s = FIRST_TRY_S
        self._next_ns = current().clock.monotonic_ns()

    def look(self, connect: Callable[[], None]) -> bool:
        """Look for the device if that is due, and return whether it is there again.

        Args:
            connect: Opens the device; raises a DeviceError if it is not there.
        """
        if self._down_ns is None or self.due_in_s > 0:
            return False
        try:
            connect()
        except DeviceError as error:
            self._put_off(error)
            return False
        away_s = (current().clock.monotonic_ns() - self._down_ns) / NS_PER_S
        self._down_ns = self._next_ns = None
        self._manager.log("warning", f"{self._role} is there again, after {away_s:.1f} s")
        return True

    def _put_off(self, error: DeviceError) -> None:
        self._next_ns = None
        when = f"to try again: {ASK}"
        if self._policy == "auto":
            self._pause_s = min(2 * self._pause_s, LAST_TRY_S)
            self._next_ns = current().clock.monotonic_ns() + int(self._pause_s * NS_PER_S)
            when = f"the next try is in {self._pause_s:g} s"
        self._manager.log("warning", f"{self._role} is not there yet: {error}; {when}")

    def conclude(self) -> None:
        """Say so if the session ends and the device is not there."""
        if self.is_down:
            self._manager.log("error", f"{self._role} had gone, and was not found again")

    def check(self) -> None:
        """Raise a DisconnectedError if the device has gone."""
        if self.is_down:
            raise DisconnectedError(
                f"{self._role} has gone, and was not found again yet; to look for it: {ASK}"
            )
