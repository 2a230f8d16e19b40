"""Grey pixel formats, and how each lies in memory.

Source: the GenICam Pixel Format Naming Convention, and the GigE Vision standard for the two formats
whose names end in `Packed`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PixelFormat:
    """A grey pixel format.

    Attributes:
        name: What GenICam calls it.
        depth: Bits of a pixel that mean something.
        bits: Bits of a pixel in memory once it is unpacked: 8 or 16.
        group_bytes: In how many bytes a group of packed pixels lies; 0 where it is not packed.
        group_pixels: Of how many pixels such a group is.
        unpack: Turns the bytes of groups, `(n, group_bytes)` uint8, into their pixels,
            `(n, group_pixels)` uint16; None where it is not packed.
    """

    name: str
    depth: int
    bits: int
    group_bytes: int = 0
    group_pixels: int = 1
    unpack: Callable[[np.ndarray, np.ndarray], None] | None = None

    def row_bytes(self, width_px: int) -> int:
        """Return how many bytes a row fills; of a packed format, rounded up."""
        if self.unpack is None:
            return width_px * self.bits // 8
        return -(-width_px * self.group_bytes // self.group_pixels)

    def frame_bytes(self, width_px: int, height_px: int, padding: int = 0) -> int:
        """Return how many bytes a frame fills, with so many bytes of padding after each row."""
        if padding or self.unpack is None:
            return (self.row_bytes(width_px) + padding) * height_px
        return self.row_bytes(width_px * height_px)

    def copy(
        self, data: np.ndarray, out: np.ndarray, *, padding: int = 0, is_big_endian: bool = False
    ) -> None:
        """Copy a frame in place.

        Args:
            data: The bytes that the device sent, at least `frame_bytes`, uint8.
            out: `(height, width)` uint8 or uint16, as `bits` says, C-contiguous.
            padding: Bytes after each row.
            is_big_endian: Whether the high byte of 16 bits comes first.
        """
        height, width = out.shape
        data = data[: self.frame_bytes(width, height, padding)]
        if padding:
            rows = data.reshape(height, -1)[:, : self.row_bytes(width)]
        else:
            rows = data.reshape(1, -1)
        if self.unpack is not None:
            self._unpack(rows, out if padding else out.reshape(1, -1))
        elif self.bits == 8:
            np.copyto(out, rows.reshape(out.shape))
        elif padding:
            pixels = np.ascontiguousarray(rows).view(">u2" if is_big_endian else "<u2")
            np.copyto(out, pixels)
        else:
            np.copyto(out, rows.view(">u2" if is_big_endian else "<u2").reshape(out.shape))

    def _unpack(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Unpack rows of whole groups into the rows of `out`; a last group may be cut off."""
        assert self.unpack is not None
        for packed, pixels in zip(rows, out, strict=True):
            n_groups = pixels.size // self.group_pixels
            n_whole = n_groups * self.group_pixels
            groups = packed[: n_groups * self.group_bytes].reshape(n_groups, self.group_bytes)
            self.unpack(groups, pixels[:n_whole].reshape(n_groups, self.group_pixels))
            if n_whole < pixels.size:
                rest = np.zeros((1, self.group_bytes), np.uint8)
                end = packed[n_groups * self.group_bytes :]
                rest[0, : end.size] = end
                last = np.zeros((1, self.group_pixels), np.uint16)
                self.unpack(rest, last)
                pixels[n_whole:] = last[0, : pixels.size - n_whole]


def _lsb_first(depth: int) -> Callable[[np.ndarray, np.ndarray], None]:
    """Return what unpacks pixels that follow each other bit by bit, the lowest bit first."""

    def unpack(groups: np.ndarray, pixels: np.ndarray) -> None:
        for index in range(pixels.shape[1]):
            byte, shift = divmod(index * depth, 8)
            column = pixels[:, index]
            np.right_shift(groups[:, byte], shift, out=column, casting="unsafe")
            column |= groups[:, byte + 1].astype(np.uint16) << (8 - shift)
            column &= (1 << depth) - 1

    return unpack


def _high_bits_apart(depth: int) -> Callable[[np.ndarray, np.ndarray], None]:
    """Return what unpacks two pixels in three bytes, of which the middle one has both low ends."""
    n_low = depth - 8

    def unpack(groups: np.ndarray, pixels: np.ndarray) -> None:
        low = groups[:, 1]
        for index, (byte, shift) in enumerate(((0, 0), (2, 4))):
            column = pixels[:, index]
            np.copyto(column, groups[:, byte])
            column <<= n_low
            column |= (low >> shift) & ((1 << n_low) - 1)

    return unpack


FORMATS: dict[str, PixelFormat] = {
    form.name: form
    for form in (
        PixelFormat("Mono8", 8, 8),
        PixelFormat("Mono10", 10, 16),
        PixelFormat("Mono12", 12, 16),
        PixelFormat("Mono14", 14, 16),
        PixelFormat("Mono16", 16, 16),
        PixelFormat("Mono10p", 10, 16, 5, 4, _lsb_first(10)),
        PixelFormat("Mono12p", 12, 16, 3, 2, _lsb_first(12)),
        PixelFormat("Mono10Packed", 10, 16, 3, 2, _high_bits_apart(10)),
        PixelFormat("Mono12Packed", 12, 16, 3, 2, _high_bits_apart(12)),
    )
}
