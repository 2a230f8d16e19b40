"""What was taken before, played as a camera: a TIFF stack, a recording's video, or a capture."""

from os import PathLike
from pathlib import Path
from typing import get_args

import numpy as np

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.device import Identity, Setting, SettingValue
from hal.drivers.replay.captured import check_choice
from hal.drivers.replay.captured_camera import CapturedCamera
from hal.drivers.replay.stack import FRAMERATE, StackCamera
from hal.errors import DisconnectedError, OptionError
from hal.recording.following import Pace, Policy
from hal.recording.reading import is_capture
from hal.support import Support


class ReplayCamera(Camera):
    """Plays a capture of `magscope run --capture`, or a TIFF stack or full-frame videos.

    A capture is played once, as it came, without a loss; see `CapturedCamera`. Of a stack frame k
    is due k periods after the start, and who is late loses frames; see `StackCamera`.

    Args:
        path: A capture (`camera.capture`, or the directory that has it); a TIFF stack with the axes
            TYX, uint8 or uint16; or the directory of a recording, whose full-frame videos
            `Video *.tiff` follow each other. Relative to the rig file.
        framerate_hz: Of a stack: frames a second; None for that of the recording, told by the
            labels where they are timestamps in seconds, else 100.
        loop: Of a stack: whether it begins anew after the last frame, with the numbers going on.
        pace: Of a capture: `real`, as it came, on the context's clock; `fast`, as fast as it is
            fetched.
        on_divergence: Of a capture: what becomes of a call that is not the captured one. `report`
            tells of the first and goes on: the call is carried out as far as a capture can. `stop`
            raises a DivergenceError.

    Raises:
        OptionError: `pace` or `on_divergence` is another word.
        SettingError: `framerate_hz` is out of range.
    """

    has_own_time = False
    support = Support(
        "a capture, a TIFF stack, or the video of a recording, played as a camera", "no device"
    )

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        framerate_hz: float | None = None,
        loop: bool = True,
        pace: Pace = "real",
        on_divergence: Policy = "report",
    ) -> None:
        check_choice("pace", pace, get_args(Pace))
        check_choice("on_divergence", on_divergence, get_args(Policy))
        if framerate_hz is not None:
            FRAMERATE.check(framerate_hz)
        self._path = Path(path).expanduser()
        self._framerate_hz, self._loop = framerate_hz, loop
        self._pace, self._on_divergence = pace, on_divergence
        self._played: CapturedCamera | StackCamera | None = None

    @property
    def identity(self) -> Identity:
        """The file stands in for the device; of a capture, it says who that was."""
        if self._played is not None:
            return self._played.identity
        return Identity("MagScope", "replay", self._path.name, driver="replay", is_real=False)

    @property
    def is_open(self) -> bool:
        """Whether the files are open."""
        return self._played is not None and self._played.is_open

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the frames."""
        return self._camera.frame_format

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return 0 if self._played is None else self._played.n_frames

    def open(self) -> None:
        """Open the files; their frames are mapped, not read.

        Raises:
            OptionError: There is nothing at `path` that can be played.
            ProtocolError: A file is damaged, or differs from the first one.
            UnsupportedError: A file has other axes than TYX, or other pixels than uint8 or uint16.
        """
        if self._played is None:
            self._played = self._found()
        self._played.open()
        self.annotation_name = self._played.annotation_name
        self.annotation_columns = self._played.annotation_columns
        self.queue_frames = self._played.queue_frames
        self.keeps_all_frames = self._played.keeps_all_frames

    def _found(self) -> CapturedCamera | StackCamera:
        path = (self.context.directory or Path()) / self._path
        played: CapturedCamera | StackCamera
        if is_capture(path):
            if self._framerate_hz is not None:
                raise OptionError(
                    f"framerate_hz = {self._framerate_hz:g}: '{self._path}' is a capture, and has "
                    "times of its own; leave it out"
                )
            played = CapturedCamera(path, pace=self._pace, on_divergence=self._on_divergence)
        else:
            played = StackCamera(path, framerate_hz=self._framerate_hz, loop=self._loop)
        played.context = self.context
        return played

    def close(self) -> None:
        """Let go of the files."""
        if self._played is not None:
            self._played.close()

    def start(self) -> None:
        """Play from the first frame, or from the captured start."""
        self._camera.start()

    def stop(self) -> None:
        """Play no more."""
        if self._played is not None:
            self._played.stop()

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy the oldest frame that waits into `out`; None when none is due, or after the end."""
        return self._camera.fetch_into(out)

    def ready_in_s(self) -> float:
        """Return the seconds until the next frame is due."""
        return self._camera.ready_in_s()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Of a stack, the frame rate at which it is played; of a capture, the device's."""
        return () if self._played is None else self._played.settings

    def get(self, name: str) -> SettingValue:
        """Return a setting."""
        return self._camera.get(name)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting."""
        return self._camera.set(name, value)

    @property
    def _camera(self) -> CapturedCamera | StackCamera:
        if self._played is None:
            raise DisconnectedError(f"replay of {self._path} is not open: open it first")
        return self._played
