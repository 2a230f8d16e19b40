"""From cropped images to positions: x, y by auto-convolution, z by the radial profile.

The pipeline is that of `magtrack.stack_to_xyzp`, made of its public pieces: centre of mass, one
auto-convolution of the central row and column, five of bands of rows and columns, the radial
profile about the result, and the best correlated plane of the Z-LUT. Only the profile is computed
here: the values are the same, and it would take most of the time. The rest of this module keeps
crops that `magtrack` can not track from ending a batch, and its import from changing the process.
"""

import warnings
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np

from magscope.zlut import check_zlut

# Enough that the number of calls does not matter, few enough for the cache.
_CROPS_AT_A_TIME = 256
_PROFILES_AT_A_TIME = 16
_REFINEMENTS = 5
_BAND_RATIO = 0.1
_CENTRE_FIT_POINTS = 5
_Z_FIT_POINTS = 7
# A bead's profile correlates with its own plane at 0.97 and more; the best of 41 planes with an
# empty ROI's at 0.4, and in one of 2000 at 0.85.
_SMALLEST_CORRELATION = 0.87
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


@cache
def load_magtrack() -> ModuleType:
    """Import `magtrack`, which takes about a second the first time.

    The import warns where there is no GPU and switches off numpy's floating-point warnings for the
    whole process; neither gets out of here.
    """
    with warnings.catch_warnings(), np.errstate():
        warnings.simplefilter("ignore")
        import magtrack
    return magtrack


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
    z_nm = np.full(n_crops, np.nan)
    profiles = np.empty((n_crops, width // 2))
    for first in range(0, n_crops, _CROPS_AT_A_TIME):
        part = slice(first, first + _CROPS_AT_A_TIME)
        batch = np.ascontiguousarray(images[part])
        centres[part] = _centres_px(batch)
        profiles[part] = radial_profiles(batch, centres[part])
        if zlut is not None:
            z_nm[part] = _z_nm(profiles[part], zlut)
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
    """Return x and y of each image, `(n, 2)`; NaN where there is no bead to be found.

    `magtrack` takes lines about each centre, so none may leave the image; what is not to be tracked
    any more stands in the middle.
    """
    magtrack = load_magtrack()
    width = images.shape[1]
    middle = (width - 1) // 2
    half = int(width * _BAND_RATIO // 2)
    # Rows, columns, images; an image stays in one piece of memory, which is faster.
    stack = images.astype(np.float64).transpose(1, 2, 0)
    is_known = images.min(axis=(1, 2)) < images.max(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        centres = np.stack(magtrack.center_of_mass(stack))
        centres[:, ~is_known] = middle
        centres = np.stack(magtrack.auto_conv(stack, *centres))
        for _ in range(_REFINEMENTS):
            lines = np.rint(centres)
            is_known &= ((lines >= half) & (lines < width - half)).all(axis=0)
            centres[:, ~is_known] = middle
            centres = np.stack(
                magtrack.auto_conv_multiline_sub_pixel(
                    stack, *centres, line_ratio=_BAND_RATIO, n_local=_CENTRE_FIT_POINTS
                )
            )
    is_known &= ((centres >= 0) & (centres <= width - 1)).all(axis=0)
    centres[:, ~is_known] = np.nan
    return centres.T


def _z_nm(profiles: np.ndarray, zlut: np.ndarray) -> np.ndarray:
    """Return the z of each profile: that of the plane it correlates with best, refined.

    These are the steps of `magtrack.lookup_z`, which does not tell how good the correlation was.

    Args:
        profiles: `(n, n_bins)` float64; bin 0, which may have no pixel, is left out.
        zlut: `(1 + n_bins, n_planes)` float64, row 0 = z in nm.

    Returns:
        `(n,)` float64; NaN where the best plane is one of the four at either end (z may lie
        outside), or where no plane is like the profile.
    """
    magtrack = load_magtrack()
    is_known = np.isfinite(profiles[:, 1:]).all(axis=1)
    # None is left out: in a product of matrices, rounding may hang on the number of columns.
    filled = np.where(is_known[:, None], profiles[:, 1:], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlations = np.nan_to_num(magtrack.pearson(zlut[2:], filled.T))
        best = np.argmax(correlations, axis=1)
        plane = magtrack.parabolic_vertex(correlations, best, _Z_FIT_POINTS)
    is_like = correlations.max(axis=1) >= _SMALLEST_CORRELATION
    is_near = np.abs(plane - best) <= _Z_FIT_POINTS // 2
    plane[~(is_known & is_like & is_near)] = np.nan
    z_nm: np.ndarray = np.interp(plane, np.arange(zlut.shape[1]), zlut[0])
    return z_nm
