"""Managers and tasks that keep things where processes must not share them, or that fail."""

from typing import ClassVar

from conformance_tools import begin, hang, receive, send

from hal.clock import NS_PER_S
from magscope.processes import ManagerProcessBase
from magscope.runtime import Bell, Endpoint, Event, SharedMemory, current
from magscope.utils import Message

count = 0
seen: list[str] = []
MARK = object()


class Counter:
    """Keeps things in its class."""

    made = 0
    names: ClassVar[dict[str, int]] = {}


class Noter:
    """Says when it is thrown away."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.itself: Noter | None = None

    def __del__(self) -> None:
        self.event.set()


class Marker:
    """A context that leaves a mark in shared memory."""

    def __init__(self, block: SharedMemory) -> None:
        self.block = block

    def __enter__(self) -> None:
        self.block.buf[0] = 1

    def __exit__(self, *_: object) -> None:
        self.block.buf[1] = 1


def tidy_everywhere(bell: Bell, tidied: list[Event]) -> None:
    """Hang where a `finally`, an `__exit__` and a `__del__` are due; leave a cycle behind too."""
    kept = Noter(tidied[0])
    cycle = Noter(tidied[1])
    cycle.itself = cycle
    del cycle
    try:
        with Marker(current().shared_memory("marks")):
            bell.ring()
            hang(kept)
    except BaseException:
        tidied[2].set()
        raise
    finally:
        tidied[3].set()


def count_here(name: str, end: Endpoint) -> None:
    """Keep things in the module and in a class, and say what there is."""
    global count
    for _ in range(3):
        assert receive(end) == b"count"
        count += 1
        seen.append(name)
        Counter.made += 1
        Counter.names[name] = count
        send(end, repr((count, seen, Counter.made, Counter.names, MARK is given())).encode())


def given(mark: object = MARK) -> object:
    """Return the mark as it was when the module was made."""
    return mark


def begin_a_counting_child(end: Endpoint) -> None:
    """Count, and start a child that goes on from here."""
    global count
    count += 10
    begin(count_here, "grandchild", ends=[end])


class Talker(ManagerProcessBase):
    """Sends a list, changes it, and looks at what comes back."""

    _one_per_name = True

    def __init__(self, name: str, listeners: tuple[str, ...] = ()) -> None:
        super().__init__(name)
        self.listeners = listeners
        self.kept = [1, 2, 3]
        self.answers = 0

    def setup(self) -> None:
        for listener in self.listeners:
            self.send_ipc(Message(listener, "hear", self.kept, self.name))
        self.kept.append(4)

    def do_main_loop(self) -> None:
        pass

    def hear(self, what: list[int], sender: str) -> None:
        assert what == [1, 2, 3], what
        what.clear()
        self.send_ipc(Message(sender, "answered", what))

    def answered(self, what: list[int]) -> None:
        assert (what, self.kept) == ([], [1, 2, 3, 4])
        self.answers += 1
        if self.answers == len(self.listeners):
            self.quit()


class Failing(ManagerProcessBase):
    """Fails where it is told to."""

    def __init__(self, where: str = "") -> None:
        super().__init__()
        self.where = where

    def setup(self) -> None:
        if self.where == "setup":
            raise LookupError("on purpose")
        if self.where == "handler":
            self.send_ipc(Message("Failing", "fail"))

    def fail(self) -> None:
        raise LookupError("on purpose")

    def do_main_loop(self) -> None:
        if self.where == "loop" and current().clock.monotonic_ns() > 1.3 * NS_PER_S:
            raise LookupError("on purpose")

    def shutdown(self) -> None:
        if self.where == "shutdown":
            raise LookupError("on purpose")
