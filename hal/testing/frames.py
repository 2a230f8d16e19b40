"""Frames, fetched from a camera under test and looked at one by one."""

import numpy as np

from hal.camera import FrameInfo
from hal.testing.checks import expect
from hal.testing.stand import Stand

# Every byte of an array that must not be written to.
UNTOUCHED = 171


def empty_frame(stand: Stand) -> np.ndarray:
    """Return an array for a frame of the open camera."""
    form = stand.camera.frame_format
    return np.zeros(form.shape, form.dtype)


def next_frame(stand: Stand, out: np.ndarray) -> FrameInfo:
    """Wait for a frame."""
    info = stand.until(lambda: stand.camera.fetch_into(out), "a frame")
    assert info is not None
    well_formed(info)
    return info


def well_formed(info: FrameInfo) -> None:
    """Expect a `FrameInfo` of whole numbers."""
    expect(isinstance(info, FrameInfo), "fetch_into to return a FrameInfo or None", info)
    for name in ("frame_number", "timestamp_ns"):
        value = getattr(info, name)
        is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        expect(is_whole, f"{name} to be an int", value)


def in_order(before: FrameInfo, after: FrameInfo) -> None:
    """Expect that a frame is later than the one before it, by number and by time."""
    number = before.frame_number
    expect(after.frame_number > number, f"a frame_number above {number}", after.frame_number)
    stamp = before.timestamp_ns
    wanted = f"a timestamp after that of frame {number}, {stamp} ns"
    expect(after.timestamp_ns > stamp, wanted, f"{after.timestamp_ns} ns")


def frame_or_untouched(stand: Stand) -> FrameInfo | None:
    """Fetch once; expect that nothing was written if there was no frame."""
    out = empty_frame(stand)
    out.view(np.uint8)[:] = UNTOUCHED
    info = stand.camera.fetch_into(out)
    if info is None:
        kept = bool((out.view(np.uint8) == UNTOUCHED).all())
        expect(kept, "out untouched when fetch_into returns None", "it was written to")
    return info


def nothing_comes(stand: Stand, when: str) -> None:
    """Expect that there is no frame."""
    info = frame_or_untouched(stand)
    expect(info is None, f"no frame {when}", info)
