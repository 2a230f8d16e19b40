"""Pipes and bells of a world: the room, the end of file and the broken pipe of real ones."""

from collections import deque
from typing import TYPE_CHECKING

from magscope.runtime.base import Bell
from magscope.runtime.framing import FramedEndpoint
from sim.world.kernel import Waitable

if TYPE_CHECKING:
    from sim.world.machine import Machine

# What Linux gives a pair of stream sockets.
CAPACITY_BYTES = 212_992


class Stream(Waitable):
    """One direction of a pipe: bytes, with room for so many.

    Attributes:
        readers: The processes that have the reading end open.
        writers: The processes that have the writing end open.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.size = 0
        self.readers: set[int] = set()
        self.writers: set[int] = set()
        self._chunks: deque[bytes] = deque()

    def write(self, data: bytes | memoryview) -> int:
        """Take as much as there is room for, and return how much that is."""
        if not self.readers:
            raise BrokenPipeError("nobody has the other end of the pipe open")
        room = self.capacity - self.size
        if room <= 0:
            raise BlockingIOError
        chunk = bytes(data[:room])
        self._chunks.append(chunk)
        self.size += len(chunk)
        return len(chunk)

    def read(self, count: int) -> bytes:
        """Return what is there, so much at most; nothing at the end of file."""
        if not self.size:
            if self.writers:
                raise BlockingIOError
            return b""
        taken = []
        while self._chunks and count > 0:
            chunk = self._chunks.popleft()
            if len(chunk) > count:
                self._chunks.appendleft(chunk[count:])
                chunk = chunk[:count]
            taken.append(chunk)
            count -= len(chunk)
        data = b"".join(taken)
        self.size -= len(data)
        return data

    @property
    def is_readable(self) -> bool:
        """Whether reading would not block."""
        return self.size > 0 or not self.writers

    @property
    def is_writable(self) -> bool:
        """Whether writing would not block."""
        return self.size < self.capacity or not self.readers


class VirtualEndpoint(FramedEndpoint):
    """One end of a pipe. A copy in another process shares the pipe, not what was read from it."""

    def __init__(self, machine: "Machine", pipe: tuple[Stream, Stream], name: str) -> None:
        super().__init__()
        self._machine = machine
        self._pipe = pipe
        self.outgoing, self.incoming = pipe
        self.name = name

    @property
    def is_readable(self) -> bool:
        """Whether a frame is there, or some of its bytes, or the end of file."""
        return self.is_ready or self.incoming.is_readable

    def copy(self) -> "VirtualEndpoint":
        """Return this end as another process has it."""
        return VirtualEndpoint(self._machine, self._pipe, self.name)

    def _write(self, data: memoryview) -> int:
        self._machine.operation("pipe.write", self.name, _header(data))
        if self._machine.loses_write():
            return len(data)
        written = self.outgoing.write(data)
        self._machine.kernel.notify(self.outgoing)
        return written

    def _read(self, count: int) -> bytes:
        self._machine.operation("pipe.read", self.name)
        data = self.incoming.read(count)
        self._machine.kernel.notify(self.incoming)
        return data

    def _close(self) -> None:
        self._machine.operation("pipe.close", self.name)
        self.drop(self._machine.running.pid)

    def hold(self, pid: int) -> None:
        """A process has this end open from now on."""
        self.incoming.readers.add(pid)
        self.outgoing.writers.add(pid)

    def drop(self, pid: int) -> None:
        """A process has closed this end, or has died."""
        self.incoming.readers.discard(pid)
        self.outgoing.writers.discard(pid)
        self._machine.kernel.notify(self.incoming)
        self._machine.kernel.notify(self.outgoing)


def _header(data: memoryview) -> str:
    """Return the header of a frame between router and managers, for the trace; "" for others."""
    head = bytes(data[4:200]).partition(b"\n")[0]
    if not head[:1].isupper() or not head.isascii():
        return ""
    return head.decode().replace("\t", " ")


class VirtualBell(Waitable, Bell):
    """A bell: rings that nobody heard yet count as one."""

    def __init__(self, machine: "Machine", name: str) -> None:
        super().__init__()
        self._machine = machine
        self.name = name
        self._has_rung = False

    @property
    def is_readable(self) -> bool:
        """Whether it has rung."""
        return self._has_rung

    def ring(self) -> None:
        """Wake the process that waits for this bell."""
        self._machine.operation("bell.ring", self.name)
        self._has_rung = True
        self._machine.kernel.notify(self)

    def clear(self) -> None:
        """Take note."""
        self._machine.operation("bell.clear", self.name)
        self._has_rung = False

    def close(self) -> None:
        """Do nothing: a bell takes no room."""
