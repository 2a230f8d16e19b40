"""The image of a bead: a shipped table of radial profiles, and how it is drawn into a frame.

The table (`sim/data/bead_profiles.npz`, made by `sim/data/make_profile_table.py`, which tells the
physics) holds the contrast of a bead, `intensity / background - 1`, by height and radius. Drawing
takes integers, `+ * sqrt` only, so a frame is the same bytes on every processor.

The height that is looked up is the true one: the mismatch of refractive indices that makes an oil
objective see 0.878 of it is taken as 1.0.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from math import floor

import numpy as np

NOISE_MEAN_DN = 4
"""Mean of the noise that `fill_with_noise` puts under the beads, in grey levels (DN)."""
_NOISE_MAX_DN = 8
_FULL_SCALE_DN = 255
_BLEND_BITS = 8


@dataclass(frozen=True)
class ProfileTable:
    """Radial profiles of a bead by height.

    Attributes:
        contrast: `(n_planes, n_radii)` int16; plane i is at `z_first_nm + i z_step_nm`, column j at
            radius `(j + 1/2) r_step_nm`; the last column is 0.
        z_first_nm: Height of the first plane above the zero of the focus.
        z_step_nm: Between planes.
        r_step_nm: Between columns.
        units_per_background: What a contrast of 1 is in the table, a power of 2.
    """

    contrast: np.ndarray
    z_first_nm: float
    z_step_nm: float
    r_step_nm: float
    units_per_background: int

    @property
    def radius_nm(self) -> float:
        """Where a bead's image ends."""
        return self.contrast.shape[1] * self.r_step_nm

    @property
    def z_last_nm(self) -> float:
        """Height of the last plane; beyond it a bead looks as it does there."""
        return self.z_first_nm + (self.contrast.shape[0] - 1) * self.z_step_nm


@cache
def load_profile_table() -> ProfileTable:
    """Return the table that is shipped, which nobody can change."""
    with as_file(files("sim.data") / "bead_profiles.npz") as path, np.load(path) as data:
        contrast = data["contrast"].astype(np.int16)
        contrast.flags.writeable = False
        return ProfileTable(
            contrast=contrast,
            z_first_nm=float(data["z_first_nm"]),
            z_step_nm=float(data["z_step_nm"]),
            r_step_nm=float(data["r_step_nm"]),
            units_per_background=int(data["units_per_background"]),
        )


class BeadPainter:
    """Adds the images of beads to a frame.

    Args:
        table: The profiles.
        nm_per_px: Size of a pixel at the sample.
        background_dn: Grey level of the background, noise included.
    """

    def __init__(self, table: ProfileTable, nm_per_px: float, background_dn: int) -> None:
        self._table = table
        self._nm_per_px = nm_per_px
        self._background_dn = background_dn
        self._columns_per_px = np.float32(nm_per_px / table.r_step_nm)
        self._half = floor(table.radius_nm / nm_per_px) + 1
        size = 2 * self._half
        self._offsets_px = np.arange(size) - (self._half - 1)
        self._radius = np.empty((size, size), np.float32)
        self._index = np.empty((size, size), np.intp)
        self._light = np.empty((size, size), np.uint8)

    @property
    def base_dn(self) -> int:
        """What is to be added to the noise before beads are painted."""
        return self._background_dn - NOISE_MEAN_DN

    def paint(self, frame: np.ndarray, beads: np.ndarray) -> None:
        """Add beads to a frame of background and noise.

        The images of two beads must not touch: sums are not checked for overflow.

        Args:
            frame: `(height, width)` uint8, changed in place.
            beads: `(n, 3)`, x, y and z in nm. x and y are from the centre of pixel (0, 0) along
                the columns and rows; z is above the zero of the focus.
        """
        if len(beads) == 0:
            return
        profiles = self._profiles_dn(beads[:, 2])
        centres = beads[:, :2] / self._nm_per_px
        corners = np.floor(centres).astype(np.int64)
        away = (self._offsets_px - (centres - corners)[:, :, None]).astype(np.float32)
        away *= self._columns_per_px
        away *= away
        for profile, corner, squares in zip(profiles, corners.tolist(), away, strict=True):
            self._paint_one(frame, profile, corner, squares)

    def _paint_one(
        self, frame: np.ndarray, profile: np.ndarray, corner: list[int], squares: np.ndarray
    ) -> None:
        size = 2 * self._half
        left, top = corner[0] - self._half + 1, corner[1] - self._half + 1
        x0, x1 = max(left, 0), min(left + size, frame.shape[1])
        y0, y1 = max(top, 0), min(top + size, frame.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        inside = (slice(0, y1 - y0), slice(0, x1 - x0))
        radius, index, light = self._radius[inside], self._index[inside], self._light[inside]
        np.add.outer(squares[1, y0 - top : y1 - top], squares[0, x0 - left : x1 - left], out=radius)
        np.sqrt(radius, out=radius)
        np.copyto(index, radius, casting="unsafe")
        profile.take(index, out=light, mode="clip")
        patch = frame[y0:y1, x0:x1]
        np.add(patch, light, out=patch)

    def _profiles_dn(self, z_nm: np.ndarray) -> np.ndarray:
        """Return each bead's profile in DN, `(n, n_radii)` uint8 that wraps below zero.

        Clipped so that with the background and any noise a pixel stays within 0 to 255.
        """
        table = self._table
        steps = np.floor(
            (z_nm - table.z_first_nm) / table.z_step_nm * (1 << _BLEND_BITS) + 0.5
        ).astype(np.int64)
        last = (table.contrast.shape[0] - 1) << _BLEND_BITS
        steps = np.minimum(np.maximum(steps, 0), last - 1)
        plane, weight = steps >> _BLEND_BITS, (steps & ((1 << _BLEND_BITS) - 1)).astype(np.int32)
        lower = table.contrast[plane].astype(np.int32)
        upper = table.contrast[plane + 1]
        blended = (lower << _BLEND_BITS) + (upper - lower) * weight[:, None]
        unit = table.units_per_background << (_BLEND_BITS - 4)
        light = ((blended >> 4) * self._background_dn + unit // 2) // unit
        room = _FULL_SCALE_DN - _NOISE_MAX_DN - self.base_dn
        return np.minimum(np.maximum(light, -self.base_dn), room).astype(np.uint8)
