"""Make `zlut_64px_100nm.txt`, the lookup table of heights for ROIs of 64 px at 100 nm/px.

    python -m sim.data.make_zlut [FILE]

Beads are painted at every height at places spread over a pixel, and magtrack's radial profiles of
them averaged: one place alone would bias the heights of beads at all others. The file is read by
`numpy.loadtxt`: row 0 is z in nm, above the zero of the focus; below it stand the 32 bins of the
radial profile; one column a height.
"""

import sys
from pathlib import Path

import numpy as np

from sim.optics import BeadPainter, load_profile_table

ROI_PX, NM_PER_PX, BACKGROUND_DN = 64, 100.0, 72
Z_FIRST_NM, Z_LAST_NM, Z_STEP_NM = -3000.0, 8000.0, 25.0
N_OFFSETS = 12


def main(path: Path) -> None:
    """Write the table to `path`."""
    heights_nm = np.arange(Z_FIRST_NM, Z_LAST_NM + Z_STEP_NM / 2.0, Z_STEP_NM)
    np.savetxt(path, np.vstack([heights_nm, profiles(heights_nm)]), fmt="%.3f")


def profiles(heights_nm: np.ndarray) -> np.ndarray:
    """Return the mean radial profiles of beads at these heights, `(32, n)`."""
    import magtrack

    painter = BeadPainter(load_profile_table(), NM_PER_PX, BACKGROUND_DN)
    places_px, weights = _places()
    columns = []
    for z_nm in heights_nm:
        stack = np.full((len(places_px), ROI_PX, ROI_PX), BACKGROUND_DN, np.uint8)
        for frame, place_px in zip(stack, places_px, strict=True):
            painter.paint(frame, np.array([[*(place_px * NM_PER_PX), z_nm]]))
        seen = np.moveaxis(stack, 0, 2).astype(np.float64)
        binned = magtrack.radial_profile(seen, *places_px.T)
        filled = ~np.isnan(binned)  # of a bead between pixels, the innermost bin is empty
        columns.append(np.nan_to_num(binned) @ weights / (filled @ weights))
    return np.array(columns).T


def _places() -> tuple[np.ndarray, np.ndarray]:
    """Return places, `(n, 2)` px, that stand for a fine grid over one pixel, and their weights.

    A pixel grid looks the same from left, right, above, below and transposed, so an eighth of the
    places is enough.
    """
    offsets = (np.arange(N_OFFSETS) + 0.5) / (2 * N_OFFSETS) + (ROI_PX - 1) / 2.0
    pairs = [(i, j) for i in range(N_OFFSETS) for j in range(i + 1)]
    weights = np.array([1.0 if i == j else 2.0 for i, j in pairs])
    return offsets[np.array(pairs)], weights


if __name__ == "__main__":
    beside = Path(__file__).with_name("zlut_64px_100nm.txt")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else beside)
