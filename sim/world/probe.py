"""A small manager that does in a world what a plan says: it sends messages, good and bad."""

import json
import pickle
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any, ClassVar
from zlib import crc32

from hal.clock import NS_PER_S
from magscope.datatypes import MatrixBuffer
from magscope.processes import HEARTBEAT_S, ManagerProcessBase
from magscope.report import Snapshot
from magscope.runtime import MAX_FRAME_BYTES, current
from magscope.utils import Message
from sim.world.plan import Action

BAD_MESSAGES = (
    "no message", "unpicklable", "brittle", "oversized", "nameless", "unknown", "private",
)  # fmt: skip
NEWEST_ROWS = 40


class Unpicklable:
    """What can not be sent, for one of the reasons that there are."""

    def __init__(self, reason: int) -> None:
        self._error = (pickle.PicklingError, TypeError, AttributeError)[reason % 3]

    def __reduce__(self) -> Any:
        raise self._error("it can not be pickled")


class Brittle:
    """What can be sent, and comes apart when it is opened, for one of several reasons."""

    def __init__(self, reason: int) -> None:
        self._reason = reason

    def __reduce__(self) -> Any:
        return _come_apart, (self._reason,)


def _come_apart(reason: int) -> None:
    error = (ValueError, KeyError, ZeroDivisionError)[reason % 3]
    raise error("an argument came apart as it was opened")


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
        self._buffers: dict[str, MatrixBuffer] = {}

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
            self._mail.post(bytes.fromhex("".join(action.args)))
        elif action.do == "send_bad":
            self._send_bad(action.to, action.meth)
        elif action.do == "stall":
            current().clock.sleep_s(*action.args)
        elif action.do == "read":
            self._read(action)
        elif action.do == "quit":
            self.quit()

    def _read(self, action: Action) -> None:
        """Look at rows, and say how many there were, and their checksum."""
        buffer = self._buffers.get(action.to)
        if buffer is None:
            buffer = MatrixBuffer(create=False, locks=self.locks, name=action.to)
            self._buffers[action.to] = buffer
        count, place, lost = buffer.get_count_index(), buffer.get_read_index(), buffer.overwritten
        current().note("rows", f"{action.to} count {count} {place} {lost}")
        rows = buffer.read() if action.meth == "read" else buffer.newest(NEWEST_ROWS)
        current().note("rows", f"{action.to} {action.meth} {len(rows)} {crc32(rows.tobytes())}")
        self._again(action)

    def shutdown(self) -> None:
        """Let go of the buffers that were looked at."""
        for buffer in self._buffers.values():
            buffer.close()

    def _talk(self, action: Action) -> None:
        self.send_ipc(Message(action.to, action.meth))
        self._again(action)

    def _again(self, action: Action) -> None:
        every_s, left = action.args
        if left > 1:
            later = replace(action, at_s=action.at_s + every_s, args=(every_s, left - 1))
            self._actions.append(later)
            self._actions.sort(key=lambda each: each.at_s)

    def _send_bad(self, to: str, how: str) -> None:
        if how == "no message":
            self.send_ipc((to, "hear"))  # type: ignore[arg-type]
        elif how == "unpicklable":
            self.send_ipc(Message(to, "hear", Unpicklable(len(to))))
        elif how == "brittle":
            self.send_ipc(Message(to, "hear", Brittle(len(to))))
        elif how == "oversized":
            self.send_ipc(Message(to, "hear", bytes(MAX_FRAME_BYTES + 1)))
        elif how == "nameless":
            self.send_ipc(Message("", "hear"))
        elif how == "private":
            self.send_ipc(Message(to, "_do", 1))
        else:
            self.send_ipc(Message(to, "no_such_method"))


def tell_of_snapshot(snapshot: Snapshot) -> None:
    """Say what somebody is shown who watches the session."""
    shown = {
        **asdict(snapshot.frames),
        "level": snapshot.buffer_level,
        "busy": snapshot.busy_count,
        "flag": snapshot.flag,
    }
    current().note("snapshot", json.dumps(shown))
