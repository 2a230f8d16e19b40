"""Named shared memory of the operating system, without a helper process that tidies up.

`multiprocessing.shared_memory` on POSIX starts a tracker process which removes a block as soon as
any process that attached to it ends (before Python 3.13), and which is one more thing that can die.
A session removes its own names instead, and a dead session's are swept at the next start.
"""

import contextlib
import mmap
import os
import sys
from multiprocessing import shared_memory
from pathlib import Path

from magscope.runtime.base import SharedMemory

PREFIX = "mgs-"
_SHM_DIRECTORY = Path("/dev/shm")  # noqa: S108 - Linux' directory of shared memory


def block_name(session: str, name: str) -> str:
    """Return the system-wide name of a session's block; macOS allows 30 characters."""
    whole = f"{PREFIX}{session}-{name}"
    return whole[:30] if sys.platform == "darwin" else whole


if sys.platform == "win32":

    class OsSharedMemory(SharedMemory):
        """A named file mapping; the system removes it with its last handle."""

        def __init__(self, session: str, name: str, size: int | None) -> None:
            self.name = name
            self._block = shared_memory.SharedMemory(
                block_name(session, name), create=size is not None, size=size or 0
            )
            self.buf = self._block.buf

        def close(self) -> None:
            """Let go of the mapping."""
            with contextlib.suppress(BufferError):  # a view of it is still alive
                self._block.close()

        def unlink(self) -> None:
            """Do nothing: the system removes it."""

else:
    import _posixshmem

    class OsSharedMemory(SharedMemory):
        """A POSIX shared memory object, mapped."""

        def __init__(self, session: str, name: str, size: int | None) -> None:
            self.name = name
            self._path = "/" + block_name(session, name)
            self._unlinker: int | None = os.getpid()
            flags = os.O_RDWR if size is None else os.O_RDWR | os.O_CREAT | os.O_EXCL
            descriptor = _posixshmem.shm_open(self._path, flags, mode=0o600)
            try:
                if size is not None:
                    self._allocate(descriptor, size)
                self._map = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
            finally:
                os.close(descriptor)
            self.buf = memoryview(self._map)

        def _allocate(self, descriptor: int, size: int) -> None:
            """Reserve the memory now: a write to a page that is not there kills the process."""
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(descriptor, 0, size)
                else:
                    os.ftruncate(descriptor, size)
            except OSError as error:
                _posixshmem.shm_unlink(self._path)
                raise MemoryError(
                    f"no room for {size / 1e6:.1f} MB of shared memory for {self.name}: "
                    "free some (`magscope doctor` shows what is taken), or lower "
                    "'video buffer n stacks'"
                ) from error

        def close(self) -> None:
            """Let go of the mapping; it lives on while an array still views it."""
            with contextlib.suppress(BufferError):
                self.buf.release()
                self._map.close()

        def unlink(self) -> None:
            """Remove the name, once: the next block of this name is not this one's.

            A forked copy of this object removes nothing.
            """
            if self._unlinker != os.getpid():
                return
            self._unlinker = None
            with contextlib.suppress(FileNotFoundError):
                _posixshmem.shm_unlink(self._path)


def session_directory() -> Path | None:
    """Return the directory that lists shared memory, where the system has one."""
    return _SHM_DIRECTORY if _SHM_DIRECTORY.is_dir() else None
