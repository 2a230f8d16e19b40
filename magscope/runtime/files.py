"""The part of the seam for files: what is told of every operation on a recording."""

from pathlib import Path
from typing import Protocol


class OpenFile(Protocol):
    """A file of a recording that a process has open."""

    def abandon(self) -> None:
        """Let go of the file at once, and write nothing more to it; idempotent."""


class Disk:
    """Is told of every operation on a recorded file right before it, where it can fail or be last.

    This one does nothing: an operating system's disk fails by itself.
    """

    def at(self, operation: str, path: Path, size: int = 0) -> None:
        """A process is about to do something to a file.

        Args:
            operation: `space` (is there room?), `open` (a new file, or to append), `reopen` (as it
                is), `write`, `patch` (overwrite in place), `flush`, `fsync`, `truncate`, `rename`,
                `remove` or `close`. A full disk can refuse all but `reopen`, `patch`, `truncate`,
                `remove`; one that is read-only all but `space` and `close`.
            path: The file, by the name that it has or is to have.
            size: How many bytes are asked for or written, where that is known.

        Raises:
            OSError: The operation fails.
        """

    def keeps(self, file: OpenFile) -> None:
        """A process has a file open, which has to be abandoned if the process ends."""

    def lets_go(self, file: OpenFile) -> None:
        """A process has closed a file, or abandoned it; any number of times."""
