"""What faults do to the frames in pipes."""

import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from hal.clock import NS_PER_S
from magscope.runtime import MAX_FRAME_BYTES
from sim.faults import (
    Corrupt,
    DelayMessage,
    Drop,
    Duplicate,
    Fault,
    Oversize,
    PipeClosed,
    Reorder,
)
from sim.world.pipes import Stream, VirtualEndpoint, header

if TYPE_CHECKING:
    from sim.world.machine import Machine
    from sim.world.process import VirtualProcess

_LENGTH = struct.Struct("<I")
_ON_ITS_WAY = -1  # no process: what is on its way keeps a pipe from ending
_GRANULE_S = 0.05
_INVERTED = bytes(range(255, -1, -1))

NEXT_FRAME = (Drop, DelayMessage, Duplicate, Reorder, Corrupt, Oversize, PipeClosed)


class Tampering:
    """Changes what processes write into pipes, a whole frame at a time, and how fast they read.

    Args:
        machine: The world's computer.
        lasts: Called with a fault whose effect goes on, the process, and for how long.
    """

    def __init__(
        self, machine: "Machine", lasts: "Callable[[Fault, VirtualProcess, float], object]"
    ) -> None:
        self._machine = machine
        self._lasts = lasts
        self._next: dict[int, deque[Fault]] = {}
        self._late: dict[Stream, list[bytes]] = {}
        self._overtaken: dict[Stream, bytes] = {}
        self._slow: dict[int, float] = {}

    def arm(self, process: "VirtualProcess", fault: Fault) -> None:
        """Let the next frame that a process writes have this fault."""
        self._next.setdefault(process.pid, deque()).append(fault)
        self._machine.hooks.write = self.write

    def slow_down(self, process: "VirtualProcess", bytes_per_s: float | None) -> None:
        """Let a process read so much a second from each pipe; None: as fast as it can."""
        if bytes_per_s is None:
            if self._slow.pop(process.pid, None) is None:
                return
            for end in own_ends(process):
                end.incoming.is_dry = False
                self._machine.kernel.notify(end.incoming)
        else:
            self._slow[process.pid] = bytes_per_s
            self._machine.hooks.read = self.read

    def fill(self, process: "VirtualProcess", *, is_full: bool) -> None:
        """Let there be no room in the pipes that a process writes to, or what room there is."""
        for end in own_ends(process):
            end.outgoing.capacity = -1 if is_full else self._machine.capacity
            self._machine.kernel.notify(end.outgoing)

    def heal(self) -> None:
        """Tamper with no frame any more; what is under way arrives."""
        self._next.clear()

    def write(self, end: VirtualEndpoint, data: memoryview) -> int | None:
        """Take a frame, if something is to become of it; None: the pipe itself does."""
        stream = end.outgoing
        if len(data) != memoryview(data.obj).nbytes or not stream.readers:
            return None  # the rest of a frame, or nobody will read it
        armed = self._next.get(end.pid)
        fault = armed.popleft() if armed else None
        overtaken = self._overtaken.pop(stream, None)
        if fault is None and overtaken is None and stream not in self._late:
            return None
        frame = bytes(data)
        frames = [frame] if fault is None else self._changed(fault, end, frame)
        frames += [] if overtaken is None else [overtaken]
        if stream in self._late:
            self._late[stream] += frames
        else:
            self._deliver(stream, frames)
        return len(data)

    def _changed(self, fault: Fault, end: VirtualEndpoint, frame: bytes) -> list[bytes]:
        """Return what a frame becomes."""
        machine, stream = self._machine, end.outgoing
        what = f"{fault.kind} {fault.part}" if isinstance(fault, Corrupt) else fault.kind
        machine.kernel.trace.add(
            machine.kernel.now_ns, "world", "pipe.tampered", end.name,
            f"{what} {header(memoryview(frame))}".rstrip(),
        )  # fmt: skip
        if isinstance(fault, PipeClosed):
            cut(end)
            machine.kernel.notify(end.incoming)
            machine.kernel.notify(stream)
            raise BrokenPipeError("the pipe is closed")
        if isinstance(fault, Duplicate):
            return [frame, frame]
        if isinstance(fault, Corrupt):
            return [garbled(frame, fault.part)]
        if isinstance(fault, Oversize):
            return [_LENGTH.pack(MAX_FRAME_BYTES + 1) + frame[_LENGTH.size :]]
        if isinstance(fault, Drop):
            return []
        if isinstance(fault, DelayMessage):
            self._late.setdefault(stream, [])
            self._keep_open(stream, fault, end, lambda: self._late.pop(stream, []))
            return [frame]
        assert isinstance(fault, Reorder)
        self._overtaken[stream] = frame
        self._keep_open(stream, fault, end, lambda: self._left_behind(stream, frame))
        return []

    def _left_behind(self, stream: Stream, frame: bytes) -> list[bytes]:
        """Return a frame that nothing has overtaken."""
        if self._overtaken.get(stream) is not frame:
            return []
        return [self._overtaken.pop(stream)]

    def _keep_open(
        self,
        stream: Stream,
        fault: DelayMessage | Reorder,
        end: VirtualEndpoint,
        what: Callable[[], list[bytes]],
    ) -> None:
        """Deliver something when the fault is over; until then the pipe does not end."""
        stream.writers.add(_ON_ITS_WAY)

        def arrive() -> None:
            if stream.readers:
                self._deliver(stream, what())
            if stream not in self._late and stream not in self._overtaken:
                stream.writers.discard(_ON_ITS_WAY)
            self._machine.kernel.notify(stream)

        self._machine.kernel.at(int(fault.for_s * NS_PER_S), arrive)
        self._lasts(fault, self._machine.processes[end.pid], fault.for_s)

    def _deliver(self, stream: Stream, frames: list[bytes]) -> None:
        """Put frames into a pipe, whatever room there is."""
        room, stream.capacity = stream.capacity, 1 << 40
        try:
            for frame in frames:
                stream.write(frame)
        finally:
            stream.capacity = room
        self._machine.kernel.notify(stream)

    def read(self, end: VirtualEndpoint, count: int) -> bytes:
        """Read, and if it is to go slowly, little, and nothing more for a while."""
        stream, rate = end.incoming, self._slow.get(end.pid)
        if rate is None:
            return stream.read(count)
        data = stream.read(min(count, max(int(rate * _GRANULE_S), 1)))

        def go_on() -> None:
            stream.is_dry = False
            self._machine.kernel.notify(stream)

        if data:
            stream.is_dry = True
            self._machine.kernel.at(int(len(data) / rate * NS_PER_S), go_on)
        return data


def own_ends(process: "VirtualProcess") -> list[VirtualEndpoint]:
    """Return the pipe ends that a process uses, and does not merely have inherited."""
    return [end for end in process.ends if end.pid == process.pid]


def cut(end: VirtualEndpoint) -> None:
    """Close a pipe in both directions; what is in it may still be read."""
    for stream in (end.outgoing, end.incoming):
        stream.readers.clear()
        stream.writers.clear()


def garbled(frame: bytes, part: str) -> bytes:
    """Return a frame, its length ahead, with the bits of a part of it inverted."""
    start, end = 0, _LENGTH.size
    if part != "length":
        newline = frame.find(b"\n", _LENGTH.size)
        has_header = frame[4:5].isupper() and newline > 0
        behind = newline + 1 if has_header else _LENGTH.size
        start, end = behind, len(frame)
        if part == "header" or start == end:
            start, end = _LENGTH.size, newline if has_header else len(frame)
    return frame[:start] + frame[start:end].translate(_INVERTED) + frame[end:]
