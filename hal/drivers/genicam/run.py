"""One run of a camera, from `start` to `stop`: its frames, and what it means if none come."""

from functools import partial
from typing import Any

import numpy as np

from hal.camera import FrameInfo
from hal.clock import NS_PER_S
from hal.device import DeviceContext
from hal.drivers.genicam.device import GenicamDevice
from hal.drivers.genicam.errors import translated
from hal.drivers.genicam.frames import Frames
from hal.drivers.genicam.pixels import PixelFormat
from hal.drivers.genicam.stream import Stream
from hal.errors import DeviceError, DeviceTimeoutError

_LONGEST_WAIT_S = 0.002
_SHORTEST_WAIT_S = 0.0002
_LOCK = "TLParamsLocked"
_INCOMPLETE = (
    "a frame came incomplete; such frames count as lost: look at cables, at the packet size, and "
    "at the buffers of the network card"
)


class Run:
    """A camera that takes frames.

    Args:
        device: The device.
        stream: Its stream.
        pixel_format: Of its frames.
        context: The camera's context.
        timeout_s: How long no frame may come, beside the time of three frames; 0 for any time.
    """

    def __init__(
        self,
        device: GenicamDevice,
        stream: Stream,
        pixel_format: PixelFormat,
        context: DeviceContext,
        timeout_s: float,
    ) -> None:
        self._features = device.features
        self._stream = stream
        self._context = context
        self._timeout_s = timeout_s
        self._frames = Frames(pixel_format, wraps_ids=device.wraps_ids, ticks_hz=device.ticks_hz)
        self._heard_ns = 0
        self._empty_ns = 0
        self._told: set[str] = set()

    @property
    def framerate_hz(self) -> float:
        """Frames a second as they came; 0 before there were two."""
        return self._frames.timeline.framerate_hz

    def begin(self) -> None:
        """Let the device send frames.

        Raises:
            DeviceError: It does not start; the class says why. `end` is then called for.
        """
        features = self._features
        if features.is_writable("AcquisitionMode"):
            features.write("AcquisitionMode", "Continuous")
        if features.has("TriggerMode") and features.read("TriggerMode") == "On":
            self._timeout_s = 0.0  # who triggers it decides when frames come
        self._heard_ns = self._context.clock.monotonic_ns()
        self._empty_ns = self._context.clock.now_ns()
        self._stream.start(self._stream.payload_bytes or int(features.read("PayloadSize")))
        self._lock(True)
        features.begin("AcquisitionStart")

    def end(self) -> None:
        """Let the device send no more, and forget the frames that wait.

        Raises:
            DeviceError: It did not answer; no frame comes all the same.
        """
        failures: list[DeviceError] = []
        tell = partial(self._features.begin, "AcquisitionStop")
        for step in (tell, self._stream.stop, partial(self._lock, False)):
            try:
                step()
            except DeviceError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy the oldest whole frame that waits into `out`.

        Raises:
            DisconnectedError: The device is gone.
            DeviceTimeoutError: No frame came for `timeout_s`; again after as long.
            ProtocolError: The frame has not the shape that was declared.
            DeviceError: The stream failed; the class says how.
        """
        for _ in range(self._stream.n_buffers):  # as many as can have waited
            now_ns = self._context.clock.now_ns()
            buffer = self._stream.take()
            if buffer is None:
                self._empty_ns = now_ns
                self._listen()
                return None
            self._heard_ns = self._context.clock.monotonic_ns()
            try:
                info = self._receive(buffer, out)
            finally:
                self._stream.give_back(buffer)
            if info is not None:
                return info
        return None

    def ready_in_s(self) -> float:
        """Return a quarter of the interval between frames, at most 2 ms, or 0 when one waits."""
        if self._stream.n_waiting:
            return 0.0
        interval_s = self._frames.timeline.interval_ns / NS_PER_S
        return min(max(interval_s / 4, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)

    def _receive(self, buffer: Any, out: np.ndarray) -> FrameInfo | None:
        with translated("reading a frame"):
            info = self._frames.receive(
                buffer,
                self._stream.bytes_of(buffer),
                out,
                arrival_ns=self._context.clock.now_ns(),
                not_before_ns=self._empty_ns,
                is_newest=not self._stream.n_waiting,
            )
        if self._frames.oddity:
            self._tell("odd", f"lost frames can not be counted: {self._frames.oddity}")
        if self._frames.n_incomplete:
            self._tell("incomplete", _INCOMPLETE)
        return info

    def _tell(self, topic: str, text: str) -> None:
        """Warn of something once."""
        if topic not in self._told:
            self._told.add(topic)
            self._context.warn(text)

    def _listen(self) -> None:
        """Raise if the camera has been silent for too long: it is gone, or it hangs."""
        if not self._timeout_s:
            return
        now_ns = self._context.clock.monotonic_ns()
        longest_ns = self._timeout_s * NS_PER_S + 3 * self._frames.timeline.interval_ns
        if now_ns - self._heard_ns <= longest_ns:
            return
        silent_s = (now_ns - self._heard_ns) / NS_PER_S
        self._heard_ns = now_ns
        self._features.read("Width", from_device=True)  # raises if it is gone
        raise DeviceTimeoutError(
            f"no frame for {silent_s:.3g} s, though the camera answers: does it wait for a "
            "trigger, or is the exposure longer? Set timeout_s to the longest pause, 0 for any"
        )

    def _lock(self, is_locked: bool) -> None:
        """Let the device refuse what would change the frames, if it can."""
        if self._features.is_writable(_LOCK):
            self._features.write(_LOCK, int(is_locked))
