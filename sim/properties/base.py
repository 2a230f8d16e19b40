"""What a property is: something that watches one run, and says when what must hold does not."""

import pickle
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.properties.facts import Facts
    from sim.world.world import World

KINDS = "MSLDWFGA"
MESSAGES, WORK, NEWS = (frozenset({kind}) for kind in ("messages", "work", "news"))
Parts = tuple[str, tuple[str, ...], bytes]
_NOT_YET: Any = object()


class Head(NamedTuple):
    """The header of a message: to whom, what, from whom, its number, its token."""

    to: str
    meth: str
    sender: str
    number: int
    token: int


class FrameSeen:
    """A whole frame that a process gave to a pipe, or got out of it.

    Attributes:
        t_ns: Virtual time.
        process: Whose doing it was.
        way: `send` or `receive`.
        end: The name of the pipe's end; `pipe-7a` and `pipe-7b` are the two of one pipe.
        raw: The frame.
        manager: Whose pipe to the router it is; "" for another pipe.
        parts: Kind, fields and payload, if it is a frame between the router and a manager.
        head: The header, if it is a message's and can be read.
    """

    __slots__ = (
        "_arguments", "_work", "end", "event", "head", "manager", "parts", "process", "raw",
        "t_ns", "way",
    )  # fmt: skip

    def __init__(
        self, t_ns: int, process: str, way: str, end: str, raw: bytes, manager: str = ""
    ) -> None:
        self.t_ns = t_ns
        self.process = process
        self.way = way
        self.end = end
        self.raw = raw
        self.manager = manager
        self.parts, self.head = _taken_apart(raw)
        self.event = self._meaning() if manager else ""
        self._arguments = self._work = _NOT_YET

    def _meaning(self) -> str:
        """Return what it is to the router or to a manager; "" for what is, and should be, none.

        `given`: a manager has given a message to its pipe; `taken_in`: the router has got it out;
        `handed_on`: the router has given it to a manager's pipe; `arrived`: that has got it out.
        `quits`: the router has heard that a manager quits; `garbled`: it can not be understood.
        """
        is_routers = self.process == ROUTER
        if self.head is not None:
            if is_routers:
                return "handed_on" if self.way == "send" else "taken_in"
            is_its_own = self.process == self.manager
            return ("given" if self.way == "send" else "arrived") if is_its_own else ""
        if not is_routers or self.way == "send":
            return ""
        if self.parts is None or self.parts[0] == "M":
            return "garbled"
        is_goodbye = self.parts[0] == "S" and self.parts[1][0] in ("quitting", "failed")
        return "quits" if is_goodbye else ""

    @property
    def arguments(self) -> tuple[tuple, dict] | None:
        """What a message carries, if it can be unpickled."""
        if self._arguments is _NOT_YET:
            self._arguments = None if self.parts is None else _arguments_in(self.parts[2])
        return self._arguments

    @property
    def work(self) -> Any:
        """The task or the result, if it is one of those between a worker and its manager."""
        if self._work is _NOT_YET:
            self._work = _work_in(self.raw) if self.raw[:1] == b"\x80" else None
        return self._work


@lru_cache(maxsize=512)  # the same bytes are seen four times on their way
def _taken_apart(raw: bytes) -> tuple[Parts | None, Head | None]:
    """Return a frame's parts, and a message's header.

    Taken apart here anew, so that a mistake of the code that is looked at is not made twice.
    """
    header, newline, payload = raw.partition(b"\n")
    try:
        kind, fields = header[:1].decode("ascii"), tuple(header[1:].decode().split("\t"))
    except ValueError:
        return None, None
    if not newline or kind not in KINDS:
        return None, None
    parts = (kind, fields, payload)
    if kind != "M":
        return parts, None
    try:
        to, meth, sender, number, token = fields
        return parts, Head(to, meth, sender, int(number), int(token))
    except ValueError:
        return parts, None


def _arguments_in(payload: bytes) -> tuple[tuple, dict] | None:
    try:
        args, kwargs = pickle.loads(payload)
    except Exception:  # whatever an argument's own constructor raises
        return None
    fits = isinstance(args, tuple) and isinstance(kwargs, dict)
    return (args, kwargs) if fits and all(isinstance(key, str) for key in kwargs) else None


def _work_in(raw: bytes) -> Any:
    try:
        return pickle.loads(raw)
    except Exception:  # a fault has garbled it
        return None


class Property:
    """Watches one run. A safety property looks at each step, the others at the end.

    Args:
        world: The run.

    Attributes:
        facts: What all properties need to know of the run.
        id: Its name in reports, as in `docs/properties.md`.
        title: What must hold, in a few words.
        sites: The sites whose steps it sees, before they take effect.
        sees: Which of the frames in pipes it sees: `messages`, what is one or should be, and a
            manager's goodbye; `work`, tasks and results; `news`, all else between the router and
            the managers.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    sites: ClassVar[frozenset[str]] = frozenset()
    sees: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, world: "World") -> None:
        self.world = world
        self.facts: Facts = world.monitor.facts

    def step(self, step: Step) -> None:
        """See a step of one of `sites`."""

    def frame(self, frame: FrameSeen) -> None:
        """See a frame that was sent or received."""

    def at_end(self) -> None:
        """Look at the world when every process has ended, or should have."""

    def violate(self, text: str) -> None:
        """Say that it does not hold, and why, in two sentences."""
        self.world.monitor.report(f"{self.id}: {text}")
