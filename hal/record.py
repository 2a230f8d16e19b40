"""A small record in shared memory with one writer, read whole by anybody, whatever dies when."""

import struct
from collections.abc import Callable, Sequence

_WORD_BYTES = 8


class SharedRecord:
    """A tuple of numbers that one process writes and any process reads, never half of it.

    The record stands in three slots; one word says how often it was written, and so which slot
    holds. The writer fills the slot after that one and then stores the word, so a writer that dies
    in between leaves the older record in force. Reading takes no lock: a reader copies the slot and
    accepts it when the word has moved by less than two meanwhile.

    Args:
        memory: At least `SharedRecord.size(layout)` bytes, zeroed before first use.
        layout: A `struct` format of the record, without a byte-order mark: `"qdd"`.
    """

    _SLOTS = 3

    def __init__(self, memory: memoryview, layout: str) -> None:
        self._fields = struct.Struct("<" + layout)
        needed = self.size(layout)
        if memory.nbytes < needed:
            raise ValueError(f"a record {layout!r} needs {needed} bytes, not {memory.nbytes}")
        self._memory = memory

    @staticmethod
    def size(layout: str) -> int:
        """Return the bytes that a record of this layout takes, a multiple of 8."""
        slot = struct.calcsize("<" + layout)
        return _WORD_BYTES + SharedRecord._SLOTS * (slot + -slot % 8)

    @property
    def version(self) -> int:
        """How often the record was written; 0 means never, and then every field reads 0."""
        return self._word()[0]

    def write(self, *values: float) -> None:
        """Publish a new record. Only the record's one writer may call this."""
        version = self.version + 1
        self._fields.pack_into(self._memory, self._offset(version), *values)
        self._word()[0] = version

    def read(self) -> tuple:
        """Return the newest whole record."""
        while True:
            before = self.version
            values = self._fields.unpack_from(self._memory, self._offset(before))
            if self.version - before < self._SLOTS - 1:
                return values

    def update(self, change: Callable[[Sequence], Sequence]) -> None:
        """Write what `change` makes of the present record; only for the record's one writer."""
        self.write(*change(self.read()))

    def _word(self) -> "memoryview[int]":
        # An item of a memoryview is stored by one instruction. `struct` clears the bytes first, and
        # a reader may find a number that nobody wrote.
        return self._memory[:_WORD_BYTES].cast("q")

    def _offset(self, version: int) -> int:
        slot = self._fields.size
        return _WORD_BYTES + (version % self._SLOTS) * (slot + -slot % 8)
