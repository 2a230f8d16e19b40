"""The physics of one bead: force, tether, stiffness, drag, in pN, nm and s.

Everything here is made of `+ - * /` and `sqrt`, on floats or arrays alike, so that a number is the
same bits on every processor, Python and numpy: `exp` of a C library is not, and is made here.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Number = TypeVar("Number", float, np.ndarray)

THERMAL_ENERGY_PN_NM = 4.114
"""k_B T at 298 K."""
VISCOSITY_PN_S_PER_NM2 = 0.89e-9
"""Water at 298 K, 0.89 mPa s."""
PERSISTENCE_LENGTH_NM = 48.0
STRETCH_MODULUS_PN = 1000.0
RISE_NM_PER_BP = 0.34
SMALLEST_GAP_NM = 20.0
"""Drag and stiffness are evaluated no closer to the surface than this, where they diverge."""

_BOUCHIAT = (-14.17718, 39.49944, -38.87607, 16.07497, -2.737418, -0.5164228)
_HALVINGS = 10
_NEWTON_STEPS = 12


@dataclass(frozen=True)
class BeadKind:
    """A kind of superparamagnetic bead.

    Attributes:
        name: The maker's name.
        radius_nm: Radius.
        force_factor: Force relative to that on an M270 in the same field.
    """

    name: str
    radius_nm: float
    force_factor: float


M270 = BeadKind("M270", radius_nm=1400.0, force_factor=1.0)
MYONE = BeadKind("MyOne", radius_nm=525.0, force_factor=0.1)


def exp_negative(x: Number) -> Number:
    """Return e to the power -x for x >= 0; to 12 digits, and constant beyond x = 50.

    A polynomial of x / 1024, squared ten times: the same bits wherever floats are IEEE 754.
    """
    y = -np.minimum(x, 50.0) / (1 << _HALVINGS)
    result = 1.0 + y / 8.0
    for divisor in (7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0):
        result = 1.0 + y / divisor * result
    for _ in range(_HALVINGS):
        result = result * result
    return result


def magnetic_force_pn(distance_nm: Number, kind: BeadKind = MYONE) -> Number:
    """Return the mean force on a bead whose magnets are so far above the sample.

    A fit to measured forces on M270 beads under a pair of permanent magnets:
    `0.0576 + 91.75 exp(-d / 0.916 mm) + 53.88 exp(-d / 2.647 mm)` pN.
    """
    near = exp_negative(distance_nm / 0.916e6)
    far = exp_negative(distance_nm / 2.647e6)
    return (0.0576 + 91.75 * near + 53.88 * far) * kind.force_factor


def wlc_force_pn(relative_extension: Number) -> Number:
    """Return the force of an inextensible worm-like chain at `extension / contour length` < 1.

    Bouchiat et al., Biophys. J. 76, 409 (1999).
    """
    return _reduced_force(relative_extension) * (THERMAL_ENERGY_PN_NM / PERSISTENCE_LENGTH_NM)


def wlc_relative_extension(force_pn: Number) -> Number:
    """Return the `extension / contour length` at which `wlc_force_pn` is this force.

    Newton's method from above, a fixed number of steps.
    """
    reduced = force_pn * (PERSISTENCE_LENGTH_NM / THERMAL_ENERGY_PN_NM)
    x = 1.0 - 0.5 / np.sqrt(reduced + 0.25)
    for _ in range(_NEWTON_STEPS):
        x = x - (_reduced_force(x) - reduced) / _reduced_slope(x)
    return x


def tether_extension_nm(force_pn: Number, contour_length_nm: Number) -> Number:
    """Return the extension of an extensible worm-like chain: `L0 (x(F) + F / S)`."""
    stretch = force_pn / STRETCH_MODULUS_PN
    return contour_length_nm * (wlc_relative_extension(force_pn) + stretch)


def axial_stiffness_pn_per_nm(force_pn: Number, contour_length_nm: Number) -> Number:
    """Return `dF / dz` of the extensible worm-like chain."""
    slope = _reduced_slope(wlc_relative_extension(force_pn))
    chain_pn = slope * (THERMAL_ENERGY_PN_NM / PERSISTENCE_LENGTH_NM)
    return 1.0 / (contour_length_nm * (1.0 / chain_pn + 1.0 / STRETCH_MODULUS_PN))


def lateral_drag_pn_s_per_nm(height_nm: Number, radius_nm: float) -> Number:
    """Return the drag of a sphere that moves along a wall, `height_nm` between the two.

    Faxén's expansion; Schäffer, Nørrelykke and Howard, Langmuir 23, 3654 (2007).
    """
    q = radius_nm / (np.maximum(height_nm, SMALLEST_GAP_NM) + radius_nm)
    q3 = q * q * q
    return _stokes(radius_nm) / (
        1.0 - 9.0 / 16.0 * q + q3 / 8.0 - 45.0 / 256.0 * q3 * q - q3 * q * q / 16.0
    )


def axial_drag_pn_s_per_nm(height_nm: Number, radius_nm: float) -> Number:
    """Return the drag of a sphere that moves towards a wall, `height_nm` between the two.

    A fit to Brenner's series; Schäffer, Nørrelykke and Howard, Langmuir 23, 3654 (2007).
    """
    q = radius_nm / (np.maximum(height_nm, SMALLEST_GAP_NM) + radius_nm)
    q3 = q * q * q
    q11 = q3 * q3 * q3 * q * q
    return _stokes(radius_nm) / (
        1.0
        - 9.0 / 8.0 * q
        + q3 / 2.0
        - 0.57 * q3 * q
        + q3 * q * q / 5.0
        + 7.0 / 200.0 * q11
        - q11 * q / 25.0
    )


def _stokes(radius_nm: float) -> float:
    return 18.849555921538759 * VISCOSITY_PN_S_PER_NM2 * radius_nm  # 6 pi eta R


def _reduced_force(x: Number) -> Number:
    free = 1.0 - x
    polynomial = 0.0 * x
    for coefficient in _BOUCHIAT:
        polynomial = (polynomial + coefficient) * x
    return 0.25 / (free * free) - 0.25 + x + polynomial * x


def _reduced_slope(x: Number) -> Number:
    free = 1.0 - x
    polynomial = 0.0 * x
    for power, coefficient in zip((7, 6, 5, 4, 3, 2), _BOUCHIAT, strict=True):
        polynomial = polynomial * x + power * coefficient
    return 0.5 / (free * free * free) + 1.0 + polynomial * x
