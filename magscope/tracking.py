"""From cropped images to positions: x, y by auto-convolution, z by the radial profile.

The estimates are those of `magtrack` 1.0 (`stack_to_xyzp`): centre of mass, one auto-convolution of
the central row and column, five of bands of rows and columns, the radial profile about the result,
and the best correlated plane of the Z-LUT. They agree to 1e-6 px, which is tested; they are
computed here so that sums of whole numbers are exact and one bad crop does not end a batch.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from magscope.zlut import check_zlut, lookup_z_nm, parabola_vertices

# Crops tracked at a time: what one step of the radial profile touches then fits the cache.
_CROPS_AT_A_TIME = 256
_PROFILES_AT_A_TIME = 16
_REFINEMENTS = 5
_BAND_RATIO = 0.1
_CENTRE_FIT_POINTS = 5
# Added to each pixel, so that one sum of a bin holds the number of its pixels as well.
_PIXEL_TALLY = float(1 << 30)


@dataclass(frozen=True)
class Tracked:
    """The beads of a stack of crops; what could not be found is NaN.

    Attributes:
        positions_px: x and y within the ROI, `(n_images, n_rois, 2)` float64; the centre of the
            first pixel is (0, 0).
        z_nm: z in the Z-LUT's scale, `(n_images, n_rois)` float64.
        profiles: Mean intensity at radius 0, 1, 2, … px, `(n_images, n_rois, w // 2)` float64; a
            radius at which there is no pixel is NaN.
    """

    positions_px: np.ndarray
    z_nm: np.ndarray
    profiles: np.ndarray


def track_crops(crops: np.ndarray, zlut: np.ndarray | None = None) -> Tracked:
    """Find the bead in each crop.

    A crop without contrast, or whose bead lies too near its edge, gives NaN for x, y, z and its
    profile. A z outside the Z-LUT, or a profile unlike all of its planes, gives NaN for z.

    Args:
        crops: `(w, w, n_images, n_rois)` uint8 or uint16, the first axis x and the second y.
        zlut: `(1 + w // 2, n_planes)` float64 as `magscope.zlut` makes it, or None for no z.

    Raises:
        TypeError: The pixels are not uint8 or uint16.
        ValueError: The crops are not square, or the Z-LUT was made for another ROI.
    """
    _check(crops)
    if zlut is not None:
        check_zlut(zlut, roi_px=crops.shape[0])
    width, _, n_images, n_rois = crops.shape
    n_crops = n_images * n_rois
    # Rows of x, and each crop in one piece of memory.
    images = crops.transpose(2, 3, 1, 0).reshape(n_crops, width, width)
    centres = np.empty((n_crops, 2))
    profiles = np.empty((n_crops, width // 2))
    for first in range(0, n_crops, _CROPS_AT_A_TIME):
        part = slice(first, first + _CROPS_AT_A_TIME)
        batch = np.ascontiguousarray(images[part])
        centres[part] = _centres_px(batch)
        profiles[part] = radial_profiles(batch, centres[part])
    z_nm = np.full(n_crops, np.nan) if zlut is None else lookup_z_nm(profiles, zlut)
    return Tracked(
        centres.reshape(n_images, n_rois, 2),
        z_nm.reshape(n_images, n_rois),
        profiles.reshape(n_images, n_rois, width // 2),
    )


def radial_profiles(images: np.ndarray, centres_px: np.ndarray) -> np.ndarray:
    """Average each image over circles of radius 0, 1, 2, … px about its centre.

    Args:
        images: `(n, height, width)` uint8 or uint16, C-contiguous, square.
        centres_px: x and y, `(n, 2)` float64; NaN gives a profile of NaN.

    Returns:
        `(n, width // 2)` float64; NaN at a radius without a pixel.
    """
    n, width = images.shape[:2]
    n_bins = width // 2
    grid = np.arange(width, dtype=np.float64)
    is_known = np.isfinite(centres_px).all(axis=1)
    offsets = grid - np.where(is_known[:, None], centres_px, 0.0)[:, :, None]
    squares = offsets * offsets
    profiles = np.empty((n, n_bins))
    for first in range(0, n, _PROFILES_AT_A_TIME):
        part = slice(first, first + _PROFILES_AT_A_TIME)
        radii = squares[part, 0, None, :] + squares[part, 1, :, None]
        np.sqrt(radii, out=radii)
        np.rint(radii, out=radii)
        np.minimum(radii, n_bins, out=radii)  # one more bin for what lies farther out
        m = len(radii)
        radii += (np.arange(m) * (n_bins + 1.0))[:, None, None]
        weights = np.add(images[part], _PIXEL_TALLY, dtype=np.float64)
        tallies = np.bincount(
            radii.astype(np.intp).ravel(), weights.ravel(), minlength=m * (n_bins + 1)
        ).reshape(m, n_bins + 1)[:, :n_bins]
        counts = np.floor(tallies / _PIXEL_TALLY)
        with np.errstate(invalid="ignore"):
            profiles[part] = (tallies - counts * _PIXEL_TALLY) / counts
    profiles[~is_known] = np.nan
    return profiles


def _check(crops: np.ndarray) -> None:
    if crops.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"crops are {crops.dtype}: expected uint8 or uint16")
    if crops.ndim != 4 or crops.shape[0] != crops.shape[1]:
        raise ValueError(f"crops have the shape {crops.shape}: expected (w, w, n_images, n_rois)")
    if crops.shape[0] < 2 * _CENTRE_FIT_POINTS:
        raise ValueError(
            f"crops are {crops.shape[0]} px wide: expected {2 * _CENTRE_FIT_POINTS} or more"
        )


def _centres_px(images: np.ndarray) -> np.ndarray:
    """Return x and y of each image, `(n, 2)`; NaN where there is no bead to be found."""
    n, width = images.shape[:2]
    middle = (width - 1) // 2
    centres, has_contrast = _centres_of_mass(images)
    centres[~has_contrast] = middle

    lines = np.rint(centres).astype(np.intp)
    convolved = _auto_convolved(_bands(images, lines, 0), centres)
    centres = middle - (middle - np.argmax(convolved, axis=2)) / 2

    half = int(width * _BAND_RATIO // 2)
    is_known = has_contrast
    bands = np.empty((n, 2, width))
    lines_before = np.full((n, 2), -1)
    for _ in range(_REFINEMENTS):
        lines = np.rint(centres).astype(np.intp)
        is_known &= ((lines >= half) & (lines < width - half)).all(axis=1)
        centres[~is_known] = lines[~is_known] = middle
        moved = (lines != lines_before).any(axis=1)  # few do, after the first round
        bands[moved] = _bands(images[moved], lines[moved], half)
        lines_before = lines
        centres = middle - (middle - _peaks(_auto_convolved(bands, centres))) / 2
        is_known &= np.isfinite(centres).all(axis=1)
        centres[~is_known] = middle
    is_known &= ((centres >= 0) & (centres <= width - 1)).all(axis=1)
    centres[~is_known] = np.nan
    return centres


def _centres_of_mass(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre of |intensity - median| of each image, and whether it has any contrast."""
    width = images.shape[1]
    # Half-integers below 2^24 are exact in float32 for 8 bits, not for 16.
    real = np.float32 if images.dtype == np.uint8 else np.float64
    deviation: np.ndarray = images.astype(real)
    deviation -= _medians(images).astype(real)[:, None, None]
    np.abs(deviation, out=deviation)
    grid = np.arange(width, dtype=real)
    moments = (deviation @ np.stack([np.ones_like(grid), grid], axis=1)).astype(np.float64)
    mass = moments[:, :, 0].sum(axis=1)
    has_contrast = mass > 0
    total = np.where(has_contrast, mass, 1.0)
    x = moments[:, :, 1].sum(axis=1) / total
    y = moments[:, :, 0] @ np.arange(width, dtype=np.float64) / total
    return np.stack([x, y], axis=1), has_contrast


def _medians(images: np.ndarray) -> np.ndarray:
    n = len(images)
    pixels = images.reshape(n, -1)
    n_pixels = pixels.shape[1]
    ranks = [(n_pixels - 1) // 2, n_pixels // 2]
    if images.dtype == np.uint16:
        return np.partition(pixels, ranks, axis=1)[:, ranks].mean(axis=1)
    # With 256 values to choose from, counting is four times as fast as partitioning.
    slots = pixels + (np.arange(n) * 256)[:, None]
    counts = np.bincount(slots.ravel(), minlength=n * 256).reshape(n, 256)
    up_to = counts.cumsum(axis=1)
    lower, upper = ((up_to <= rank).sum(axis=1) for rank in ranks)
    return (lower + upper) / 2


def _bands(images: np.ndarray, lines: np.ndarray, half: int) -> np.ndarray:
    """Return the mean of the rows and of the columns about each centre, less their own mean.

    Args:
        images: `(n, height, width)`.
        lines: Column and row of each centre, `(n, 2)` int.
        half: Lines to take on either side.

    Returns:
        `(n, 2, width)` float64: along x, and along y.
    """
    n, width = images.shape[:2]
    around = np.arange(-half, half + 1)
    image = np.arange(n)[:, None]
    along_x = images[image, lines[:, 1, None] + around]
    columns = lines[:, 0, None, None] + around
    along_y = images[image[:, :, None], np.arange(width)[:, None], columns]
    bands = np.empty((n, 2, width))
    bands[:, 0] = along_x.sum(axis=1, dtype=np.float64)
    bands[:, 1] = along_y.sum(axis=2, dtype=np.float64)
    bands /= len(around)
    bands -= bands.mean(axis=2, keepdims=True)
    return bands


def _auto_convolved(bands: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Weight each band with a Gaussian about its centre and convolve it with itself."""
    width = bands.shape[2]
    distance = np.arange(width) - centres[:, :, None]
    sigma = width / 6.0
    weighted = bands * np.exp(-(distance**2) / (2 * sigma**2))
    n_full = 2 * width - 1
    n_fft = fft.next_fast_len(n_full, real=True)
    spectrum = fft.rfft(weighted, n_fft, axis=2)
    spectrum *= spectrum
    first = (n_full - width) // 2
    return fft.irfft(spectrum, n_fft, axis=2)[:, :, first : first + width]


def _peaks(curves: np.ndarray) -> np.ndarray:
    """Return where each curve of `(n, 2, width)` peaks, by a parabola; NaN at its ends."""
    n, _, width = curves.shape
    flat = curves.reshape(2 * n, width)
    return parabola_vertices(flat, np.argmax(flat, axis=1), _CENTRE_FIT_POINTS).reshape(n, 2)
