"""The words that every part of the system shares: messages, modes, the pool's flag, units."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np

from magscope.recording.names import date_timestamp_str as date_timestamp_str


class AcquisitionMode(StrEnum):
    """What becomes of the frames while acquisition is on."""

    TRACK = "track"
    TRACK_AND_CROP_VIDEO = "track-and-crop-video"
    TRACK_AND_FULL_VIDEO = "track-and-full-video"
    CROP_VIDEO = "crop-video"
    FULL_VIDEO = "full-video"
    ZLUT = "zlut"

    @property
    def tracks(self) -> bool:
        """Whether beads are tracked."""
        return self not in (AcquisitionMode.CROP_VIDEO, AcquisitionMode.FULL_VIDEO)

    @property
    def saves_crops(self) -> bool:
        """Whether the beads' regions are saved as video."""
        return self in (AcquisitionMode.CROP_VIDEO, AcquisitionMode.TRACK_AND_CROP_VIDEO)

    @property
    def saves_frames(self) -> bool:
        """Whether whole frames are saved as video."""
        return self in (AcquisitionMode.FULL_VIDEO, AcquisitionMode.TRACK_AND_FULL_VIDEO)


class PoolVideoFlag(IntEnum):
    """Who may touch the oldest stack of the video buffer."""

    READY = 0
    RUNNING = 1
    FINISHED = 2


class Units:
    """Factors to SI units: `5 * Units.nm` is 5e-9."""

    m = 1.0
    mm = 1e-3
    um = 1e-6
    nm = 1e-9
    s = 1.0
    ms = 1e-3
    us = 1e-6
    ns = 1e-9
    N = 1.0
    pN = 1e-12  # noqa: N815 - the unit is written so


class Message:
    """A method to be called in another process.

    Args:
        to: A manager's class or its name. The name of a base class reaches every manager that
            derives from it; `ManagerProcessBase` reaches all.
        meth: The method or its name.
        args: Positional arguments; a keyword `args=(…)` is appended to them.
        kwargs: Keyword arguments.
    """

    def __init__(self, to: type | str, meth: Callable | str, *args: Any, **kwargs: Any) -> None:
        self.to: str = to if isinstance(to, str) else to.__name__
        self.meth: str = meth if isinstance(meth, str) else meth.__name__
        self.args: tuple = (*args, *kwargs.pop("args", ()))
        self.kwargs: dict[str, Any] = kwargs

    def __repr__(self) -> str:
        arguments = [repr(a) for a in self.args]
        arguments += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.to}.{self.meth}({', '.join(arguments)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def registerwithscript(name: str) -> Callable[[Callable], Callable]:
    """Return a decorator that offers a manager's method to scripts under `name`."""

    def register(method: Callable) -> Callable:
        method._script_name = name  # type: ignore[attr-defined]  # noqa: SLF001
        return method

    return register


def crop_stack_to_rois(stack: np.ndarray, rois: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    """Cut the beads' regions out of a stack.

    Args:
        stack: `(width, height, n_images)`.
        rois: `(x0, x1, y0, y1)` of each region, all of one size w by w.

    Returns:
        `(w, w, n_images, n_rois)`, a copy.

    Raises:
        ValueError: The regions differ in size, or one lies outside the image.
    """
    if not len(rois):
        return np.empty((0, 0, stack.shape[2], 0), stack.dtype)
    width, height = stack.shape[:2]
    side_x, side_y = rois[0][1] - rois[0][0], rois[0][3] - rois[0][2]
    # Stored (roi, image, y, x): the order in which the camera's rows are read and tracked.
    crops = np.empty((len(rois), stack.shape[2], side_y, side_x), stack.dtype)
    images = stack.T
    for index, (x0, x1, y0, y1) in enumerate(rois):
        if (x1 - x0, y1 - y0) != (side_x, side_y):
            raise ValueError(
                f"ROI {index} is {x1 - x0} by {y1 - y0} px, the first {side_x} by {side_y}: "
                "all must be of one size"
            )
        if not (x0 >= 0 and x1 <= width and y0 >= 0 and y1 <= height):
            raise ValueError(
                f"ROI {index} = {(x0, x1, y0, y1)} reaches outside the image "
                f"of {width} by {height} px"
            )
        crops[index] = images[:, y0:y1, x0:x1]
    return crops.T


def rois_by_bead(
    rois: Mapping[int, Sequence[int]] | Sequence[Sequence[int]],
) -> dict[int, tuple[int, int, int, int]]:
    """Return ROIs as a dictionary by bead id, checked.

    Args:
        rois: A mapping from bead id to `(x0, x1, y0, y1)` in px, or a list of them, whose ids are
            their places.

    Raises:
        ValueError: One is not four whole numbers with x0 < x1 and y0 < y1, or their sizes differ.
    """
    items = rois.items() if isinstance(rois, Mapping) else enumerate(rois)
    checked = {}
    for bead, roi in items:
        try:
            x0, x1, y0, y1 = (int(edge) for edge in roi)
            is_whole = all(int(edge) == edge for edge in roi)
        except (OverflowError, TypeError, ValueError):
            is_whole = False
        if not is_whole or not (0 <= x0 < x1 and 0 <= y0 < y1):
            raise ValueError(
                f"ROI of bead {bead} = {roi!r}: expected (x0, x1, y0, y1) in px with "
                "0 <= x0 < x1 and 0 <= y0 < y1"
            )
        checked[int(bead)] = (x0, x1, y0, y1)
    sizes = {(x1 - x0, y1 - y0) for x0, x1, y0, y1 in checked.values()}
    if len(sizes) > 1:
        raise ValueError(f"ROIs of different sizes {sorted(sizes)} px: all must be of one size")
    return checked
