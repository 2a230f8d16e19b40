"""Whole frames over a stream of bytes that never blocks; every implementation of a pipe uses it."""

import struct
from abc import abstractmethod

from magscope.runtime.base import MAX_FRAME_BYTES, Endpoint

_LENGTH = struct.Struct("<I")
_READ_BYTES = 1 << 18
_NONSENSE = -1


def check_size(frame: bytes) -> None:
    """Refuse a frame that is too large to be sent."""
    if len(frame) > MAX_FRAME_BYTES:
        raise ValueError(
            f"{len(frame)} bytes are too many for a message: at most {MAX_FRAME_BYTES}; "
            "put large data in a buffer or a file"
        )


class FramedEndpoint(Endpoint):
    """An end of a stream whose frames are put together here, so that nothing ever blocks.

    A frame that its sender's death cut off is dropped; the ones before it arrive whole.
    """

    def __init__(self) -> None:
        self._incoming = bytearray()
        self._outgoing = memoryview(b"")
        self._is_at_end = False
        self._is_drained = False

    @abstractmethod
    def _write(self, data: memoryview) -> int:
        """Write as much as there is room for; raises BlockingIOError if there is none, OSError."""

    @abstractmethod
    def _read(self, count: int) -> bytes:
        """Read what is there; raises BlockingIOError if nothing is; nothing at the end of file."""

    @abstractmethod
    def _close(self) -> None:
        """Close the stream."""

    def send(self, frame: bytes) -> bool:
        """Take a frame for sending; False if an earlier one has not left yet."""
        check_size(frame)
        if self._outgoing and not self.flush():
            return False
        self._outgoing = memoryview(_LENGTH.pack(len(frame)) + frame)
        self.flush()
        return True

    def flush(self) -> bool:
        """Send on what was taken; True when nothing remains to be sent."""
        while self._outgoing:
            try:
                sent = self._write(self._outgoing)
            except BlockingIOError:
                return False
            except OSError as error:
                self._outgoing = memoryview(b"")
                raise BrokenPipeError("the other end of the pipe is closed") from error
            self._outgoing = self._outgoing[sent:]
        return True

    def receive(self) -> bytes | None:
        """Return the next whole frame, or None if none is there."""
        end = self._end_of_next()
        while not end and not self._is_at_end:
            if self._is_drained:  # the last read was short: spare the one that finds nothing
                self._is_drained = False
                return None
            try:
                read = self._read(_READ_BYTES)
            except BlockingIOError:
                return None
            except OSError:
                read = b""
            self._is_at_end = not read
            self._is_drained = 0 < len(read) < _READ_BYTES
            self._incoming += read
            end = self._end_of_next()
        if end == _NONSENSE:
            self._is_at_end = True
            self._incoming.clear()
            raise EOFError("what came through the pipe is no frame: it is taken for closed")
        if not end:
            raise EOFError("the other end of the pipe is closed")
        frame = bytes(self._incoming[_LENGTH.size : end])
        del self._incoming[:end]
        return frame

    @property
    def is_flushed(self) -> bool:
        """Whether all that was taken for sending has left."""
        return not self._outgoing

    @property
    def is_ready(self) -> bool:
        """Whether a whole frame has been taken from the pipe already."""
        return self._end_of_next() > 0

    def _end_of_next(self) -> int:
        """Return where the next whole frame ends; 0 if none is there, or `_NONSENSE`.

        What claims to be larger than any frame is none.
        """
        incoming = self._incoming
        if len(incoming) < _LENGTH.size:
            return 0
        (size,) = _LENGTH.unpack_from(incoming)
        if size > MAX_FRAME_BYTES:
            return _NONSENSE
        end: int = _LENGTH.size + size
        return end if len(incoming) >= end else 0

    def close(self) -> None:
        """Close this end; idempotent."""
        self._is_at_end = True
        self._close()
        self._outgoing = memoryview(b"")
