"""Faults of shared memory."""

from dataclasses import dataclass, field
from typing import ClassVar

from sim.faults.base import Fault, one_of, seconds


@dataclass(frozen=True)
class MemoryMissing(Fault):
    """A block of shared memory is not there when the process attaches to it, this once."""

    kind: ClassVar[str] = "memory-missing"
    default_site: ClassVar[str] = "memory.attach"

    def __str__(self) -> str:
        return f"shared memory is missing for {self.process} {self.when}"


@dataclass(frozen=True)
class StaleMemory(Fault):
    """The blocks of another session are there when this one begins.

    Attributes:
        process: The router, whose session it is.
        at_s: The beginning, 0.
        blocks: How many there are.
        owner: `dead`, and nobody else will remove them; or `alive`, and nobody else may.
    """

    process: str = "MagScope"
    at_s: float | None = seconds(0.0, least=0.0)
    blocks: int = field(default=3, metadata={"least": 1})
    owner: str = one_of("dead", "dead", "alive")
    kind: ClassVar[str] = "stale-memory"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at_s != 0.0:
            raise ValueError(f"{self.kind}: at_s = {self.at_s}: it is there from the beginning, 0")

    def __str__(self) -> str:
        if self.owner == "alive":
            return f"another session runs here, with {self.blocks} blocks of shared memory"
        return f"a session that died has left {self.blocks} blocks of shared memory"
