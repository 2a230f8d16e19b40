"""What a property is: something that watches one run, and says when what must hold does not."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World


@dataclass(frozen=True)
class FrameSeen:
    """A whole frame that a process gave to a pipe, or got out of it.

    Attributes:
        t_ns: Virtual time.
        process: Whose doing it was.
        way: `send` or `receive`.
        end: The name of the pipe's end; `pipe-7a` and `pipe-7b` are the two of one pipe.
        raw: The frame.
    """

    t_ns: int
    process: str
    way: str
    end: str
    raw: bytes


class Property:
    """Watches one run. A safety property looks at each step, the others at the end.

    Args:
        world: The run.

    Attributes:
        id: Its name in reports, as in `docs/properties.md`.
        title: What must hold, in a few words.
        sites: The sites whose steps it sees, before they take effect.
        sees_frames: Whether it sees what travels in pipes.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    sites: ClassVar[frozenset[str]] = frozenset()
    sees_frames: ClassVar[bool] = False

    def __init__(self, world: "World") -> None:
        self.world = world

    def step(self, step: Step) -> None:
        """See a step of one of `sites`."""

    def frame(self, frame: FrameSeen) -> None:
        """See a frame that was sent or received."""

    def at_end(self) -> None:
        """Look at the world when every process has ended, or should have."""

    def violate(self, text: str) -> None:
        """Say that it does not hold, and why, in two sentences."""
        self.world.monitor.report(f"{self.id}: {text}")
