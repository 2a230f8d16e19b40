"""A camera that goes wrong: it stands in front of one, and uses it."""

from collections import deque
from collections.abc import Callable

import numpy as np

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.clock import NS_PER_S
from sim.faults import instruments
from sim.faults.devices.device import FaultyDevice, Trouble

_LOOK_AGAIN_S = 0.01


class FaultyCamera(FaultyDevice, Camera):
    """A camera whose frames are lost, late, double or torn, or that is gone."""

    def __init__(self, inner: Camera, trouble: Trouble, visit: Callable[[str], None]) -> None:
        super().__init__(inner, trouble, visit)
        self.annotation_name = inner.annotation_name
        self.annotation_columns = inner.annotation_columns
        self.queue_frames = inner.queue_frames
        self._begin()

    def _begin(self) -> None:
        self._to_drop = 0
        self._before: np.ndarray | None = None
        self._again: tuple[np.ndarray, FrameInfo] | None = None
        self._kept: deque[tuple[np.ndarray, FrameInfo, int]] = deque()

    @property
    def frame_format(self) -> FrameFormat:
        """The shape of the frames."""
        form: FrameFormat = self._inner.frame_format
        return form

    def start(self) -> None:
        """Begin to take frames."""
        self._answer()
        self._begin()
        self._inner.start()

    def stop(self) -> None:
        """Take no more frames."""
        self._return()
        self._inner.stop()

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Write the oldest frame that the camera lets go of into `out`."""
        self._visit("device.fetch")
        self._answer()
        if self._trouble.find(instruments.CameraBurst):
            return None
        frame = self._next_frame()
        if frame is None:
            return None
        out[...] = frame[0]
        return frame[1]

    def _next_frame(self) -> tuple[np.ndarray, FrameInfo] | None:
        if not self._kept and not self._trouble.find(instruments.CameraLate):
            frame = self._take()
            if not self._trouble.find(instruments.CameraLate):
                return frame
            self._keep(frame)
        while (frame := self._take()) is not None:
            self._keep(frame)
        if not self._kept or self._kept[0][2] > self._now_ns():
            return None
        pixels, info, _ = self._kept.popleft()
        return pixels, info

    def _keep(self, frame: tuple[np.ndarray, FrameInfo] | None) -> None:
        if frame is not None:
            late = self._trouble.find(instruments.CameraLate)
            due_ns = self._now_ns() + (int(late.late_s * NS_PER_S) if late else 0)
            self._kept.append((*frame, due_ns))

    def _take(self) -> tuple[np.ndarray, FrameInfo] | None:
        """Return the next frame that is not lost."""
        if self._again is not None:
            again, self._again = self._again, None
            return again
        while True:
            form = self.frame_format
            pixels = np.empty(form.shape, form.dtype)
            info: FrameInfo | None = self._inner.fetch_into(pixels)
            if info is None:
                return None
            self._visit("device.frame")
            if drop := self._trouble.take(instruments.CameraDrop):
                self._to_drop += drop.frames
            if self._to_drop:
                self._to_drop -= 1
                continue
            whole = pixels.copy()
            if self._before is not None and self._trouble.take(instruments.CameraTorn):
                half = form.height_px // 2
                pixels[half:] = self._before[half:]
            self._before = whole
            if self._trouble.take(instruments.CameraDuplicate):
                self._again = (pixels, info)
            return pixels, info

    def ready_in_s(self) -> float:
        """Return in how many seconds it is worth asking again."""
        ready_s = 0.0 if self._again is not None else float(self._inner.ready_in_s())
        if self._trouble.find(instruments.CameraBurst):
            return max(ready_s, _LOOK_AGAIN_S)
        if self._kept:
            return min(ready_s, max(self._kept[0][2] - self._now_ns(), 0) / NS_PER_S)
        return ready_s

    def _now_ns(self) -> int:
        return self.context.clock.monotonic_ns()
