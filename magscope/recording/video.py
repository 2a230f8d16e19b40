"""Video on disk: one stack of frames, whole or cropped, as an ImageJ hyperstack."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np

from magscope.recording.disk import check_directory, check_free_space, write_new
from magscope.recording.diskfile import DiskFile
from magscope.recording.names import date_timestamp_str

# ImageJ's kind of TIFF counts bytes in 32 bits.
_MAX_BYTES = (1 << 32) - (1 << 25)


def write_video(
    directory: Path | str,
    stack: np.ndarray,
    timestamps_s: Sequence[float] | np.ndarray,
    *,
    nm_per_px: float,
) -> Path:
    """Write one stack as `Video <timestamp>.tiff`; the file appears whole or not at all.

    Each frame's label is its timestamp in seconds, as many digits as it has. The resolution is in
    pixels per nm, the unit nm.

    Args:
        directory: Where the file goes; it must exist.
        stack: `(width, height, n_images)`, written with the axes TYX, or crops
            `(w, w, n_images, n_rois)`, written as TCYX with a channel for each ROI; uint8 or
            uint16.
        timestamps_s: Unix time of each frame in s, `(n_images,)`; the first names the file.
        nm_per_px: Size of a pixel at the sample.

    Returns:
        The file; its name is its own even where two stacks begin in the same millisecond.

    Raises:
        ValueError: The shapes do not fit, or the pixels are not uint8 or uint16.
        RecordingError: The directory is missing, not writable or full; no file is left.
    """
    directory = Path(directory)
    frames, axes = _frames(stack, len(timestamps_s))
    if not nm_per_px > 0:
        raise ValueError(f"nm_per_px = {nm_per_px}: expected more than 0")
    check_directory(directory)
    n_channels = frames.shape[1] if axes == "TCYX" else 1
    labels = [repr(float(t)) for t in timestamps_s for _ in range(n_channels)]
    per_nm = 1.0 / nm_per_px

    def write(file: DiskFile) -> None:
        import tifffile  # slow to load, and most workers never write video

        with file.one_write(frames.nbytes):
            tifffile.imwrite(
                cast("IO[bytes]", file),
                frames,
                imagej=True,
                resolution=(per_nm, per_nm),
                metadata={"axes": axes, "unit": "nm", "Labels": labels, "mode": "grayscale"},
            )

    path = directory / f"Video {date_timestamp_str(timestamps_s[0])}.tiff"
    check_free_space(path, frames.nbytes + 512 * frames.shape[0])
    return write_new(path, write)


def _frames(stack: np.ndarray, n_timestamps: int) -> tuple[np.ndarray, str]:
    """Return the stack with time first and rows of x, and its axes."""
    if stack.ndim not in (3, 4) or 0 in stack.shape:
        raise ValueError(
            f"stack has the shape {stack.shape}: expected (width, height, n_images) or "
            "(w, w, n_images, n_rois)"
        )
    if stack.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"stack is {stack.dtype}: expected uint8 or uint16")
    if stack.shape[2] != n_timestamps:
        raise ValueError(f"{stack.shape[2]} frames have {n_timestamps} timestamps")
    if stack.nbytes > _MAX_BYTES:
        raise ValueError(
            f"a stack of {stack.nbytes / 1e9:.1f} GB is too large for ImageJ's TIFF: lower "
            "`video buffer n images`"
        )
    if stack.ndim == 3:
        return np.ascontiguousarray(stack.transpose(2, 1, 0)), "TYX"
    return np.ascontiguousarray(stack.transpose(2, 3, 1, 0)), "TCYX"
