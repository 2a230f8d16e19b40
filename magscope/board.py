"""A board in shared memory on which each process keeps one record that all others may read."""

from collections.abc import Mapping, Sequence

from hal.record import SharedRecord
from magscope.runtime import SharedMemory, current

FIELDS = 8
_LAYOUT = "q" * FIELDS
_NAME = "board"


class Board:
    """One record of whole numbers a process; each record has that process as its one writer.

    Args:
        names: Who has a record, in the same order wherever the board is opened.
        create: True in the one process that makes the board.
    """

    def __init__(self, names: Sequence[str], *, create: bool) -> None:
        stride = SharedRecord.size(_LAYOUT)
        self._block: SharedMemory = current().shared_memory(
            _NAME, max(len(names), 1) * stride if create else None
        )
        self._starts = {name: index * stride for index, name in enumerate(names)}
        self._records: dict[str, SharedRecord] = {}

    def read(self, name: str, fields: Sequence[str]) -> dict[str, int]:
        """Return a process' record, by the names of its fields; all 0 before it wrote one."""
        return dict(zip(fields, self._record(name).read(), strict=False))

    def write(self, name: str, values: Mapping[str, int]) -> None:
        """Write the calling process' own record; raises ValueError if it is too long."""
        numbers = [int(value) for value in values.values()]
        if len(numbers) > FIELDS:
            raise ValueError(f"{len(numbers)} fields for {name}: a record has at most {FIELDS}")
        self._record(name).write(*numbers, *([0] * (FIELDS - len(numbers))))

    def _record(self, name: str) -> SharedRecord:
        if name not in self._records:  # most processes look at their own alone
            start = self._starts[name]
            end = start + SharedRecord.size(_LAYOUT)
            self._records[name] = SharedRecord(self._block.buf[start:end], _LAYOUT)
        return self._records[name]

    def close(self) -> None:
        """Let go of the board."""
        self._records.clear()
        self._block.close()
