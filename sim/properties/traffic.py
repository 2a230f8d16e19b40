"""What goes through the router, as it looks from outside; the router's properties build on it."""

from typing import TYPE_CHECKING, NamedTuple

from sim.properties.base import MESSAGES, FrameSeen, Head, Property
from sim.properties.facts import EVERYBODY
from sim.world.plan import ROUTER

if TYPE_CHECKING:
    from sim.world.world import World

__all__ = ["EVERYBODY", "RouterWatch", "Undelivered", "called"]


class Undelivered(NamedTuple):
    """A message that the router has reported as undeliverable."""

    meth: str
    number: int
    sender: str
    to: str
    reason: str

    @classmethod
    def of(cls, detail: str) -> "Undelivered":
        """Return what the router's note says."""
        words, _, reason = detail.partition(": ")
        meth, number, _, sender, _, to = words.split(" ")
        return cls(meth, int(number), sender, to, reason)


def called(detail: str) -> tuple[str, int, str]:
    """Return the method, the number and the sender that the note of an obeyed message tells of."""
    meth, number, _, sender = detail.split(" ")
    return meth, int(number), sender


class RouterWatch(Property):
    """A property of what the router takes in and hands on.

    Attributes:
        deaf: The managers of which the router has heard that they quit.
    """

    sees = MESSAGES

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.deaf: set[str] = set()
        self._tell = {
            "given": self.given,
            "taken_in": self.taken_in,
            "handed_on": self.handed_on,
            "arrived": self.arrived,
        }

    def frame(self, frame: FrameSeen) -> None:
        """Tell what a frame is to the router or to the manager at the other end."""
        event = frame.event
        if not event:
            return
        if frame.head is not None:
            self._tell[event](frame.manager, frame.head, frame)
        elif event == "quits":
            self.deaf.add(frame.manager)
        else:
            self.garbled(frame.manager)

    @property
    def router_is_sound(self) -> bool:
        """Whether no fault has raised an exception in the router, whose work is then half done."""
        return ROUTER not in self.facts.raising

    @property
    def router_ended_well(self) -> bool:
        """Whether the router has done all that it had to do."""
        return self.world.router.code == 0 and self.router_is_sound

    def given(self, sender: str, head: Head, frame: FrameSeen) -> None:
        """A manager has given a message to its pipe."""

    def taken_in(self, source: str, head: Head, frame: FrameSeen) -> None:
        """The router has got a message out of a manager's pipe."""

    def garbled(self, source: str) -> None:
        """The router has got something out of a manager's pipe that is no frame."""

    def handed_on(self, to: str, head: Head, frame: FrameSeen) -> None:
        """The router has given a message to a manager's pipe."""

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:
        """A manager has got a message out of its pipe."""
