"""A small manager that does in a world what a plan says: it sends messages, good and bad."""

import pickle
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

from hal.clock import NS_PER_S
from magscope.processes import HEARTBEAT_S, ManagerProcessBase
from magscope.runtime import MAX_FRAME_BYTES, current
from magscope.utils import Message
from sim.world.plan import Action

BAD_MESSAGES = ("no message", "unpicklable", "oversized", "nameless", "unknown", "private")


class Unpicklable:
    """What can not be sent."""

    def __reduce__(self) -> Any:
        raise pickle.PicklingError("it can not be pickled")


class Probe(ManagerProcessBase):
    """Does what it is told, each thing at its time.

    Args:
        name: `Probe-1`, and so on.
        actions: What is to be done.
        zero_ns: The monotonic time of the world's beginning.
    """

    _one_per_name: ClassVar[bool] = True

    def __init__(self, name: str, actions: Iterable[Action], zero_ns: int) -> None:
        super().__init__(name)
        self._actions = sorted(actions, key=lambda action: action.at_s)
        self._zero_ns = zero_ns
        self._heard = 0

    def _warm_up(self) -> None:
        self._do_what_is_due()

    def setup(self) -> None:
        """Do nothing."""

    def seconds_to_next_loop(self) -> float:
        """Return when the next action is due."""
        return self._left_ns() / NS_PER_S if self._actions else HEARTBEAT_S

    def do_main_loop(self) -> None:
        """Do what is due."""
        self._do_what_is_due()

    def hear(self, *_: Any) -> None:
        """Take a message that wants nothing."""
        self._heard += 1

    def fail(self) -> None:
        """Fail, as a handler with a mistake does."""
        raise ZeroDivisionError("a probe was told to fail")

    def _left_ns(self) -> int:
        """Return how long it is to the next action: whole ns, since a clock may tick coarsely."""
        due_ns = self._zero_ns + round(self._actions[0].at_s * NS_PER_S)
        return due_ns - current().clock.monotonic_ns()

    def _do_what_is_due(self) -> None:
        while self._running and self._actions and self._left_ns() <= 0:
            self._do(self._actions.pop(0))

    def _do(self, action: Action) -> None:
        current().note("does", f"{action.do}: {action}")
        if action.do == "send":
            self.send_ipc(Message(action.to, action.meth, *action.args))
        elif action.do == "flood":
            count, *args = action.args
            for _ in range(count):
                self.send_ipc(Message(action.to, action.meth, *args))
        elif action.do == "talk":
            self._talk(action)
        elif action.do == "post":
            self._post(bytes.fromhex("".join(action.args)))
        elif action.do == "send_bad":
            self._send_bad(action.to, action.meth)
        elif action.do == "stall":
            current().clock.sleep_s(*action.args)
        elif action.do == "quit":
            self.quit()

    def _talk(self, action: Action) -> None:
        every_s, left = action.args
        self.send_ipc(Message(action.to, action.meth))
        if left > 1:
            later = replace(action, at_s=action.at_s + every_s, args=(every_s, left - 1))
            self._actions.append(later)
            self._actions.sort(key=lambda each: each.at_s)

    def _send_bad(self, to: str, how: str) -> None:
        if how == "no message":
            self.send_ipc((to, "hear"))  # type: ignore[arg-type]
        elif how == "unpicklable":
            self.send_ipc(Message(to, "hear", Unpicklable()))
        elif how == "oversized":
            self.send_ipc(Message(to, "hear", bytes(MAX_FRAME_BYTES + 1)))
        elif how == "nameless":
            self.send_ipc(Message("", "hear"))
        elif how == "private":
            self.send_ipc(Message(to, "_do", 1))
        else:
            self.send_ipc(Message(to, "no_such_method"))
