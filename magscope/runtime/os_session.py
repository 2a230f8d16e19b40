"""A session's names on the machine: who owns them, and how a dead session's are swept.

A session has a lock file. Its first byte is locked for as long as the owner lives, by the kernel,
so that whether a session is alive is never guessed from a process id. The other bytes are the
session's locks (`os_sync`).
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from magscope.runtime.os_memory import PREFIX, session_directory

if sys.platform == "win32":
    import msvcrt

    def _lock_byte(descriptor: int, offset: int, *, block: bool) -> bool:
        os.lseek(descriptor, offset, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK if block else msvcrt.LK_NBLCK, 1)
            except OSError:
                if not block:
                    return False
            else:
                return True

    def _unlock_byte(descriptor: int, offset: int) -> None:
        os.lseek(descriptor, offset, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock_byte(descriptor: int, offset: int, *, block: bool) -> bool:
        flags = fcntl.LOCK_EX if block else fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.lockf(descriptor, flags, 1, offset)
        except OSError:
            if block:
                raise
            return False
        return True

    def _unlock_byte(descriptor: int, offset: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, offset)


class LockFile:
    """A file whose bytes are locks that the kernel gives back when their holder dies.

    A process must open the file once and never close it: closing any descriptor of it would give
    back all that the process holds. Children that were forked use the descriptor that they
    inherited; the locks themselves are each process' own.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)

    def acquire(self, offset: int, *, block: bool = True) -> bool:
        """Lock one byte; False if another process has it and `block` is False."""
        return _lock_byte(self._descriptor, offset, block=block)

    def release(self, offset: int) -> None:
        """Unlock one byte."""
        _unlock_byte(self._descriptor, offset)

    @property
    def is_named(self) -> bool:
        """Whether the file is still there under its path."""
        try:
            there = os.stat(self.path)  # noqa: PTH116 - to be compared with a descriptor's
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def close(self) -> None:
        """Close the file, giving back all that this process holds of it."""
        os.close(self._descriptor)


def lock_path(session: str) -> Path:
    """Return the path of a session's lock file."""
    return _directory() / f"{PREFIX}{session}.lock"


def claim(session: str) -> LockFile:
    """Return a new session's lock file, its first byte locked; what had its name is removed."""
    while True:
        file = LockFile(lock_path(session), create=True)
        file.acquire(0)
        if file.is_named:  # not swept between its making and its locking
            break
        file.close()
    for name in _names_of(session):
        if name != file.path.name:
            _remove(name)
    return file


def leftovers(own: str | None = None) -> list[str]:
    """Return the names of what dead sessions left behind.

    Args:
        own: The session of this process, which is alive by definition.
    """
    names: list[str] = []
    for session in _sessions() - {own}:
        with _if_dead(session) as is_dead:
            names += _names_of(session) if is_dead else ()
    return sorted(names)


def sweep(own: str | None = None) -> list[str]:
    """Remove what dead sessions left behind, and return its names."""
    names: list[str] = []
    for session in _sessions() - {own}:
        with _if_dead(session) as is_dead:
            if is_dead:
                names += _names_of(session)
                remove_session(session)
    return sorted(names)


def remove_session(session: str) -> None:
    """Remove every name of a session."""
    for name in _names_of(session):
        _remove(name)


def _directory() -> Path:
    return session_directory() or Path(tempfile.gettempdir())


def _names() -> list[str]:
    return [path.name for path in _directory().glob(PREFIX + "*")]


def _session_of(name: str) -> str:
    return "-".join(name.removeprefix(PREFIX).removesuffix(".lock").split("-")[:2])


def _names_of(session: str) -> list[str]:
    return [name for name in _names() if _session_of(name) == session]


def _sessions() -> set[str]:
    return {_session_of(name) for name in _names()}


@contextmanager
def _if_dead(session: str) -> Iterator[bool]:
    """Say whether a session is dead; nobody can begin one of its name within the `with` block."""
    path = lock_path(session)
    if session.startswith(f"{os.getpid():x}-"):
        # To look would be to open the file again, and to close it would give back our own locks.
        yield False
    elif not path.exists():
        yield True
    else:
        try:
            file = LockFile(path)
        except OSError:  # ended just now; or another user's, and not ours to judge
            yield False
            return
        try:
            yield file.acquire(0, block=False)
        finally:
            file.close()


def _remove(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        (_directory() / name).unlink()
