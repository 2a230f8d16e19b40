"""Locks, numbers and events that processes share, and that survive the death of any of them."""

import os
import threading
from typing import Any

from magscope.runtime.base import Event, Lock, Value
from magscope.runtime.os_memory import OsSharedMemory
from magscope.runtime.os_session import LockFile

WORDS = 512
WORD_BYTES = 8


class Turn:
    """A lock as one process has it: one thread's at a time, and the kernel's byte meanwhile."""

    def __init__(self, file: LockFile, index: int) -> None:
        self._file = file
        self._index = index
        self._threads = threading.RLock()
        self._holder = 0  # a thread
        self._depth = 0

    def take(self, timeout_s: float | None) -> bool:
        """Take the lock; False if it was not to be had in time."""
        if not self._threads.acquire(timeout=-1 if timeout_s is None else timeout_s):
            return False
        try:
            has_it = self._depth > 0 or self._lock_byte(timeout_s)
        except BaseException:
            self._threads.release()
            raise
        if has_it:
            self._holder = threading.get_ident()
            self._depth += 1
        else:
            self._threads.release()
        return has_it

    def give_back(self) -> None:
        """Give the lock back; raises RuntimeError if this thread does not have it."""
        if not self._depth or self._holder != threading.get_ident():
            raise RuntimeError("a lock is released by a thread that does not have it")
        self._depth -= 1
        try:
            if not self._depth:
                self._file.release(self._index)
        finally:
            self._threads.release()

    def _lock_byte(self, timeout_s: float | None) -> bool:
        if timeout_s is None:
            return self._file.acquire(self._index)
        # The kernel has no lock with a deadline, so this one asks again at growing intervals.
        pause_s, left_s = 0.0005, timeout_s
        gate = threading.Event()
        while not self._file.acquire(self._index, block=False):
            if left_s <= 0:
                return False
            gate.wait(min(pause_s, left_s))
            left_s -= pause_s
            pause_s = min(2 * pause_s, 0.01)
        return True


class Turns:
    """A process' turns at the locks of one session: one for each lock, however many copies."""

    def __init__(self, file: LockFile) -> None:
        self._file = file
        self._pid = os.getpid()
        self._turns: dict[int, Turn] = {}

    def at(self, index: int) -> Turn:
        """Return the turn at one lock."""
        if self._pid != os.getpid():  # forked, perhaps while a thread had one of the locks
            self._pid, self._turns = os.getpid(), {}
        return self._turns.get(index) or self._turns.setdefault(index, Turn(self._file, index))


class OsLock(Lock):
    """A byte of the session's lock file: the kernel frees it when its holder dies.

    Among the threads of one process a turn excludes, as the kernel's lock goes by process. Whoever
    has the lock may take it again, as with the lock of a `multiprocessing.Value`. A wait for it
    ends with a signal, but for one that comes in the instant before the wait: that is heard when
    the lock is had, or when the process is killed for not having ended in time.
    """

    def __init__(self, session: str, index: int) -> None:
        from magscope.runtime.os_runtime import session_files

        self._session = session
        self._index = index
        self._turns = session_files(session).turns

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; False if it was not to be had (in time)."""
        if block and timeout is None:
            return self._turns.at(self._index).take(None)
        return self._turns.at(self._index).take(max(timeout or 0.0, 0.0))

    def release(self) -> None:
        """Give the lock back."""
        self._turns.at(self._index).give_back()

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
        self._index = index
        # An item of a memoryview is stored by one instruction, and never seen half written, which
        # is not true of `struct`.
        memory = session_files(session).words.memory
        self._words: memoryview[Any] = memory.cast("q") if typecode == "q" else memory.cast("d")
        self._lock = lock

    @property
    def value(self) -> Any:
        """The number."""
        return self._words[self._index]

    @value.setter
    def value(self, number: float) -> None:
        self._words[self._index] = number

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
