"""The contract of a camera: frames are written in place, and every loss can be counted."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from hal.device import Device


@dataclass(frozen=True)
class FrameFormat:
    """The shape of a frame.

    Attributes:
        width_px: Columns.
        height_px: Rows.
        bits: Bits a pixel in memory: 8 or 16.
    """

    width_px: int
    height_px: int
    bits: int

    @property
    def dtype(self) -> np.dtype:
        """The numpy type of a pixel: uint8 or uint16."""
        return np.dtype(f"uint{self.bits}")

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a frame as an array, `(height, width)`, C order."""
        return (self.height_px, self.width_px)


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """What came with a frame.

    Attributes:
        frame_number: The device's own count, from 0 at `start`; a gap is a counted loss.
        timestamp_ns: Unix time in ns of the end of the exposure, on the context's clock.
        annotation: Rows of numbers that belong to the frame, `(n, len(annotation_columns))`
            float64, or None. Recorded beside the tracks.
    """

    frame_number: int
    timestamp_ns: int
    annotation: np.ndarray | None = None


class Camera(Device):
    """A camera. See `examples/custom_camera.py` for a whole one.

    Attributes:
        annotation_name: What the rows in `FrameInfo.annotation` are called in a recording; empty
            when the camera has none.
        annotation_columns: Their columns, each with its unit in its name.
        queue_frames: How many finished frames the camera keeps until they are fetched. Whoever
            fetches may come so much later, and take several at once.
        keeps_all_frames: Whether no frame is lost however late it is fetched, as where frames come
            from a file. Such a camera is let wait when there is no room for its frames.
    """

    annotation_name: str = ""
    annotation_columns: tuple[str, ...] = ()
    queue_frames: int = 1
    keeps_all_frames: bool = False

    @property
    @abstractmethod
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the frames of the open camera."""

    @abstractmethod
    def start(self) -> None:
        """Begin to take frames; the next frame has number 0."""

    @abstractmethod
    def stop(self) -> None:
        """Take no more frames; promptly, and does nothing when none are taken."""

    @abstractmethod
    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Write the oldest waiting frame into `out` and return what came with it.

        Never waits: returns None at once when no frame is there, and `out` is then untouched.

        Args:
            out: `frame_format.shape` of `frame_format.dtype`, C-contiguous.

        Raises:
            DeviceError: The camera failed; the class says how.
        """

    def ready_in_s(self) -> float:
        """Return in how many seconds it is worth calling `fetch_into` again; 0 means now.

        A camera that knows when its next frame comes says so here. The others are asked every
        millisecond.
        """
        return 0.001
