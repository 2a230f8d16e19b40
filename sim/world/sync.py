"""Locks, numbers, events and memory that the processes of a world share."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from magscope.runtime.base import Event, Lock, SharedMemory, Value, Words
from sim.world.kernel import Task, Waitable

if TYPE_CHECKING:
    from sim.world.machine import Machine
    from sim.world.process import VirtualProcess


class VirtualLock(Waitable, Lock):
    """A lock that its holder may take again, and that is given back when its holder dies.

    Attributes:
        holder: The process that has it.
        taker: The thread of that process that took it.
    """

    def __init__(self, machine: "Machine", name: str) -> None:
        super().__init__()
        self._machine = machine
        self.name = name
        self.holder: int | None = None
        self.taker: Task | None = None
        self._depth = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; False if it was not to be had (in time)."""
        machine = self._machine
        machine.operation("lock.acquire", self.name)
        pid = machine.running.pid
        if self.holder == pid:
            self._depth += 1
            return True
        limit_s = None if block and timeout is None else max(timeout or 0.0, 0.0)
        if not machine.kernel.wait_until(lambda: self.holder is None, (self,), limit_s):
            return False
        self.holder, self.taker, self._depth = pid, machine.kernel.current, 1
        if machine.hooks.held is not None:
            machine.hooks.held()
        return True

    def release(self) -> None:
        """Give the lock back."""
        machine = self._machine
        machine.operation("lock.release", self.name)
        if self.holder != machine.running.pid:
            raise RuntimeError("a lock is released by a process that does not have it")
        self._depth -= 1
        if not self._depth:
            self.free()

    def free(self) -> None:
        """The lock is nobody's: it was given back, or its holder has died."""
        self.holder, self.taker, self._depth = None, None, 0
        self._machine.kernel.notify(self)


class VirtualValue(Value):
    """One number, read and written whole."""

    def __init__(
        self, machine: "Machine", name: str, typecode: str, initial: float, lock: VirtualLock
    ) -> None:
        self._machine = machine
        self.name = name
        # It takes and refuses what real shared memory does.
        self._words = cast("Any", memoryview(bytearray(8))).cast(typecode)
        self._words[0] = initial
        self._lock = lock

    @property
    def value(self) -> Any:
        """The number."""
        self._machine.operation("value.get", self.name)
        return self._words[0]

    @value.setter
    def value(self, number: float) -> None:
        self._machine.operation("value.set", self.name, str(number))
        self._words[0] = number

    def get_lock(self) -> Lock:
        """Return the lock that guards a read followed by a write."""
        return self._lock


class VirtualEvent(Event):
    """A flag that one process sets and others see."""

    def __init__(self, word: VirtualValue) -> None:
        self.word = word

    def is_set(self) -> bool:
        """Whether it is set."""
        return bool(self.word.value)

    def set(self) -> None:
        """Set it."""
        self.word.value = 1

    def clear(self) -> None:
        """Unset it."""
        self.word.value = 0


class VirtualWords:
    """Words of shared memory: to read or store one is an operation; others may come before it."""

    def __init__(self, machine: "Machine", block: str, names: Sequence[str], words: Words) -> None:
        self._machine = machine
        self._block = block
        self._names = tuple(names)
        self._words = words
        self.release = words.release

    def __getitem__(self, index: int, /) -> int:
        self._machine.operation("memory.get", self._block)
        return self._words[index]

    def __setitem__(self, index: int, number: int, /) -> None:
        self._machine.operation("memory.set", self._block, f"{self._names[index]}={number}")
        self._words[index] = number


class VirtualMemory(SharedMemory):
    """A process' hold on a named block of bytes."""

    def __init__(
        self, machine: "Machine", process: "VirtualProcess", key: tuple[str, str], block: Any
    ) -> None:
        self._machine = machine
        self._process = process
        self._key = key
        self._is_unlinked = False
        self.name = key[1]
        self.buf = memoryview(block)

    def words(self, names: Sequence[str]) -> Words:
        """Return the block's first words; each access is an operation."""
        return VirtualWords(self._machine, self.name, names, super().words(names))

    def close(self) -> None:
        """Let go of the block; it lives on while an array still views it."""
        with contextlib.suppress(BufferError):
            self.buf.release()

    def unlink(self) -> None:
        """Remove the block's name, once: the next block of this name is not this one's.

        What is collected after its process has ended removes nothing.
        """
        if self._is_unlinked or self._process.code is not None:
            return
        self._is_unlinked = True
        self._machine.operation("memory.unlink", self.name)
        self._machine.memory.pop(self._key, None)

    def forget(self) -> None:
        """Let go of the world at its end: Python may know this hold until it ends itself."""
        self._is_unlinked = True
        del self._machine, self._process
