"""A file of a recording: every byte of one that is not HDF5's goes this way."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from magscope.runtime import current


class DiskFile(io.RawIOBase):
    """A binary file without a buffer; the runtime's disk hears of each operation before it.

    Without a buffer nothing is left to be written when its process is killed.

    Args:
        path: Where it is.
        mode: As `io.FileIO` has it: `x`, `a`, `r+`.
        known_as: The name that it is to have later, where it has another one for now.

    Attributes:
        path: Where it is.
    """

    _raw: io.FileIO | None = None
    _is_announced = False

    def __init__(self, path: Path, mode: str, *, known_as: Path | None = None) -> None:
        self.path = path
        self._disk = current().disk
        self._name = known_as or path
        self._disk.at("reopen" if mode == "r+" else "open", self._name)
        self._raw = io.FileIO(path, mode)
        self._disk.keeps(self)

    @property
    def size_bytes(self) -> int:
        """How long it is now."""
        here = self._file.tell()
        end = self._file.seek(0, io.SEEK_END)
        self._file.seek(here)
        return end

    @property
    def _file(self) -> io.FileIO:
        if self._raw is None or self._raw.closed:
            raise ValueError(f"{self.path} is closed")
        return self._raw

    def readable(self) -> bool:
        """Whether it can be read."""
        return self._file.readable()

    def writable(self) -> bool:
        """Whether it can be written to."""
        return self._file.writable()

    def seekable(self) -> bool:
        """Whether one can go to another place in it: always."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill a buffer; returns how many bytes there were."""
        return self._file.readinto(buffer)

    def write(self, data: Any, /) -> int:
        """Write all of it, or raise."""
        left = memoryview(data).cast("B")
        size = len(left)
        if not self._is_announced:
            self._disk.at("write", self._name, size)
        while left:
            left = left[self._file.write(left) :]
        return size

    def patch(self, offset: int, data: bytes) -> None:
        """Overwrite bytes that are there, which takes no space."""
        self._disk.at("patch", self._name, len(data))
        self._file.seek(offset)
        self._file.write(data)

    @contextmanager
    def one_write(self, size: int) -> Iterator[None]:
        """Let all that is written in this context be one operation of about so many bytes."""
        self._disk.at("write", self._name, size)
        self._is_announced = True
        try:
            yield
        finally:
            self._is_announced = False

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place in it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def truncate(self, size: int | None = None, /) -> int:
        """Give it another length."""
        self._disk.at("truncate", self._name)
        return self._file.truncate(size)

    def sync(self) -> None:
        """Wait until all of it is on the disk itself."""
        self._disk.at("fsync", self._name)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close it; idempotent."""
        if self._raw is None or self._raw.closed:
            return
        try:
            self._disk.at("close", self._name)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close it, whatever the disk says; idempotent."""
        self._disk.lets_go(self)
        if self._raw is not None:
            self._raw.close()
        super().close()
