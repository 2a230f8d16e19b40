"""How a manager has its driver called: it goes on listening, and does not wait for ever."""

import math
from collections.abc import Callable
from typing import Any

from hal.clock import NS_PER_S
from hal.errors import DeviceTimeoutError
from magscope.mail import Mail
from magscope.protocol import Frame, Kind, MessageError, arguments, envelope
from magscope.runtime import Bell, Helper, current

SLOW_S = 3.0
GIVE_UP_S = 4.0
FAIR_S = 0.8
LOOK_S = 0.5
LEFT = "is left to itself"
DROPPED = "messages dropped: the request to quit came while the driver was busy with earlier ones"


class Patience:
    """One wait for a driver.

    Args:
        began_ns: When it was called.

    Attributes:
        is_at_end: Whether it has taken so long that people were told.
    """

    def __init__(self, began_ns: int) -> None:
        self._began_ns = self._due_ns = began_ns
        self.is_at_end = False

    def taken_s(self, now_ns: int) -> float:
        """Return how long it has taken so far."""
        return (now_ns - self._began_ns) / NS_PER_S

    def held_up_ns(self, now_ns: int) -> int:
        """Return for how long nothing of this process has run, nor the driver: it does not count.

        It was stopped, or the computer was asleep, when the next look is so late.
        """
        late_ns = now_ns - self._due_ns
        if late_ns <= LOOK_S * NS_PER_S:
            return 0
        self._began_ns += late_ns
        self._due_ns = now_ns
        return late_ns

    def ends(self, now_ns: int) -> bool:
        """Whether people should be told now: once, after `SLOW_S`."""
        is_new = not self.is_at_end and self.taken_s(now_ns) >= SLOW_S
        self.is_at_end = self.is_at_end or is_new
        return is_new

    def last_ns(self, give_up_ns: int) -> float:
        """Return when the driver is left to itself: `FAIR_S` after it was called at the earliest.

        Args:
            give_up_ns: When whoever hurries gives up; 0: nobody does.
        """
        fair_ns = self._began_ns + int(FAIR_S * NS_PER_S)
        return max(give_up_ns, fair_ns) if give_up_ns else math.inf

    def next_look_s(self, now_ns: int, last_ns: float) -> float:
        """Return when to look again: every now and then, and when there is something to do."""
        waits_s = [LOOK_S, (last_ns - now_ns) / NS_PER_S]
        if not self.is_at_end:
            waits_s.append(SLOW_S - self.taken_s(now_ns))
        wait_s = max(min(waits_s), 0.0)
        self._due_ns = now_ns + int(wait_s * NS_PER_S)
        return wait_s


class Aside:
    """Has a helper do what may use a device, while its manager goes on listening.

    Args:
        helper: What does it.
        mail: What the manager listens to. What comes meanwhile is kept for later, but for a
            request to quit: what came before it is dropped, which is reported, as each of them may
            take a driver long.
        beat: Shows a sign of life.
        is_running: Whether the manager has not been told to quit.
        role: What the device is called in the log.

    Attributes:
        is_stuck: Whether a driver that did not return has been left to itself.
    """

    def __init__(
        self,
        helper: Helper,
        mail: Mail,
        *,
        beat: Callable[[], None],
        is_running: Callable[[], bool],
        role: Callable[[], str],
    ) -> None:
        self.is_stuck = False
        self._helper = helper
        self._mail = mail
        self._beat = beat
        self._is_running = is_running
        self._role = role
        self._give_up_ns = 0  # when a driver that does not return is left to itself

    def do(self, work: Callable[[], Any]) -> Any:
        """Do something, and return what it returns or raise what it raises.

        Raises:
            DeviceTimeoutError: It took too long, and the manager is to quit.
        """
        clock = current().clock
        patience = Patience(clock.monotonic_ns())
        result = self._helper.do(work, lambda bell: self._wait(patience, bell))
        if patience.is_at_end:
            taken_s = patience.taken_s(clock.monotonic_ns())
            self._mail.log("info", f"{self._role()}: its driver has returned after {taken_s:.1f} s")
        return result

    def hurry(self) -> None:
        """Give up a driver that does not return `GIVE_UP_S` from now."""
        if not self._give_up_ns:
            self._give_up_ns = current().clock.monotonic_ns() + int(GIVE_UP_S * NS_PER_S)

    def see_off(self) -> None:
        """Wait for what a driver still does, and say so if it does not return in time."""
        if self.is_stuck or not self._helper.is_at_work:
            return
        self.hurry()
        try:
            self.do(lambda: None)
        except DeviceTimeoutError as error:
            self._mail.log("error", f"{self._role()}: {error}")

    def _wait(self, patience: Patience, bell: Bell) -> None:
        """Wait for a helper that takes long: listen, show signs of life, and give up in time."""
        sources = (bell, self._mail.channel) if self._is_running() else (bell,)
        now_ns = self._look(patience)
        timeout_s = patience.next_look_s(now_ns, patience.last_ns(self._give_up_ns))
        current().wait(sources, self._mail.unsent(), timeout_s)
        bell.clear()
        self._beat()
        self._listen()
        now_ns = self._look(patience)
        taken_s = patience.taken_s(now_ns)
        if patience.ends(now_ns):
            self._mail.log(
                "warning", f"{self._role()}: its driver has not returned for {taken_s:.1f} s"
            )
        if not self._is_running():
            self.hurry()
        if now_ns >= patience.last_ns(self._give_up_ns):
            self.is_stuck = True
            raise DeviceTimeoutError(
                f"its driver has not returned for {taken_s:.1f} s, and {LEFT}: the device is "
                "neither stopped nor closed; look after it before you use it again"
            )

    def _look(self, patience: Patience) -> int:
        """Return the time, and give back what was lost of it."""
        now_ns = current().clock.monotonic_ns()
        held_up_ns = patience.held_up_ns(now_ns)
        self._give_up_ns += held_up_ns if self._give_up_ns else 0
        return now_ns

    def _listen(self) -> None:
        while self._is_running() and (frame := self._mail.receive()) is not None:
            if _asks_to_quit(frame):
                self._hear_quit(frame)
            else:
                self._mail.hold_back(frame)

    def _hear_quit(self, frame: Frame) -> None:
        if self._give_up_ns:  # it has been told before
            self._mail.hold_back(frame)
            return
        self.hurry()
        if dropped := self._mail.drop():
            self._mail.log("warning", f"{dropped} {DROPPED}")
        self._mail.hold_back(frame)


def _asks_to_quit(frame: Frame) -> bool:
    """Whether a frame is a request to quit that will not be refused for what is in it."""
    if frame.kind is not Kind.MESSAGE or envelope(frame).meth != "quit":
        return False
    try:
        return arguments(frame) == ((), {})
    except MessageError:
        return False
