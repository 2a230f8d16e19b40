"""Where a camera of python-microscope puts its frames: a queue with room for so many, counted."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hal.clock import NS_PER_S, Clock

_INTERVALS = 10


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame as it came.

    Attributes:
        number: How many came before it since the start.
        pixels: Whatever the device gave.
        timestamp_ns: The library's Unix time of when it was fetched from the device.
    """

    number: int
    pixels: Any
    timestamp_ns: int


class Inbox:
    """A client of the library's: its thread puts frames in, and the driver takes them out.

    Where the camera waits for a trigger, the next one is sent as soon as a frame is there, so that
    the camera goes at its own pace. The oldest frame makes room for a new one when all is full.

    Args:
        clock: Tells how long nothing has come.
        room: How many frames may wait.
        trigger: Sends one trigger, or None where the driver sends none.
        ahead: How many triggers may be on their way.
    """

    def __init__(
        self, clock: Clock, room: int, trigger: Callable[[], object] | None = None, ahead: int = 1
    ) -> None:
        self._clock, self._trigger, self._ahead = clock, trigger, ahead
        self._changed = threading.Condition()
        self._frames: deque[Arrival] = deque(maxlen=room)
        self._stamps: deque[int] = deque(maxlen=_INTERVALS + 1)
        self._count = 0
        self._on_their_way = 0
        self._failure: Exception | None = None
        self._is_open = False
        self._changed_ns = clock.monotonic_ns()

    @property
    def waits(self) -> bool:
        """Whether a frame waits, or an error."""
        return bool(self._frames) or self._failure is not None

    @property
    def has_failed(self) -> bool:
        """Whether something went wrong; frames that came before may still wait."""
        return self._failure is not None

    @property
    def silent_ns(self) -> int:
        """For how long nothing has come, and no trigger was sent."""
        return self._clock.monotonic_ns() - self._changed_ns

    @property
    def framerate_hz(self) -> float:
        """Frames a second over the last ten; 0 before there were two."""
        with self._changed:
            stamps = tuple(self._stamps)
        span_ns = stamps[-1] - stamps[0] if len(stamps) > 1 else 0
        return NS_PER_S * (len(stamps) - 1) / span_ns if span_ns > 0 else 0.0

    def begin(self) -> None:
        """Take what comes from now on, and send the first triggers.

        Raises:
            Exception: Whatever the device raises at a trigger.
        """
        with self._changed:
            self._is_open = True
            self._on_their_way = 0
            self._changed_ns = self._clock.monotonic_ns()
        self._send_triggers()

    def end(self) -> None:
        """Take nothing more, and send no trigger; what waits stays."""
        with self._changed:
            self._is_open = False

    def take(self) -> Arrival | None:
        """Return the oldest frame that waits, or None.

        Raises:
            Exception: What the device raised in place of the next one; from then on each time.
        """
        with self._changed:
            if self._frames:
                return self._frames.popleft()
            if self._failure is not None:
                raise self._failure
            return None

    def wait(self, seconds: float) -> bool:
        """Wait so long at most until a frame or an error waits; return whether one does."""
        with self._changed:
            return self._changed.wait_for(lambda: self.waits, seconds)

    def fail(self, error: Exception) -> None:
        """Take nothing more: this went wrong."""
        with self._changed:
            self._failure = self._failure or error
            self._is_open = False
            self._changed.notify_all()

    def receiveData(self, data: Any, timestamp: float) -> None:  # noqa: N802 - the library's name
        """Put in a frame, or an error; called by the library in a thread of its own.

        Args:
            data: Pixels, or an exception.
            timestamp: Unix time in s.
        """
        if isinstance(data, Exception):
            self.fail(_undone(data))
            return
        with self._changed:
            if not self._is_open:
                return
            arrival = Arrival(self._count, data, self._placed(round(timestamp * NS_PER_S)))
            self._frames.append(arrival)
            self._stamps.append(arrival.timestamp_ns)
            self._count += 1
            self._on_their_way = max(self._on_their_way - 1, 0)
            self._changed_ns = self._clock.monotonic_ns()
            self._changed.notify_all()
        try:
            self._send_triggers()
        except Exception as error:  # noqa: BLE001, RUF100 - the library would only log it
            if self._is_open:  # else the camera was stopped meanwhile
                self.fail(error)

    def _send_triggers(self) -> None:
        while self._trigger is not None:
            with self._changed:
                if not self._is_open or self._on_their_way >= self._ahead:
                    return
                self._on_their_way += 1
                self._changed_ns = self._clock.monotonic_ns()
            self._trigger()

    def _placed(self, timestamp_ns: int) -> int:
        """Return a time that is later than that of the frame before."""
        return max(timestamp_ns, self._stamps[-1] + 1) if self._stamps else timestamp_ns


class PartedError(BaseException):
    """Ends a thread of the library's, which catches every Exception and ends none by itself."""


class Parting:
    """A client whose first delivery ends the thread that delivers."""

    def receiveData(self, data: object, timestamp: float) -> None:  # noqa: ARG002, N802
        """End this thread."""
        raise PartedError


def is_frame(pixels: Any) -> bool:
    """Return whether this is a picture in 8 or 16 bits of grey."""
    return (
        isinstance(pixels, np.ndarray)
        and pixels.ndim == 2
        and pixels.dtype.kind == "u"
        and pixels.dtype.itemsize in (1, 2)
        and pixels.size > 0
    )


def shown(pixels: Any) -> str:
    """Return what a device gave, in words."""
    if isinstance(pixels, np.ndarray):
        return f"an array {pixels.shape} of {pixels.dtype}"
    return f"a {type(pixels).__name__}"


def _undone(error: Exception) -> Exception:
    """Return an error with its words as text: the library passes them on as bytes."""
    words = error.args[0] if error.args else ""
    return RuntimeError(words.decode("ascii", "replace")) if isinstance(words, bytes) else error
