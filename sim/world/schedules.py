"""Schedules: where a run deviates from first-in-first-out, and the record of where it did."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim.faults.base import ordinal


@dataclass(frozen=True, order=True)
class Deviation:
    """At the `hit`-th time that `process` is at `site`, another task runs first.

    Attributes:
        choice: Which of those that are ready, in the order in which they became so.
    """

    process: str
    site: str
    hit: int
    choice: int = 0

    def __str__(self) -> str:
        return f"another goes on before {self.process} does its {ordinal(self.hit)} {self.site}"


class Named(Protocol):
    """A task that is ready, by the name of its process."""

    name: str


Ready = Collection[Named]  # in the order in which they became so


class Chooser(Protocol):
    """Decides whether to deviate, and keeps no record."""

    def choose(self, process: str, site: str, hit: int, ready: Ready) -> int | None:
        """Return which of the ready tasks runs first; None: the one that runs goes on."""


class Recorder:
    """A schedule that follows a chooser and writes down every deviation.

    Attributes:
        may_deviate: Whether the chooser has to be asked at all.
    """

    def __init__(self, chooser: Chooser) -> None:
        self.deviations: list[Deviation] = []
        self.may_deviate = type(chooser) is not Fifo
        if isinstance(chooser, Replay):
            self.may_deviate = bool(chooser.left)
        self._chooser = chooser

    @property
    def unreached(self) -> list[Deviation]:
        """The deviations of a record that the run did not come to."""
        return list(getattr(self._chooser, "left", {}).values())

    def preempt(self, process: str, site: str, hit: int, ready: Ready) -> int | None:
        """Return which of the ready tasks runs first; None: the one that runs goes on."""
        choice = self._chooser.choose(process, site, hit, ready)
        if choice is not None:
            self.deviations.append(Deviation(process, site, hit, choice))
        return choice


class Fifo:
    """Never deviates: tasks run until they wait, in the order in which they became ready."""

    def choose(self, process: str, site: str, hit: int, ready: Ready) -> None:
        """Let the one that runs go on."""


class Replay:
    """Deviates where a record says, as far as the run still comes there.

    Attributes:
        left: The deviations that were not reached yet.
    """

    def __init__(self, deviations: Iterable[Deviation]) -> None:
        self.left = {(d.process, d.site, d.hit): d for d in deviations}

    def choose(self, process: str, site: str, hit: int, ready: Ready) -> int | None:
        """Return what the record says of this operation."""
        found = self.left.pop((process, site, hit), None) if self.left else None
        return None if found is None else min(found.choice, len(ready) - 1)


class Bits:
    """Random whole numbers from raw bits, the same on every machine."""

    def __init__(self, seed: int) -> None:
        self._stream = np.random.SFC64(np.random.SeedSequence([seed & (2**64 - 1), 7]))
        self._words: list[int] = []

    def below(self, n: int) -> int:
        """Return a number from 0 to n - 1."""
        if not self._words:
            self._words = self._stream.random_raw(1024).tolist()
        return (self._words.pop() >> 11) % n


class Random:
    """Deviates once in so many operations, to anybody who is ready."""

    def __init__(self, seed: int, one_in: int = 20) -> None:
        self._bits = Bits(seed)
        self._one_in = one_in

    def choose(self, process: str, site: str, hit: int, ready: Ready) -> int | None:
        """Throw the dice."""
        if self._bits.below(self._one_in):
            return None
        return self._bits.below(len(ready))


class Pct:
    """Priorities drawn at random, and lowered at `depth - 1` operations (Burckhardt et al., 2010).

    At each operation the process of the highest priority goes on: the one that runs, or another
    that is ready. Workers and managers of a later generation draw priorities of their own.
    """

    def __init__(self, seed: int, depth: int = 3, operations: int = 3_000) -> None:
        self._bits = Bits(seed)
        self._priorities: dict[str, int] = {}
        self._changes = {self._bits.below(operations) for _ in range(depth - 1)}
        self._count = 0

    def choose(self, process: str, site: str, hit: int, ready: Ready) -> int | None:
        """Give way to a process of higher priority."""
        self._count += 1
        if self._count in self._changes:
            self._priorities[process] = -self._count
        mine = self._priority(process)
        others = [self._priority(task.name) for task in ready]
        highest = max(others)
        return others.index(highest) if highest > mine else None

    def _priority(self, process: str) -> int:
        found = self._priorities.get(process)
        if found is None:
            found = self._priorities[process] = self._bits.below(1 << 30)
        return found


class Pos:
    """Partial-order sampling: each operation draws a priority, and a low one gives way."""

    def __init__(self, seed: int) -> None:
        self._bits = Bits(seed)

    def choose(self, process: str, site: str, hit: int, ready: Ready) -> int | None:
        """Let the highest of the priorities, drawn afresh, run first."""
        mine = self._bits.below(1 << 16)
        others = [self._bits.below(1 << 16) for _ in range(min(len(ready), 8))]
        highest = max(others)
        return others.index(highest) if highest > mine and not mine % 4 else None


class Jitter:
    """Deviates in bursts: for a while everybody gives way often, and then nobody."""

    def __init__(self, seed: int) -> None:
        self._bits = Bits(seed)
        self._left = 0

    def choose(self, process: str, site: str, hit: int, ready: Ready) -> int | None:
        """Begin a burst once in a while, and throw the dice within it."""
        if self._left:
            self._left -= 1
            return None if self._bits.below(3) else self._bits.below(len(ready))
        self._left = 0 if self._bits.below(200) else 30
        return None


def make(name: str, seed: int) -> Chooser:
    """Return a schedule by its name: `fifo`, `random`, `pos`, `jitter`, `pct`, `pct(d)`.

    Raises:
        ValueError: There is none of this name.
    """
    if name == "fifo":
        return Fifo()
    if name == "random":
        return Random(seed)
    if name == "pos":
        return Pos(seed)
    if name == "jitter":
        return Jitter(seed)
    if name == "pct" or (name.startswith("pct(") and name[4:-1].isdigit()):
        return Pct(seed, int(name[4:-1]) if "(" in name else 3)
    raise ValueError(f"schedule {name!r}: choose fifo, random, pos, jitter, pct or pct(DEPTH)")
