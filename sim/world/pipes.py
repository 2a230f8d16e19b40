"""Pipes and bells of a world: the room, the end of file and the broken pipe of real ones."""

from collections import deque
from typing import TYPE_CHECKING

from magscope.runtime.base import Bell
from magscope.runtime.framing import FramedEndpoint
from sim.world.content import digest
from sim.world.kernel import Waitable

if TYPE_CHECKING:
    from sim.world.machine import Machine
    from sim.world.process import VirtualProcess

# What Linux gives a pair of stream sockets, and how it counts: a write takes the room of all that
# it is put into, 768 bytes at least, and there is room again when three quarters are free.
CAPACITY_BYTES = 212_992
_LARGEST_PIECE, _LARGEST_HEAD, _PAGE = 36_544, 3_776, 4_096


def room_taken(size: int) -> int:
    """Return the room in a pipe that a piece of so many bytes takes."""
    in_pages = min(size, _up_to_page(size - _LARGEST_HEAD)) if size > _LARGEST_HEAD else 0
    head = max(512, 1 << (size - in_pages + 319).bit_length())
    return 256 + head + _up_to_page(in_pages)


def _up_to_page(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


class Stream(Waitable):
    """One direction of a pipe: bytes, with room for so many.

    Attributes:
        readers: The processes that have the reading end open.
        writers: The processes that have the writing end open.
        is_dry: Whether nothing comes out for now.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.size = 0
        self.is_dry = False
        self.readers: set[int] = set()
        self.writers: set[int] = set()
        self._taken = 0
        self._pieces: deque[tuple[memoryview, int]] = deque()

    def write(self, data: bytes | memoryview) -> int:
        """Take as much as there is room for, and return how much that is."""
        if not self.readers:
            raise BrokenPipeError("nobody has the other end of the pipe open")
        if self._taken >= self.capacity:
            raise BlockingIOError
        written = 0
        while written < len(data) and self._taken < self.capacity:
            piece = bytes(data[written : written + _LARGEST_PIECE])
            written += len(piece)
            self._taken += room_taken(len(piece))
            self._pieces.append((memoryview(piece), room_taken(len(piece))))
        self.size += written
        return written

    def read(self, count: int) -> bytes:
        """Return what is there, so much at most; nothing at the end of file."""
        if self.is_dry:
            raise BlockingIOError
        if not self.size:
            if self.writers:
                raise BlockingIOError
            return b""
        found = []
        while self._pieces and count > 0:
            piece, room = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft((piece[count:], room))
                piece = piece[:count]
            else:
                self._taken -= room
            found.append(piece)
            count -= len(piece)
        data = b"".join(found)
        self.size -= len(data)
        return data

    @property
    def is_readable(self) -> bool:
        """Whether reading would not block."""
        return not self.is_dry and (self.size > 0 or not self.writers)

    @property
    def is_writable(self) -> bool:
        """Whether it is time to write again."""
        return 4 * self._taken <= self.capacity or not self.readers


class VirtualEndpoint(FramedEndpoint):
    """One end of a pipe. A copy in another process shares the pipe, not what was read from it.

    Attributes:
        pid: The process whose copy this is.
        is_open: Whether it has not closed it.
    """

    def __init__(
        self, machine: "Machine", pipe: tuple[Stream, Stream], name: str, pid: int
    ) -> None:
        super().__init__()
        self.pid = pid
        self.is_open = True
        self._machine = machine
        self._pipe = pipe
        self.outgoing, self.incoming = pipe
        self.name = name

    @property
    def is_readable(self) -> bool:
        """Whether a frame is there, or some of its bytes, or the end of file."""
        return self.is_ready or self.incoming.is_readable

    def copy_for(self, pid: int) -> "VirtualEndpoint":
        """Return this end as another process has it."""
        return VirtualEndpoint(self._machine, self._pipe, self.name, pid)

    def send(self, frame: bytes) -> bool:
        """Take a frame for sending; False if an earlier one has not left yet."""
        is_taken = super().send(frame)
        if is_taken and self._machine.on_frame is not None:
            self._machine.on_frame("send", self.name, frame)
        return is_taken

    def receive(self) -> bytes | None:
        """Return the next whole frame, or None if none is there."""
        frame = super().receive()
        if frame is not None and self._machine.on_frame is not None:
            self._machine.on_frame("receive", self.name, frame)
        return frame

    def _write(self, data: memoryview) -> int:
        if not self.is_open:
            raise OSError("it is closed")
        self._machine.operation("pipe.write", self.name, header(data))
        if (tamper := self._machine.hooks.write) is not None and (
            taken := tamper(self, data)
        ) is not None:
            return taken
        written = self.outgoing.write(data)
        self._machine.kernel.notify(self.outgoing)
        return written

    def _read(self, count: int) -> bytes:
        self._machine.operation("pipe.read", self.name)
        read = self._machine.hooks.read
        data = self.incoming.read(count) if read is None else read(self, count)
        if not data:
            trace = self._machine.kernel.trace
            trace.add(self._machine.kernel.now_ns, self._owner.name, "pipe.end", self.name)
        self._machine.kernel.notify(self.incoming)
        return data

    def _close(self) -> None:
        if self.is_open:
            self._machine.operation("pipe.close", self.name)
            self.is_open = False
            self._owner.ends.pop(self, None)
            self.drop(self.pid)

    @property
    def _owner(self) -> "VirtualProcess":
        return self._machine.processes[self.pid]

    def shut(self) -> None:
        """Be closed, in the process that this copy belongs to."""
        self.is_open = False
        self._is_at_end = True

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


def header(data: memoryview) -> str:
    """Return the header of a frame between router and managers, for the trace; "" for others.

    A message's arguments follow as a digest.
    """
    head = bytes(data[4:200]).partition(b"\n")[0]
    if not head[:1].isupper() or not head.isascii():
        return ""
    text = head.decode().replace("\t", " ")
    return f"{text} {digest(bytes(data[5 + len(head) :]))}" if head[:1] == b"M" else text


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
        self.sound()

    def sound(self) -> None:
        """Ring, where nothing else may come first and nothing can go wrong."""
        self._has_rung = True
        self._machine.kernel.notify(self)

    def clear(self) -> None:
        """Take note."""
        self._machine.operation("bell.clear", self.name)
        self._has_rung = False

    def close(self) -> None:
        """Do nothing: a bell takes no room."""
