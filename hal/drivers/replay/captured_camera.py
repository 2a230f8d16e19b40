"""The capture of a camera, played as a camera."""

from os import PathLike
from typing import ClassVar

import numpy as np

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.clock import NS_PER_S
from hal.drivers.replay.captured import CapturedDevice
from hal.errors import ProtocolError, SettingError
from hal.recording.following import Pace, Policy
from hal.recording.reading import Call

_END_OF_CAPTURE_S = 1.0


class CapturedCamera(CapturedDevice, Camera):
    """Plays the frames and errors of a capture as they came, and loses none of them.

    Each `start` plays what followed the captured one; a start more than was captured plays the last
    of them again. Frame numbers are the captured ones, with their gaps. Timestamps keep their
    distances to the start, also at the pace `fast`, where they run ahead of the clock.
    """

    driver: ClassVar[str] = "replay"
    captured_kinds: ClassVar[tuple[str, ...]] = ("camera",)
    keeps_all_frames = True

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        pace: Pace = "real",
        on_divergence: Policy = "report",
    ) -> None:
        super().__init__(path, pace=pace, on_divergence=on_divergence)
        self._runs: list[_Run] = []
        self._run: _Run | None = None
        self._next = 0
        self._start_ns = self._unix_shift_ns = 0

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the captured frames."""
        form = self._described.frame_format
        assert form is not None  # a camera has one
        return form

    @property
    def n_frames(self) -> int:
        """How many frames the capture has."""
        return sum(call.frame is not None for run in self._runs for call in run.calls)

    def open(self) -> None:
        """Read the capture, or go on with it."""
        super().open()
        described = self._described
        self._runs = self._runs or _runs(self._opened.capture.calls)
        self.annotation_name = described.annotation_name
        self.annotation_columns = described.annotation_columns
        # Frames that come at the pace at which they are fetched need not be left to gather.
        self.queue_frames = 1 if self._pace == "fast" else described.queue_frames

    def close(self) -> None:
        """Play no more."""
        self._run = None
        super().close()

    def start(self) -> None:
        """Play what followed the captured start.

        Raises:
            DeviceError: The captured camera did not start either.
        """
        call = self._following.command("start")
        if not self._runs:
            raise ProtocolError(f"{self._path} has no frames: the camera was never started in it")
        found = [run for run in self._runs if run.start is call]
        self._run = (found or self._runs[-1:])[0]
        self._next = 0
        clock = self.context.clock
        self._start_ns = clock.monotonic_ns()
        self._unix_shift_ns = clock.now_ns() - self._run.start.unix_ns

    def stop(self) -> None:
        """Play no more until the next start."""
        self._run = None
        if self._is_open:
            self._following.command("stop")

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy the next frame into `out`; None when it is not due yet, and after the last.

        Raises:
            DeviceError: The captured camera failed here.
        """
        if not self._is_open:
            self._refuse()
        if self._run is None or not self._is_due(self._run):
            return None
        call = self._run.calls[self._next]
        form = self.frame_format
        if call.frame is not None and (out.shape != form.shape or out.dtype != form.dtype):
            raise SettingError(
                f"frame to fill is {out.shape} {out.dtype}: expected {form.shape} {form.dtype}"
            )
        self._next += 1
        if call.frame is None:
            assert call.error is not None
            raise call.error
        capture = self._opened.capture
        np.copyto(out, capture.pixels(call.frame, form))
        return FrameInfo(
            call.frame.number,
            call.frame.timestamp_ns + self._unix_shift_ns,
            capture.annotation(call.frame, form),
        )

    def ready_in_s(self) -> float:
        """Return the seconds until the next frame is due."""
        if self._run is None or self._next >= len(self._run.calls):
            return _END_OF_CAPTURE_S
        if self._pace == "fast":
            return 0.0
        due_ns = self._start_ns + self._run.due_ns[self._next]
        return max(due_ns - self.context.clock.monotonic_ns(), 0) / NS_PER_S

    def _is_due(self, run: "_Run") -> bool:
        return self._next < len(run.calls) and self.ready_in_s() == 0.0


class _Run:
    """What a camera gave from one start to the next.

    Attributes:
        start: The captured start.
        calls: Those that gave a frame or failed.
        due_ns: When each could be had, after the start.
    """

    def __init__(self, start: Call) -> None:
        self.start = start
        self.calls: list[Call] = []
        self.due_ns: list[int] = []

    def add(self, call: Call) -> None:
        """Add the next.

        A frame waited from the end of its exposure, which its timestamp tells, until it was
        fetched. No frame comes before another, nor later than it was fetched: clocks may be set.
        """
        fetched_ns = call.at_ns - self.start.at_ns
        due_ns = fetched_ns
        if call.frame is not None:
            due_ns = min(call.frame.timestamp_ns - self.start.unix_ns, fetched_ns)
        self.calls.append(call)
        self.due_ns.append(max(due_ns, self.due_ns[-1] if self.due_ns else 0))


def _runs(calls: list[Call]) -> list[_Run]:
    runs: list[_Run] = []
    for call in calls:
        if call.name == "start" and call.error is None:
            runs.append(_Run(call))
        elif call.name == "fetch_into" and runs:
            runs[-1].add(call)
    return runs
