"""Find the beads in a frame: where something stands out that is alike all round."""

import numpy as np
from scipy import ndimage

from magscope.tracking import radial_profiles, track_crops

Roi = tuple[int, int, int, int]

_BIN_PX = 4
# A patch stands out when its energy is this many spreads of the field's own above its median.
_SPREADS = 12.0
# Part of the variance that the radial profile explains in each quarter of a crop: 0 in noise, 0.3
# and more for a faint bead, 0.9 for a clear one.
_SMALLEST_SYMMETRY = 0.15
_CENTRINGS = 2
_CANDIDATES_PER_BEAD = 4


def find_rois(image: np.ndarray, roi_px: int, max_beads: int) -> list[Roi]:
    """Find the beads in a frame and lay a ROI about each.

    Args:
        image: `(width, height)` of any real type, one frame or the mean of several.
        roi_px: Width of a ROI, even.
        max_beads: Most beads to return; where there are more, the clearest are chosen.

    Returns:
        `(x0, x1, y0, y1)` of each, from left to right; all inside the frame, none overlapping.

    Raises:
        ValueError: The image is not two-dimensional, or the ROI does not fit into it.
    """
    _check(image, roi_px)
    pixels = np.ascontiguousarray(image.T, dtype=np.float32)  # rows of x
    candidates = _candidates(pixels, roi_px, _CANDIDATES_PER_BEAD * max_beads)
    centres = _centred(pixels, candidates, roi_px)
    corners = np.rint(centres).astype(int) - roi_px // 2
    limits = np.array([pixels.shape[1], pixels.shape[0]]) - roi_px
    inside = ((corners >= 0) & (corners <= limits)).all(axis=1)
    corners, centres = corners[inside], centres[inside]
    symmetry = _symmetry(pixels, corners, centres, roi_px)
    chosen: list[np.ndarray] = []
    for i in np.argsort(-symmetry, kind="stable"):
        if len(chosen) == max_beads or not symmetry[i] >= _SMALLEST_SYMMETRY:
            break
        if all(np.abs(corners[i] - other).max() >= roi_px for other in chosen):
            chosen.append(corners[i])
    chosen.sort(key=lambda corner: (corner[0], corner[1]))
    return [(int(x), int(x) + roi_px, int(y), int(y) + roi_px) for x, y in chosen]


def _check(image: np.ndarray, roi_px: int) -> None:
    if image.ndim != 2:
        raise ValueError(f"image has the shape {image.shape}: expected (width, height)")
    if roi_px < 16 or roi_px % 2 or roi_px > min(image.shape):
        raise ValueError(
            f"roi_px = {roi_px}: expected an even number from 16 to {min(image.shape)}, the "
            "shorter side of the frame"
        )


def _candidates(pixels: np.ndarray, roi_px: int, n: int) -> np.ndarray:
    """Return x and y of the places with the most local contrast, `(n, 2)`, the clearest first."""
    height, width = (side // _BIN_PX * _BIN_PX for side in pixels.shape)
    blocks = pixels[:height, :width].reshape(height // _BIN_PX, _BIN_PX, -1, _BIN_PX)
    mean = blocks.mean(axis=(1, 3))
    background = ndimage.uniform_filter(mean, 2 * roi_px // _BIN_PX + 1)
    energy = (blocks * blocks).mean(axis=(1, 3)) - mean * mean + (mean - background) ** 2
    smooth = ndimage.gaussian_filter(energy, roi_px / (6 * _BIN_PX))
    median = np.median(smooth)
    # The lower half of the field holds no beads: its spread is that of the noise.
    spread = (median - np.percentile(smooth, 16)) + 1e-6 * (1.0 + median)
    peaks = ndimage.maximum_filter(smooth, roi_px // (2 * _BIN_PX) + 1) == smooth
    rows, columns = np.nonzero(peaks & (smooth > median + _SPREADS * spread))
    order = np.argsort(-smooth[rows, columns], kind="stable")[:n]
    return (np.stack([columns, rows], axis=1)[order] + 0.5) * _BIN_PX - 0.5


def _centred(pixels: np.ndarray, centres: np.ndarray, roi_px: int) -> np.ndarray:
    """Track the bead in a ROI about each place and move there; a place without one is dropped."""
    limits = np.array([pixels.shape[1], pixels.shape[0]]) - roi_px
    for _ in range(_CENTRINGS):
        if not len(centres):
            break
        corners = np.clip(np.rint(centres).astype(int) - roi_px // 2, 0, limits)
        crops = _crops(pixels, corners, roi_px).transpose(2, 1, 0)[:, :, None, :]
        centres = corners + track_crops(crops).positions_px[0]
        centres = centres[np.isfinite(centres).all(axis=1)]
    return centres


def _symmetry(
    pixels: np.ndarray, corners: np.ndarray, centres: np.ndarray, roi_px: int
) -> np.ndarray:
    """Return the part of each crop's variance that its radial profile explains, at most 1.

    It is taken in the quarter where it explains least, so that a scratch, an edge or a neighbour
    does not pass for a bead.
    """
    n = len(corners)
    if not n:
        return np.zeros(0)
    crops = _crops(pixels, corners, roi_px).astype(np.float64)
    profiles = np.nan_to_num(radial_profiles(crops.astype(np.uint16), centres - corners))
    offsets = np.arange(roi_px) - (centres - corners)[:, :, None]
    x, y = offsets[:, 0, None, :], offsets[:, 1, :, None]
    radii = np.rint(np.hypot(x, y)).astype(int)
    is_inside = radii < roi_px // 2
    bins = np.minimum(radii, roi_px // 2 - 1).reshape(n, -1)
    expected = np.take_along_axis(profiles, bins, axis=1).reshape(crops.shape)
    mean = (crops * is_inside).sum(axis=(1, 2)) / is_inside.sum(axis=(1, 2))
    octants = (np.floor(np.arctan2(y, x) / (np.pi / 4)).astype(int) % 8) + 8 * np.arange(n)[
        :, None, None
    ]

    def by_quarter(squares: np.ndarray) -> np.ndarray:
        sums = np.bincount(octants[is_inside], squares[is_inside], 8 * n).reshape(n, 8)
        return sums + np.roll(sums, 1, axis=1)

    left = by_quarter((crops - expected) ** 2)
    total = by_quarter((crops - mean[:, None, None]) ** 2)
    return (1.0 - left / np.maximum(total, 1e-9)).min(axis=1)


def _crops(pixels: np.ndarray, corners: np.ndarray, roi_px: int) -> np.ndarray:
    """Return the ROIs, `(n, roi_px, roi_px)` uint16, the field's range stretched over 16 bits."""
    low = float(pixels.min())
    scale = 65_535.0 / max(float(pixels.max()) - low, 1e-9)
    crops = np.stack([pixels[y : y + roi_px, x : x + roi_px] for x, y in corners])
    return np.rint((crops - low) * scale).astype(np.uint16)
