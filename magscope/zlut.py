"""The Z-LUT: the radial profile of a bead at known heights, by which later profiles get their z."""

import os
from pathlib import Path

import numpy as np

MIN_PLANES = 9


def build_zlut(z_nm: np.ndarray, profiles: np.ndarray) -> np.ndarray:
    """Average the profiles that were taken at each plane of a focus sweep.

    Args:
        z_nm: Height of each plane, `(n_planes,)` float64, in any order.
        profiles: `(n_planes, n_samples, n_bins)` float64; samples that are all NaN are left out.

    Returns:
        `(1 + n_bins, n_planes)` float64: row 0 is z in nm, rising; below it stand the profiles. A
        radius that had no pixel in any sample holds the value of the radius beside it.

    Raises:
        ValueError: The shapes do not fit, or a plane has no sample with a bead.
    """
    z_nm = np.asarray(z_nm, dtype=np.float64)
    profiles = np.asarray(profiles, dtype=np.float64)
    if profiles.ndim != 3 or z_nm.shape != profiles.shape[:1]:
        raise ValueError(
            f"z_nm {z_nm.shape} and profiles {profiles.shape} do not fit: "
            "expected (n_planes,) and (n_planes, n_samples, n_bins)"
        )
    order = np.argsort(z_nm, kind="stable")
    is_known = np.isfinite(profiles)
    counts = is_known.sum(axis=1)
    is_empty = ~is_known.any(axis=(1, 2))
    if is_empty.any():
        raise ValueError(
            f"no bead was tracked at z = {z_nm[is_empty][0]:g} nm: "
            "sweep a shorter range, or choose a bead that stays in view"
        )
    means = np.where(is_known, profiles, 0.0).sum(axis=1) / np.maximum(counts, 1)
    means = np.where(counts > 0, means, np.nan)
    for column in range(means.shape[1] - 2, -1, -1):
        missing = np.isnan(means[:, column])
        means[missing, column] = means[missing, column + 1]
    zlut = np.vstack([z_nm[order], means[order].T])
    check_zlut(zlut)
    return zlut


def check_zlut(zlut: np.ndarray, *, roi_px: int | None = None, source: str = "Z-LUT") -> None:
    """Refuse an array that is no Z-LUT, or one made for another ROI.

    Args:
        zlut: What should be `(1 + n_bins, n_planes)` float64.
        roi_px: Width of the ROI that it must fit, or None for any.
        source: What the message calls it.

    Raises:
        ValueError: With what is wrong, and what to do.
    """
    if zlut.ndim != 2 or zlut.shape[0] < 4 or zlut.shape[1] < MIN_PLANES:
        raise ValueError(
            f"{source} has the shape {zlut.shape}: expected (1 + n_bins, n_planes) with at least "
            f"3 bins and {MIN_PLANES} planes"
        )
    if not np.isfinite(zlut).all():
        row, column = np.argwhere(~np.isfinite(zlut))[0]
        raise ValueError(f"{source} holds {zlut[row, column]} in row {row}, column {column}")
    if not (np.diff(zlut[0]) > 0).all():
        column = int(np.argmax(np.diff(zlut[0]) <= 0)) + 1
        raise ValueError(
            f"{source}: z must rise from plane to plane, but plane {column} has "
            f"{zlut[0, column]:g} nm after {zlut[0, column - 1]:g} nm"
        )
    n_bins = zlut.shape[0] - 1
    if roi_px is not None and n_bins != roi_px // 2:
        raise ValueError(
            f"{source} has {n_bins} radii, made for a ROI of {2 * n_bins} px, but the ROI is "
            f"{roi_px} px: set the ROI to {2 * n_bins} px or measure a new Z-LUT"
        )


def save_zlut(path: Path | str, zlut: np.ndarray) -> None:
    """Write a Z-LUT as text that `numpy.loadtxt` reads; the file appears whole or not at all.

    Raises:
        ValueError: It is no Z-LUT.
        OSError: The file can not be written.
    """
    check_zlut(zlut)
    path = Path(path)
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8") as stream:
            np.savetxt(stream, zlut, fmt="%.17g", header="row 0: z in nm; below: radial profiles")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_zlut(path: Path | str, *, roi_px: int | None = None) -> np.ndarray:
    """Read a Z-LUT from text.

    Args:
        path: The file.
        roi_px: Width of the ROI that it must fit, or None for any.

    Returns:
        `(1 + n_bins, n_planes)` float64.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no Z-LUT, or one for another ROI.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no Z-LUT file {path}: correct `zlut` in the rig file, or measure one in mode zlut"
        )
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not any(line.partition("#")[0].strip() for line in lines):
        raise ValueError(f"Z-LUT file {path} is empty: measure a new one in mode zlut")
    try:
        zlut = np.loadtxt(lines, dtype=np.float64, ndmin=2)
    except ValueError as error:
        reason = str(error).partition(";")[0]
        raise ValueError(f"Z-LUT file {path} is not a table of numbers: {reason}") from None
    check_zlut(zlut, roi_px=roi_px, source=f"Z-LUT file {path}")
    return zlut
