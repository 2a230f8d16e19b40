"""Which part of the sensor a camera of python-microscope gives, and which way round."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import microscope

from hal.camera import FrameFormat
from hal.drivers.microscope.errors import translated
from hal.errors import OptionError


@dataclass(frozen=True)
class Shape:
    """The options `roi`, `binning` and `transform`; None where the device is left as it is.

    The library turns a region of interest by 90 degrees when it is read and only half when it is
    written, so the region is written before the transform. Neither tells for sure of what shape
    frames are: whether a region counts binned pixels differs from device to device.

    Attributes:
        roi: The region of the sensor, in px.
        binning: Columns and rows that are added up.
        transform: Flip left and right, flip up and down, turn by 90 degrees.
    """

    roi: Any
    binning: Any
    transform: tuple[bool, bool, bool] | None

    @classmethod
    def parse(
        cls,
        roi: Sequence[int] | None,
        binning: Sequence[int] | None,
        transform: Sequence[bool] | None,
    ) -> Self:
        """Read the options.

        Raises:
            OptionError: One has not as many numbers as it should, or one that makes no sense.
        """
        turns = None
        if transform is not None:
            left_right, up_down, turned = _numbers("transform", transform, 3, 0)
            turns = (bool(left_right), bool(up_down), bool(turned))
        return cls(
            None if roi is None else microscope.ROI(*_numbers("roi", roi, 4, 0)),
            None if binning is None else microscope.Binning(*_numbers("binning", binning, 2, 1)),
            turns,
        )

    def put(self, device: Any) -> None:
        """Write the options to a camera that takes no frames, and read them back.

        Raises:
            OptionError: The camera refuses a value, or takes another one.
        """
        if self.binning is not None:
            self._write("binning", self.binning, device.set_binning, device.get_binning)
        if self.roi is not None:
            self._write("roi", self.roi, device.set_roi, device.get_roi)
        if self.transform is not None:
            self._write("transform", self.transform, device.set_transform, device.get_transform)

    @staticmethod
    def _write(name: str, asked: Any, write: Any, read: Any) -> None:
        with translated(f"{name} = {list(asked)}", OptionError):
            answer = write(asked)
            taken = read()
        # What a device answers is not agreed upon, but False is a refusal; some can not tell.
        if answer is False or (taken is not None and tuple(taken) != tuple(asked)):
            raise OptionError(f"{name} = {list(asked)}: the camera has {taken}")


def checked_frame(frame: Sequence[int] | None) -> FrameFormat | None:
    """Read the option `frame`.

    Raises:
        OptionError: It is no width, height and depth.
    """
    if frame is None:
        return None
    width, height, bits = _numbers("frame", frame, 3, 1)
    if bits not in (8, 16):
        raise OptionError(f"frame = {list(frame)}: {bits} bits; choose 8 or 16")
    return FrameFormat(width, height, bits)


def _numbers(name: str, given: Sequence[int], count: int, least: int) -> list[int]:
    is_list = isinstance(given, Sequence) and not isinstance(given, str)
    if not is_list or len(given) != count or any(not _is_whole(n) or n < least for n in given):
        raise OptionError(f"{name} = {given!r}: expected {count} whole numbers, {least} or more")
    return [int(number) for number in given]


def _is_whole(number: Any) -> bool:
    return isinstance(number, int)
