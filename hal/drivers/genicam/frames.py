"""Full buffers as frames: whole ones copied, all of them counted, placed in time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from genicam import gentl

from hal.camera import FrameInfo
from hal.clock import NS_PER_S
from hal.drivers.genicam.blocks import BlockCount
from hal.drivers.genicam.pixels import PixelFormat
from hal.drivers.timeline import Timeline
from hal.errors import ProtocolError, UnsupportedError

_IMAGES = (
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_IMAGE,
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_CHUNK_DATA,
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_UNKNOWN,
)
# What a producer raises when it does not know what it is asked for.
_NOT_TOLD = (
    gentl.NotAvailableException,
    gentl.NotImplementedException,
    gentl.InvalidParameterException,
    gentl.NoDataException,
)


class Frames:
    """Makes frames of the buffers of one run, from `start` to `stop`.

    Args:
        pixel_format: Of the frames.
        wraps_ids: Whether the device's block ids may have 16 bits.
        ticks_hz: Ticks a second of the device's clock, where the producer does not count in ns;
            0 if they are not known.

    Attributes:
        timeline: When they came.
        n_incomplete: How many buffers were not full, and so were lost.
    """

    def __init__(self, pixel_format: PixelFormat, *, wraps_ids: bool, ticks_hz: int) -> None:
        self._pixel_format = pixel_format
        self._blocks = BlockCount(may_wrap=wraps_ids)
        self._ticks_hz = ticks_hz
        self._last_number = -1
        self._tells_ns: bool | None = None
        self._first_ticks: int | None = None
        self.timeline = Timeline()
        self.n_incomplete = 0

    @property
    def oddity(self) -> str:
        """Why losses can not be seen in the block ids, or nothing."""
        return self._blocks.oddity

    def receive(
        self,
        buffer: Any,
        data: np.ndarray,
        out: np.ndarray,
        *,
        arrival_ns: int,
        not_before_ns: int,
        is_newest: bool,
    ) -> FrameInfo | None:
        """Copy a frame into `out`, or count it as lost if it is not whole.

        Args:
            buffer: What GenTL says of it.
            data: Its bytes.
            out: `(height, width)` as the frames were declared.
            arrival_ns: When it was taken, in Unix time.
            not_before_ns: When it was not there yet, likewise.
            is_newest: Whether no other full buffer waits behind it.

        Returns:
            What came with it, or None if it was not whole: `out` is then untouched.

        Raises:
            ProtocolError: It has not the shape that was declared.
            UnsupportedError: It is no image.
        """
        number = self._blocks.number(_told(lambda: int(buffer.frame_id)))
        padding = _told(lambda: int(buffer.padding_x)) or 0
        height, width = out.shape
        begin = _told(lambda: int(buffer.image_offset)) or 0
        end = begin + self._pixel_format.frame_bytes(width, height, padding)
        if not _is_whole(buffer, n_bytes=0):
            self.n_incomplete += 1
            return None
        self._check(buffer, out.shape)
        if not _is_whole(buffer, n_bytes=end):
            self.n_incomplete += 1
            return None
        endianness = _told(lambda: buffer.pixel_endianness)
        self._pixel_format.copy(
            data[begin:end],
            out,
            padding=padding,
            is_big_endian=endianness == gentl.PIXELENDIANNESS_IDS.PIXELENDIANNESS_BIG,
        )
        timestamp_ns = self.timeline.place(
            arrival_ns,
            self._elapsed_ms(buffer),
            number - self._last_number,
            not_before_ns=not_before_ns,
            is_newest=is_newest,
        )
        self._last_number = number
        return FrameInfo(number, timestamp_ns)

    def _check(self, buffer: Any, shape: tuple[int, ...]) -> None:
        kind = _told(lambda: buffer.payload_type)
        if kind is not None and kind not in _IMAGES:
            raise UnsupportedError(
                f"the device sends payloads of GenTL's type {int(kind)}, not images: let it send "
                "one component, without GenDC or multi-part payloads, in the option features"
            )
        sent = (_told(lambda: int(buffer.height)), _told(lambda: int(buffer.width)))
        if all(sent) and sent != shape:
            raise ProtocolError(
                f"the device sent a frame {sent}, not {shape} as it declared: stop the camera and "
                "reopen it"
            )

    def _elapsed_ms(self, buffer: Any) -> float | None:
        """Return the time since the first frame by the device's clock, if it has one."""
        ticks, ticks_hz = None, self._ticks_hz
        if self._tells_ns is not False:
            ticks, ticks_hz = _told(lambda: int(buffer.timestamp_ns)), NS_PER_S
            self._tells_ns = bool(ticks)
        if not ticks and self._ticks_hz:
            ticks, ticks_hz = _told(lambda: int(buffer.timestamp)), self._ticks_hz
        if not ticks:
            self._ticks_hz = 0  # not asked again
            return None
        if self._first_ticks is None:
            self._first_ticks = ticks
        return (ticks - self._first_ticks) * 1000 / ticks_hz


def _told(ask: Callable[[], Any]) -> Any | None:
    """Return what a producer tells, or None where it does not."""
    try:
        return ask()
    except _NOT_TOLD:
        return None


def _is_whole(buffer: Any, n_bytes: int) -> bool:
    """Return whether a buffer was filled, with so many bytes at least, as far as is told."""
    is_complete = _told(buffer.is_complete)
    filled = _told(lambda: int(buffer.size_filled))
    if is_complete is None:
        return filled is None or filled >= n_bytes
    return bool(is_complete) and (not filled or filled >= n_bytes)
