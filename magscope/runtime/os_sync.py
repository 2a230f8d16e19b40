"""Locks, numbers and events that processes share, and that survive the death of any of them."""

import os
import struct
import threading
from typing import Any

from magscope.runtime.base import Event, Lock, Value
from magscope.runtime.os_memory import OsSharedMemory
from magscope.runtime.os_session import LockFile

WORDS = 512
WORD_BYTES = 8


class OsLock(Lock):
    """A byte of the session's lock file: the kernel frees it when its holder dies.

    Among the threads of one process a thread lock excludes, as the kernel's goes by process.
    """

    def __init__(self, session: str, index: int) -> None:
        self._session = session
        self._index = index
        self._settle()

    def _settle(self) -> None:
        from magscope.runtime.os_runtime import session_files

        self._file: LockFile = session_files(self._session).locks
        self._threads = threading.Lock()
        self._pid = os.getpid()

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; False if it was not to be had (in time)."""
        if self._pid != os.getpid():  # forked, perhaps while another thread had it
            self._settle()
        if not block or timeout is not None:
            return self._acquire_within(timeout or 0.0)
        self._threads.acquire()
        try:
            self._file.acquire(self._index)
        except BaseException:
            self._threads.release()
            raise
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._file.release(self._index)
        self._threads.release()

    def _acquire_within(self, timeout_s: float) -> bool:
        # The kernel has no lock with a deadline, so this one asks again at growing intervals.
        if not self._threads.acquire(timeout=timeout_s):
            return False
        pause, left = 0.0005, timeout_s
        gate = threading.Event()
        while not self._file.acquire(self._index, block=False):
            if left <= 0:
                self._threads.release()
                return False
            gate.wait(min(pause, left))
            left -= min(pause, left)
            pause = min(2 * pause, 0.01)
        return True

    def __reduce__(self) -> tuple:
        return OsLock, (self._session, self._index)


class Words:
    """The session's block of 8-byte words, handed out one by one by the process that made it."""

    def __init__(self, session: str, *, create: bool) -> None:
        self.session = session
        size = WORDS * WORD_BYTES if create else None
        self._block = OsSharedMemory(session, "words", size)
        self.memory = self._block.buf

    def close(self) -> None:
        """Let go of the block."""
        self._block.close()


class OsValue(Value):
    """One 8-byte word, which the processor stores and loads whole."""

    def __init__(self, session: str, index: int, typecode: str, lock: Lock) -> None:
        from magscope.runtime.os_runtime import session_files

        self._key = (session, index, typecode, lock)
        self._offset = index * WORD_BYTES
        self._format = struct.Struct("=" + typecode)
        self._memory = session_files(session).words.memory
        self._lock = lock

    @property
    def value(self) -> Any:
        """The number."""
        return self._format.unpack_from(self._memory, self._offset)[0]

    @value.setter
    def value(self, number: float) -> None:
        self._format.pack_into(self._memory, self._offset, number)

    def get_lock(self) -> Lock:
        """Return the lock that guards a read followed by a write."""
        return self._lock

    def __reduce__(self) -> tuple:
        return OsValue, self._key


class OsEvent(Event):
    """One word that is 0 or 1."""

    def __init__(self, word: OsValue) -> None:
        self._word = word

    def is_set(self) -> bool:
        """Whether it is set."""
        return bool(self._word.value)

    def set(self) -> None:
        """Set it."""
        self._word.value = 1

    def clear(self) -> None:
        """Unset it."""
        self._word.value = 0
