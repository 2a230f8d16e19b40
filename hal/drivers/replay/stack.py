"""A recording's video, or any TIFF stack, played as a camera."""

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import accumulate
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.clock import NS_PER_S
from hal.device import Identity, Setting, SettingValue
from hal.errors import DisconnectedError, OptionError, ProtocolError, UnsupportedError

_DEFAULT_FRAMERATE_HZ = 100.0
_FRAMERATE_LIMITS_HZ = (0.001, 1e6)
FRAMERATE = Setting("framerate_hz", float, "Hz", *_FRAMERATE_LIMITS_HZ)
# ImageJ calls the frames of a stack T, or Z where nobody told it; I and Q are plain pages.
_AXES_OF_A_STACK = frozenset({"TYX", "ZYX", "IYX", "QYX", "YX"})
_END_OF_RECORDING_S = 1.0


class StackCamera(Camera):
    """Plays a TIFF stack, or the full-frame videos of a recording, as a camera.

    Frame k is due k periods after the start. Of the frames that are due but were not fetched the
    newest 32 wait; older ones are lost, which shows as a gap in `frame_number`.

    Args:
        path: A TIFF stack with the axes TYX, uint8 or uint16, or the directory of a recording,
            whose files `Video *.tiff` follow each other in the order of their names; those with
            cropped ROIs (TCYX) are left out.
        framerate_hz: Frames a second; None for the rate of the recording, told by the labels where
            they are timestamps in seconds, else 100.
        loop: Whether it begins anew after the last frame, with the numbers going on.
    """

    queue_frames = 32
    has_own_time = False

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        framerate_hz: float | None = None,
        loop: bool = True,
    ) -> None:
        self._path = Path(path).expanduser()
        self._framerate_option_hz = framerate_hz
        self._loop = loop
        self._files = ExitStack()
        self._stacks: list[Sequence[np.ndarray]] = []
        self._ends: list[int] = []
        self._format: FrameFormat | None = None
        self._period_ns = 0
        self._is_running = False
        self._next_number = 0
        self._next_due_ns = 0
        self._unix_offset_ns = 0

    @property
    def identity(self) -> Identity:
        """The file stands in for the device."""
        return Identity("MagScope", "replay", self._path.name, driver="replay", is_real=False)

    @property
    def is_open(self) -> bool:
        """Whether the files are open."""
        return self._format is not None

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the recorded frames."""
        if self._format is None:
            raise DisconnectedError(f"replay of {self._path} is not open: open it first")
        return self._format

    @property
    def n_frames(self) -> int:
        """How many frames the recording has."""
        return self._ends[-1] if self._ends else 0

    def open(self) -> None:
        """Open the files; their frames are mapped, not read.

        Raises:
            OptionError: There is nothing at `path`, or no full-frame video in that directory.
            ProtocolError: A file is not a TIFF file, is damaged, or differs from the first one.
            UnsupportedError: A file has other axes than TYX, or other pixels than uint8 or uint16.
        """
        if self._format is not None:
            return
        with ExitStack() as files:
            recorded_hz = None
            stacks: list[Sequence[np.ndarray]] = []
            for path in self._video_paths():
                tiff, axes = _open_tiff(path, files)
                if axes not in _AXES_OF_A_STACK:
                    if self._path.is_dir():
                        continue
                    raise UnsupportedError(
                        f"{path} has the axes {axes}; a stack of full frames has TYX"
                    )
                stacks.append(_frames_of(tiff, path))
                recorded_hz = recorded_hz or _recorded_framerate_hz(tiff)
            if not stacks:
                raise OptionError(
                    f"path = '{self._path}': holds no full-frame video (Video *.tiff with TYX)"
                )
            self._format = self._common_format(stacks)
            self._files = files.pop_all()
        self._stacks = stacks
        self._ends = list(accumulate(len(stack) for stack in self._stacks))
        self._set_framerate(self._framerate_option_hz or recorded_hz or _DEFAULT_FRAMERATE_HZ)

    def close(self) -> None:
        """Let go of the files."""
        self.stop()
        self._format = None
        self._stacks, self._ends = [], []
        self._files.close()

    def start(self) -> None:
        """Play from the first frame."""
        if self._format is None:
            raise DisconnectedError(f"replay of {self._path} is not open: open it first")
        clock = self.context.clock
        self._next_number = 0
        self._next_due_ns = clock.monotonic_ns()
        self._unix_offset_ns = clock.now_ns() - self._next_due_ns
        self._is_running = True

    def stop(self) -> None:
        """Play no more."""
        self._is_running = False

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy the oldest frame that waits into `out`; None when none is due, or after the end.

        Raises:
            DisconnectedError: The camera is not open.
            ProtocolError: The file is damaged here.
        """
        if self._format is None:
            raise DisconnectedError(f"replay of {self._path} is not open: open it first")
        late_ns = self.context.clock.monotonic_ns() - self._next_due_ns
        if not self._is_running or late_ns < 0:
            return None
        lost = max(late_ns // self._period_ns + 1 - self.queue_frames, 0)
        if not self._loop:
            lost = min(lost, max(self.n_frames - self.queue_frames - self._next_number, 0))
            if self._next_number >= self.n_frames:
                return None
        number = self._next_number + lost
        due_ns = self._next_due_ns + lost * self._period_ns
        np.copyto(out, self._frame(number % self.n_frames))
        self._next_number = number + 1
        self._next_due_ns = due_ns + self._period_ns
        return FrameInfo(number, due_ns + self._unix_offset_ns)

    def ready_in_s(self) -> float:
        """Return the seconds until the next frame is due."""
        if not self._is_running or (not self._loop and self._next_number >= self.n_frames):
            return _END_OF_RECORDING_S
        return max(self._next_due_ns - self.context.clock.monotonic_ns(), 0) / NS_PER_S

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The frame rate at which the recording is played."""
        return (FRAMERATE,)

    def get(self, name: str) -> SettingValue:
        """Return the frame rate."""
        self.setting(name)
        return NS_PER_S / self._period_ns if self._period_ns else 0.0

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change the frame rate, from the next frame but one on."""
        self._set_framerate(float(self.setting(name).check(value)))
        return self.get(name)

    def _set_framerate(self, framerate_hz: float) -> None:
        self._period_ns = round(NS_PER_S / framerate_hz)

    def _video_paths(self) -> list[Path]:
        if self._path.is_dir():
            return sorted(self._path.glob("Video *.tiff"))
        if not self._path.is_file():
            raise OptionError(
                f"path = '{self._path}': no such file or directory; "
                "give a TIFF stack or the directory of a recording"
            )
        return [self._path]

    def _common_format(self, stacks: list[Sequence[np.ndarray]]) -> FrameFormat:
        formats = set()
        for stack in stacks:
            frame = stack[0]
            if frame.dtype.kind != "u" or frame.dtype.itemsize > 2:
                raise UnsupportedError(
                    f"{self._path} has pixels of {frame.dtype}; uint8 or uint16 are needed: "
                    "convert the file, for example in ImageJ under Image > Type"
                )
            formats.add(FrameFormat(frame.shape[1], frame.shape[0], 8 * frame.dtype.itemsize))
        if len(formats) > 1:
            raise ProtocolError(
                f"the videos in {self._path} differ, {formats}: play one file of them"
            )
        return formats.pop()

    def _frame(self, index: int) -> np.ndarray:
        which = bisect_right(self._ends, index)
        stack = self._stacks[which]
        return stack[index - self._ends[which] + len(stack)]


class _Pages(Sequence[np.ndarray]):
    """The frames of a file whose pages can not be mapped, because they are compressed."""

    def __init__(self, pages: Sequence[Any], path: Path) -> None:
        self._pages = pages
        self._path = path

    def __len__(self) -> int:
        return len(self._pages)

    def __getitem__(self, index: Any) -> Any:
        try:
            return self._pages[index].asarray()
        except Exception as error:  # a damaged page may fail in any of the decoders
            raise ProtocolError(f"{self._path}, frame {index}: {error}") from error


def _open_tiff(path: Path, files: ExitStack) -> tuple[tifffile.TiffFile, str]:
    try:
        tiff = files.enter_context(tifffile.TiffFile(path))
        return tiff, tiff.series[0].axes
    except Exception as error:  # a damaged file may fail in any way
        raise ProtocolError(f"{path} is not a readable TIFF file: {error}") from error


def _frames_of(tiff: tifffile.TiffFile, path: Path) -> Sequence[np.ndarray]:
    series = tiff.series[0]
    shape = (1, *series.shape) if series.ndim == 2 else series.shape
    promised = (tiff.imagej_metadata or {}).get("images", 1)
    if shape[0] < promised:
        raise ProtocolError(
            f"{path} is cut off: its header promises {promised} frames, {shape[0]} can be read"
        )
    if series.dataoffset is None:
        return _Pages(series.pages, path)
    dtype = np.dtype(series.dtype).newbyteorder(tiff.byteorder)
    try:
        return np.memmap(path, dtype, "r", series.dataoffset, shape)  # type: ignore[return-value]
    except ValueError as error:
        raise ProtocolError(f"{path} is shorter than its header says: {error}") from error


def _recorded_framerate_hz(tiff: tifffile.TiffFile) -> float | None:
    labels = (tiff.imagej_metadata or {}).get("Labels") or []
    try:
        timestamps_s = np.array([float(label) for label in labels])
    except ValueError:
        return None
    intervals_s = np.diff(timestamps_s)
    if not intervals_s.size or not (np.isfinite(intervals_s).all() and (intervals_s > 0).all()):
        return None
    framerate_hz = float(1 / np.median(intervals_s))
    lower, upper = _FRAMERATE_LIMITS_HZ
    return framerate_hz if lower <= framerate_hz <= upper else None
