"""Writes a capture: two files that only grow, each record whole before the next begins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hal.camera import Camera, FrameInfo
from hal.device import Device
from hal.recording.lines import CALLS_SUFFIX, FORMAT, FRAMES_SUFFIX, VERSION, kind_of, line


class GrowingFile(Protocol):
    """A file without a buffer: what `write` has taken is there when the process is killed."""

    def write(self, data: Any, /) -> int:
        """Take bytes, not always all of them; return how many."""

    def close(self) -> None:
        """Let go of the file."""


OpenFile = Callable[[Path], GrowingFile]


def new_file(path: Path) -> GrowingFile:
    """Open a file that is not there yet, without a buffer."""
    return path.open("xb", buffering=0)


class CaptureWriter:
    """Writes the calls of one device, and the frames of a camera.

    A disk that is full or gone ends the capture, never the use of the device: this is told once,
    and what was written before stays readable.

    Args:
        directory: Where the files go; it must exist, and have no capture of this role.
        role: `camera`, or the motor's name.
        device: Whose calls are written; not yet open.
        driver: The name that the rig file gives to the driver.
        options: What its constructor was given.
        complain: Told why the capture has ended.
        open_file: Makes the files.

    Attributes:
        path: The file of lines.
    """

    def __init__(
        self,
        directory: Path,
        role: str,
        device: Device,
        *,
        driver: str,
        options: dict[str, Any],
        complain: Callable[[str], None],
        open_file: OpenFile = new_file,
    ) -> None:
        self.path = directory / f"{role}{CALLS_SUFFIX}"
        self._role = role
        self._complain = complain
        self._files: list[GrowingFile] = []
        self._end_bytes = 0
        header: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "role": role,
            "kind": kind_of(device),
            "driver": driver,
            "options": options,
        }
        try:
            self._files.append(open_file(self.path))
            if isinstance(device, Camera):
                self._files.append(open_file(self.path.with_suffix(FRAMES_SUFFIX)))
        except OSError as error:
            self._give_up(error)
        self.record(header)

    @property
    def is_open(self) -> bool:
        """Whether it still writes."""
        return bool(self._files)

    def record(self, record: dict[str, Any]) -> None:
        """Write one line."""
        if self._files:
            try:
                _write(self._files[0], line(record))
            except OSError as error:
                self._give_up(error)

    def frame(self, record: dict[str, Any], pixels: np.ndarray, info: FrameInfo) -> None:
        """Write a frame, and then the line of the call that gave it."""
        if not self._files:
            return
        rows = None if info.annotation is None else np.ascontiguousarray(info.annotation, float)
        offset = self._end_bytes
        try:
            _write(self._files[1], pixels)
            if rows is not None:
                _write(self._files[1], rows)
        except OSError as error:
            self._give_up(error)
            return
        self._end_bytes += pixels.nbytes + (0 if rows is None else rows.nbytes)
        record["frame"] = {
            "number": int(info.frame_number),
            "timestamp_ns": int(info.timestamp_ns),
            "offset": offset,
            "annotation": None if rows is None else rows.shape,
        }
        self.record(record)

    def close(self) -> None:
        """Close the files; idempotent."""
        files, self._files = self._files, []
        for file in files:
            try:
                file.close()
            except OSError as error:
                self._complain(f"capture of {self._role}: closing {self.path} failed: {error}")

    def _give_up(self, error: OSError) -> None:
        self._complain(
            f"capture of {self._role} ended, the device goes on: can not write {self.path}: "
            f"{error.strerror or error}; what was written before can be played"
        )
        self.close()


def _write(file: GrowingFile, data: Any) -> None:
    left = memoryview(data).cast("B")
    while left:
        left = left[file.write(left) :]
