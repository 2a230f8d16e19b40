"""What a property is: something that watches one run, and says when what must hold does not."""

import pickle
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.properties.facts import Facts
    from sim.world.world import World

KINDS = "MSLDWFGA"
MESSAGES, WORK, NEWS = (frozenset({kind}) for kind in ("messages", "work", "news"))


class Head(NamedTuple):
    """The header of a message: to whom, what, from whom, its number, its token."""

    to: str
    meth: str
    sender: str
    number: int
    token: int


@dataclass(eq=False)  # not frozen: there are many of them, and that takes its time
class FrameSeen:
    """A whole frame that a process gave to a pipe, or got out of it.

    Attributes:
        t_ns: Virtual time.
        process: Whose doing it was.
        way: `send` or `receive`.
        end: The name of the pipe's end; `pipe-7a` and `pipe-7b` are the two of one pipe.
        raw: The frame.
        manager: Whose pipe to the router it is; "" for another pipe.
    """

    t_ns: int
    process: str
    way: str
    end: str
    raw: bytes
    manager: str = ""

    @cached_property
    def event(self) -> str:
        """What it is to the router or to a manager; "" for what is no message, nor should be one.

        `given`: a manager has given a message to its pipe; `taken_in`: the router has got it out;
        `handed_on`: the router has given it to a manager's pipe; `arrived`: that has got it out.
        `quits`: the router has heard that a manager quits; `garbled`: it can not be understood.
        """
        if not self.manager:
            return ""
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

    @cached_property
    def parts(self) -> tuple[str, tuple[str, ...], bytes] | None:
        """Kind, fields and payload, if it is a frame between the router and a manager.

        Taken apart here anew, so that a mistake of the code that is looked at is not made twice.
        """
        header, newline, payload = self.raw.partition(b"\n")
        try:
            kind, fields = header[:1].decode("ascii"), tuple(header[1:].decode().split("\t"))
        except ValueError:
            return None
        return (kind, fields, payload) if newline and kind in KINDS else None

    @cached_property
    def head(self) -> Head | None:
        """The header, if it is a message's and can be read."""
        if self.parts is None or self.parts[0] != "M":
            return None
        try:
            to, meth, sender, number, token = self.parts[1]
            return Head(to, meth, sender, int(number), int(token))
        except ValueError:
            return None

    @cached_property
    def arguments(self) -> tuple[tuple, dict] | None:
        """What a message carries, if it can be unpickled."""
        if self.parts is None:
            return None
        try:
            args, kwargs = pickle.loads(self.parts[2])
        except Exception:  # whatever an argument's own constructor raises
            return None
        fits = isinstance(args, tuple) and isinstance(kwargs, dict)
        return (args, kwargs) if fits and all(isinstance(key, str) for key in kwargs) else None

    @cached_property
    def work(self) -> Any:
        """The task or the result, if it is one of those between a worker and its manager."""
        if self.raw[:1] != b"\x80":
            return None
        try:
            return pickle.loads(self.raw)
        except Exception:  # a fault has garbled it
            return None


class Property:
    """Watches one run. A safety property looks at each step, the others at the end.

    Args:
        world: The run.

    Attributes:
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

    @property
    def facts(self) -> "Facts":
        """What all properties need to know of the run."""
        return self.world.monitor.facts

    def step(self, step: Step) -> None:
        """See a step of one of `sites`."""

    def frame(self, frame: FrameSeen) -> None:
        """See a frame that was sent or received."""

    def at_end(self) -> None:
        """Look at the world when every process has ended, or should have."""

    def violate(self, text: str) -> None:
        """Say that it does not hold, and why, in two sentences."""
        self.world.monitor.report(f"{self.id}: {text}")
