"""Trackers for frames of `sim.devices.truth`: they read the positions instead of finding them."""

import numpy as np

from magscope.runtime import current
from magscope.tracking import Tracked
from sim.truth import read_cells


def read_truth(crops: np.ndarray, zlut: np.ndarray | None = None) -> Tracked:  # noqa: ARG001
    """Return the true positions; there are no profiles.

    Args:
        crops: `(16, 16, n_images, n_rois)` uint8, each a whole cell.
        zlut: Not used: the heights are true ones.

    Raises:
        ValueError: The crops are no whole cells; or a frame is torn.
    """
    records = read_cells(crops)
    profiles = np.full((*records.shape[:2], crops.shape[0] // 2), np.nan)
    return Tracked(records[..., :2], records[..., 2], profiles)


def read_truth_slowly(crops: np.ndarray, zlut: np.ndarray | None = None) -> Tracked:
    """Return the true positions after a while, as a tracker that has to find them does.

    Each stack takes its own time, 0 to 0.14 s, that hangs on the number of its first frame alone.
    """
    tracked = read_truth(crops, zlut)
    number = int(read_cells(crops[..., :1, :1])[0, 0, 3])
    current().clock.sleep_s(number * 40_503 // 16 % 8 * 0.02)
    return tracked
