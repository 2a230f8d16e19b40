"""B4 and B1 for those who look: rows are read as they were written; every snapshot is true."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from zlib import crc32

import numpy as np

from sim.properties.base import Property
from sim.properties.facts import CAMERA
from sim.properties.pool import PoolWatch
from sim.properties.ring import Ring
from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

_HEADER_BYTES, _HEADER_WORDS = 128, 16
_ROWS, _COLUMNS = 0, 1
_WRITTEN, _READ, _OVERWRITTEN, _CLAIMED = range(8, 12)
_NEWEST = 40  # what a probe asks for


@dataclass
class _Look:
    """What a reader should find; `is_certain` unless others write meanwhile."""

    counts: str
    new: str
    newest: str
    is_certain: bool = True
    is_fixed: bool = False


class RowsAsWritten(Property):
    """B4: who reads rows gets the newest ones, as they were written, and is told what was lost.

    What a probe has read is compared with what lay in memory. Where others have written meanwhile,
    that can be said only of what is read under the buffer's lock.
    """

    id = "B4"
    title = "rows are read as they were written"
    sites = frozenset({"memory.set", "note.does", "note.rows"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._names = {action.to for action in world.actions if action.do == "read"}
        self._looks: dict[str, tuple[str, _Look]] = {}

    def step(self, step: Step) -> None:
        """See a reader begin, others write, and what the reader has found."""
        if not self._names:
            return
        if step.site == "memory.set":
            if step.object in self._names and self._looks:
                self._stored(step)
        elif step.site == "note.does":
            self._looks.pop(step.process, None)
            do, _, _ = step.detail.partition(":")
            name = self._wanted(step) if do == "read" else ""
            if name and (look := self._look(name)) is not None:
                lock = self.facts.managers[CAMERA].locks[name]
                look.is_certain = lock.holder is None  # else somebody is about to store a count
                self._looks[step.process] = name, look
        else:
            self._found(step)

    def _wanted(self, step: Step) -> str:
        return next((name for name in self._names if f" rows of {name} " in step.detail), "")

    def _stored(self, step: Step) -> None:
        for who, (name, look) in self._looks.items():
            if name != step.object:
                continue
            if who != step.process:
                look.is_certain = look.is_certain and look.is_fixed
            elif not look.is_fixed and step.detail.startswith(("overwritten=", "read=")):
                # It has the rows, and the lock: what is there now is what it has found.
                now = self._look(name)
                if now is not None:
                    look.new, look.is_certain, look.is_fixed = now.new, True, True

    def _found(self, step: Step) -> None:
        if step.process not in self._looks:
            return
        name, look = self._looks[step.process]
        _, what, found = step.detail.split(" ", 2)
        wanted = {"count": look.counts, "read": look.new, "newest": look.newest}[what]
        if not look.is_certain or found == wanted:
            return
        words = "rows waiting, their place, rows lost" if what == "count" else "rows, checksum"
        self.violate(
            f"{step.process} looked at {name} ({what}: {words}) and found {found}, where it should "
            f"have found {wanted}. Who reads must get the newest rows that were written, whole and "
            "in order, and be told how many were overwritten before."
        )

    def _look(self, name: str) -> _Look | None:
        """Return what a reader should find now; None if the buffer is not there."""
        memory = self.world.block(name)
        if memory is None:
            return None
        words = np.frombuffer(memory, np.int64, _HEADER_WORDS).tolist()
        rows, columns, written = words[_ROWS], words[_COLUMNS], words[_WRITTEN]
        if not rows:
            return None
        table = np.frombuffer(memory, np.float64, rows * columns, _HEADER_BYTES)
        table = table.reshape(rows, columns)
        oldest = max(written, words[_CLAIMED]) - rows

        def found(first: int) -> str:
            first = min(max(first, oldest, 0), written)
            taken = table[np.arange(first, written) % rows]
            return f"{len(taken)} {crc32(taken.tobytes())}"

        lost = min(max(oldest - words[_READ], 0), written - words[_READ])
        waiting, place = written - words[_READ] - lost, (words[_READ] + lost) % rows
        return _Look(
            f"{waiting} {place} {words[_OVERWRITTEN] + lost}",
            found(words[_READ]),
            found(written - _NEWEST),
        )


class EachLook(PoolWatch):
    """B1: at every look at the running system its account balances, and no count is wrong.

    What has left the buffer never comes back; what is delivered was written.
    """

    id = "B1"
    title = "the account balances at every look"
    sites = frozenset({"note.snapshot"})
    _GROW: ClassVar[tuple[str, ...]] = (
        "delivered", "processed", "purged", "discarded", "lost", "device_lost",
    )  # fmt: skip

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._before: dict[str, int] = {}

    def step(self, step: Step) -> None:
        """Judge what is shown of the session."""
        if ROUTER in self.facts.raising:
            return
        shown = json.loads(step.detail)
        before, self._before = self._before, shown
        kept = ("processed", "purged", "discarded", "lost", "in_buffer")
        if sum(shown[name] for name in kept) != shown["delivered"]:
            self._say(f"{shown['delivered']} frames are delivered, and {shown} is all there is")
        for name in (*kept, "delivered", "device_lost"):
            if shown[name] < 0:
                self._say(f"{shown[name]} frames are {name}")
        for name in self._GROW:
            if shown[name] < before.get(name, 0) and not self._is_settled(name):
                self._say(f"{shown[name]} frames are {name}, where {before[name]} were before")
        ring = Ring.of(self.world)
        if ring is not None and shown["delivered"] > ring.written:
            self._say(f"{shown['delivered']} frames are delivered, and {ring.written} were written")
        workers = self.world.scope.settings["video processors n"] if self.world.scope else 0
        if not 0 <= shown["busy"] <= workers:
            self._say(f"{shown['busy']} of {workers} workers are busy")
        if not 0 <= shown["level"] <= 1:
            self._say(f"the buffer is filled to {shown['level']:.2f}")

    def _is_settled(self, name: str) -> bool:
        """Whether a count may fall: what is lost is known in full only when all is over."""
        return name == "lost" and self.facts.session_ends_ns is not None

    def _say(self, what: str) -> None:
        self.violate(
            f"Who looks at the session is shown that {what}. "
            "At any moment every frame must be found once, where it is, and no count may fall."
        )


PROPERTIES: tuple[type[Property], ...] = (RowsAsWritten, EachLook)
