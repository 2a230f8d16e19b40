"""One run of the camera: its blocks as whole, numbered and timed frames, its losses as gaps."""

from dataclasses import dataclass

import telegenic

from hal.clock import NS_PER_S, Clock
from hal.drivers.gigevision.blocks import BlockCounter
from hal.drivers.timeline import Timeline


@dataclass(frozen=True)
class Block:
    """A whole frame.

    Attributes:
        frame: What the library has of it.
        number: Its number, from 0.
        timestamp_ns: Unix time in ns.
    """

    frame: telegenic.Frame
    number: int
    timestamp_ns: int


class Stream:
    """What a camera sends from a start to the next stop.

    Args:
        acquisition: The library's side of it, which has begun.
        clock: Where frames get their time from.
        n_bytes: The size of a whole frame.

    Attributes:
        incomplete_frames: How many frames came with a packet missing.
        is_running: Whether it has not been stopped.
    """

    def __init__(self, acquisition: telegenic.Acquisition, clock: Clock, n_bytes: int) -> None:
        self._acquisition = acquisition
        self._clock = clock
        self._n_bytes = n_bytes
        self._blocks = BlockCounter()
        self._last_whole = -1
        self._timeline = Timeline()
        self._first_tick_ns: int | None = None
        self._waiting: telegenic.Frame | None = None
        self.incomplete_frames = 0
        self.is_running = True

    @property
    def interval_s(self) -> float:
        """The time between frames in s, over the last ten or so; 0 before there were two."""
        return self._timeline.interval_ns / NS_PER_S

    def has_waiting(self) -> bool:
        """Return whether a frame waits, whole or not."""
        if self._waiting is None:
            self._waiting = self._acquisition.try_recv()
        return self._waiting is not None

    def next_whole(self) -> Block | None:
        """Return the oldest whole frame that waits; count those before it that are not whole."""
        while self.has_waiting():
            frame, self._waiting = self._waiting, None
            assert frame is not None
            number = self._blocks.number(frame.frame_id)
            if not frame.is_complete or frame.received_size < self._n_bytes:
                self.incomplete_frames += 1
            elif number is not None:
                on, self._last_whole = number - self._last_whole, number
                return Block(frame, number, self._timestamp_ns(frame, on))
        return None

    def stop(self) -> None:
        """Tell the camera to send no more.

        Raises:
            telegenic.CameraError: The camera does not answer.
        """
        self.is_running = False
        self._acquisition.stop()

    def _timestamp_ns(self, frame: telegenic.Frame, frames_on: int) -> int:
        elapsed_ms = None
        if frame.timestamp_ns:  # 0 where the camera does not tell how fast it counts
            if self._first_tick_ns is None:
                self._first_tick_ns = frame.timestamp_ns
            elapsed_ms = (frame.timestamp_ns - self._first_tick_ns) / 1e6
        return self._timeline.place(self._clock.now_ns(), elapsed_ms, frames_on)
