"""The truth of a frame written into its pixels, for cameras that draw nothing.

A bead's cell is 16 x 16 pixels of 8 bits. It holds one record eight times over, so that a cell of
which a part was overwritten while it was read gives itself away.
"""

import numpy as np

CELL_PX = 16
RECORD = ("x_px", "y_px", "z_nm", "frame_number")
_REPEATS = CELL_PX * CELL_PX // (8 * len(RECORD))


def write_cells(records: np.ndarray, out: np.ndarray) -> None:
    """Fill a frame whose cells lie side by side.

    Args:
        records: `(n, 4)` float64, the columns of `RECORD`; x and y within the cell.
        out: `(16, 16 n)` uint8.
    """
    cells = np.empty((len(records), _REPEATS, len(RECORD)), "<f8")
    cells[...] = records[:, None]
    pixels = cells.view(np.uint8).reshape(-1, CELL_PX, CELL_PX)
    out.reshape(CELL_PX, -1, CELL_PX)[...] = pixels.swapaxes(0, 1)


def read_cells(crops: np.ndarray) -> np.ndarray:
    """Return the records of crops `(16, 16, n_images, n_rois)` uint8: `(n_images, n_rois, 4)`.

    Raises:
        ValueError: The crops are no whole cells; or parts of one frame are of another.
    """
    if crops.shape[:2] != (CELL_PX, CELL_PX) or crops.dtype != np.uint8:
        raise ValueError(
            f"crops are {crops.shape} {crops.dtype}: expected cells of {CELL_PX} x {CELL_PX} px, "
            "uint8"
        )
    n_images, n_rois = crops.shape[2:]
    cells = np.ascontiguousarray(crops.T).reshape(n_rois, n_images, _REPEATS, -1)
    records = cells[:, :, 0].view("<f8").swapaxes(0, 1)
    is_torn = (cells != cells[:, :, :1]).any(axis=(0, 2, 3))
    is_torn |= (records[..., 3] != records[:, :1, 3]).any(axis=1)
    if is_torn.any():
        raise ValueError(f"frames {np.flatnonzero(is_torn).tolist()} of the stack are torn")
    return records
