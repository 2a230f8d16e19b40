"""The board of the managers as it lies in memory, read without the code that is looked at."""

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

    from sim.world.world import World

_FIELDS, _SLOTS, _WORD_BYTES = 8, 3, 8
_RECORD_BYTES = _WORD_BYTES + _SLOTS * _FIELDS * _WORD_BYTES


class Board:
    """The board of the managers as it lies in memory, read without the code that is looked at."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._memory: mmap.mmap | None = None

    def look(self) -> None:
        """Take hold of the memory, which outlives its name so."""
        self._memory = self._world.block("board") or self._memory

    @property
    def is_there(self) -> bool:
        """Whether it was found before its session was swept."""
        if self._memory is None:
            self.look()
        return self._memory is not None

    def read(self, manager: str, field: int) -> int:
        """Return a field of a manager's record; 0 before there is one."""
        names = list(self._world.monitor.facts.managers)
        if not self.is_there or self._memory is None or manager not in names:
            return 0
        start = names.index(manager) * _RECORD_BYTES
        (version,) = struct.unpack_from("<q", self._memory, start)
        slot = start + _WORD_BYTES + version % _SLOTS * _FIELDS * _WORD_BYTES
        return int(struct.unpack_from("<q", self._memory, slot + field * _WORD_BYTES)[0])
