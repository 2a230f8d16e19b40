"""A pipe end with a bounded outbox: posting never blocks, and nothing is lost in silence."""

from collections import deque

from magscope.runtime import Endpoint, current
from magscope.runtime.framing import check_size

MAX_WAITING_FRAMES = 10_000
MAX_WAITING_BYTES = 64 * 1024 * 1024


class Channel:
    """One end of a pipe, and the frames that wait for room in it.

    Attributes:
        is_broken: Whether the other end is gone; posting is then refused.
    """

    def __init__(
        self,
        end: Endpoint,
        *,
        max_frames: int = MAX_WAITING_FRAMES,
        max_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.end = end
        self.is_broken = False
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._leaving: bytes | None = None  # taken by the pipe, and not all of it sent
        self._max_frames = max_frames
        self._max_bytes = max_bytes

    @property
    def waiting(self) -> int:
        """How many posted frames have not been taken by the pipe."""
        return len(self._waiting)

    @property
    def wants_room(self) -> bool:
        """Whether something waits to be sent."""
        return not self.is_broken and bool(self._waiting or not self.end.is_flushed)

    @property
    def is_ready(self) -> bool:
        """Whether a frame can be received without waiting."""
        return self.end.is_ready

    def post(self, frame: bytes) -> bool:
        """Send a frame now or as soon as there is room; False if it can not be taken.

        Raises:
            ValueError: The frame is too large for any pipe.
        """
        check_size(frame)
        with current().uninterrupted():
            return self._post(frame)

    def _post(self, frame: bytes) -> bool:
        if self.is_broken:
            return False
        try:
            if not self._waiting and self._offer(frame):
                return True
        except BrokenPipeError:
            self.is_broken = True
            return False
        too_many = len(self._waiting) >= self._max_frames
        if too_many or self._waiting_bytes + len(frame) > self._max_bytes:
            return False
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        return True

    def flush(self) -> bool:
        """Send what waits as far as there is room; True when nothing remains."""
        with current().uninterrupted():
            return self._flush()

    def _flush(self) -> bool:
        if self.is_broken:
            return True
        try:
            while self._waiting and self._offer(self._waiting[0]):
                self._waiting_bytes -= len(self._waiting.popleft())
            return self._has_left() and not self._waiting
        except BrokenPipeError:
            self.is_broken = True
            return True

    def _offer(self, frame: bytes) -> bool:
        if not self._has_left() or not self.end.send(frame):
            return False
        if not self.end.is_flushed:
            self._leaving = frame
        return True

    def _has_left(self) -> bool:
        if self._leaving is not None and self.end.flush():
            self._leaving = None
        return self._leaving is None

    def break_off(self) -> list[bytes]:
        """Note that the other end is gone, and return the frames that never left, once."""
        self.is_broken = True
        unsent = [*([] if self._leaving is None else [self._leaving]), *self._waiting]
        self._leaving = None
        self._waiting.clear()
        self._waiting_bytes = 0
        return unsent

    def receive(self) -> bytes | None:
        """Return the next frame, or None; raises EOFError when the other end is gone."""
        with current().uninterrupted():
            return self.end.receive()

    def fileno(self) -> int:
        """Return what to wait for."""
        return self.end.fileno()  # type: ignore[attr-defined]
