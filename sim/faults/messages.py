"""Faults of pipes: what is written is lost, late, double, wrong; there is no room; it is closed."""

from dataclasses import dataclass
from typing import ClassVar

from sim.faults.base import Fault, LastingFault, one_of, seconds

DEFAULT_SITE = "pipe.write"


@dataclass(frozen=True)
class Drop(Fault):
    """The frame that the process writes next is lost on the way."""

    kind: ClassVar[str] = "drop"
    default_site: ClassVar[str] = DEFAULT_SITE

    def __str__(self) -> str:
        return f"what {self.process} sends {self.when} is lost"


@dataclass(frozen=True)
class DelayMessage(Fault):
    """The frame that the process writes next, and those behind it, come late out of the pipe.

    Attributes:
        for_s: For how many virtual seconds they are under way.
    """

    for_s: float = seconds(0.1, above=0.0)
    kind: ClassVar[str] = "delay-message"
    default_site: ClassVar[str] = DEFAULT_SITE

    def __str__(self) -> str:
        return f"what {self.process} sends {self.when} is under way for {self.for_s:g} s"


@dataclass(frozen=True)
class Duplicate(Fault):
    """The frame that the process writes next comes twice."""

    kind: ClassVar[str] = "duplicate"
    default_site: ClassVar[str] = DEFAULT_SITE

    def __str__(self) -> str:
        return f"what {self.process} sends {self.when} comes twice"


@dataclass(frozen=True)
class Reorder(Fault):
    """The frame that the process writes next is overtaken by the one behind it.

    Attributes:
        for_s: After how many virtual seconds it comes if none follows.
    """

    for_s: float = seconds(1.0, above=0.0)
    kind: ClassVar[str] = "reorder"
    default_site: ClassVar[str] = DEFAULT_SITE

    def __str__(self) -> str:
        return f"what {self.process} sends {self.when} is overtaken by what it sends next"


@dataclass(frozen=True)
class Corrupt(Fault):
    """In the frame that the process writes next, bits are inverted.

    Attributes:
        part: Which: `payload` (all of it; of a frame that has none, the header), `header`, or
            `length`, and then nothing behind it can be told apart any more.
    """

    part: str = one_of("payload", "payload", "header", "length")
    kind: ClassVar[str] = "corrupt"
    default_site: ClassVar[str] = DEFAULT_SITE

    def __str__(self) -> str:
        return f"the {self.part} of what {self.process} sends {self.when} is garbled"


@dataclass(frozen=True)
class Oversize(Fault):
    """The frame that the process writes next claims to be larger than any may be."""

    kind: ClassVar[str] = "oversize"
    default_site: ClassVar[str] = DEFAULT_SITE

    def __str__(self) -> str:
        return f"what {self.process} sends {self.when} is too large"


@dataclass(frozen=True)
class PipeFull(LastingFault):
    """There is no room in any pipe that the process writes to."""

    kind: ClassVar[str] = "pipe-full"
    default_site: ClassVar[str] = DEFAULT_SITE

    def __str__(self) -> str:
        return f"there is no room in the pipes of {self.process} {self.when} {self.how_long}"


@dataclass(frozen=True)
class PipeClosed(Fault):
    """The pipe to which the process writes next is closed under it, in both directions."""

    kind: ClassVar[str] = "pipe-closed"
    default_site: ClassVar[str] = DEFAULT_SITE

    def __str__(self) -> str:
        return f"the pipe to which {self.process} writes {self.when} is closed"


@dataclass(frozen=True)
class SlowReader(LastingFault):
    """The process takes little at a time out of its pipes.

    Attributes:
        bytes_per_s: How much, out of each.
    """

    bytes_per_s: float = seconds(1000.0, least=1.0)
    kind: ClassVar[str] = "slow-reader"
    default_site: ClassVar[str] = "pipe.read"

    def __str__(self) -> str:
        return (
            f"{self.process} reads {self.bytes_per_s:g} bytes a second {self.when} {self.how_long}"
        )
