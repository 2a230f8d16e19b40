"""Brownian motion in a harmonic well, with the blur of an exposure exactly in it.

An Ornstein-Uhlenbeck process of relaxation rate `k / drag` and variance `kT / k`. Over one frame,
what is drawn is the pair (mean over the exposure, position at its end) from its joint normal law
given where the bead was: no sub-steps, and right at any ratio of exposure to relaxation time.
"""

from dataclasses import dataclass

import numpy as np

from sim.physics import THERMAL_ENERGY_PN_NM, exp_negative

_SMALL = 1e-4


@dataclass(frozen=True)
class FrameLaw:
    """One frame's step, each coefficient an array of the positions' shape.

    For a position x and independent standard normals n1 and n2, the mean over the exposure is
    `keep_mean x + mean_1 n1` and the position at its end `keep_end x + end_1 n1 + end_2 n2`.
    """

    keep_mean: np.ndarray
    keep_end: np.ndarray
    mean_1: np.ndarray
    end_1: np.ndarray
    end_2: np.ndarray

    def step(self, x: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean over the exposure and the position at its end.

        Args:
            x: Position at the end of the last exposure.
            normals: `(2, *x.shape)` independent standard normals.
        """
        first, second = normals
        mean = self.keep_mean * x + self.mean_1 * first
        return mean, self.keep_end * x + self.end_1 * first + self.end_2 * second


def frame_law(
    stiffness_pn_per_nm: np.ndarray, drag_pn_s_per_nm: np.ndarray, gap_s: float, exposure_s: float
) -> FrameLaw:
    """Return the law of one frame: a gap without light, then an exposure.

    With rate r, a = exp(-r gap), b = exp(-r exposure), m = (1 - b) / (r exposure) and variance v,
    the mean over an exposure of a process that starts at 0 has variance
    `v (2 (1 - m) / (r exposure) - m^2)` and covariance `v m (1 - b)` with its end.
    """
    variance = THERMAL_ENERGY_PN_NM / stiffness_pn_per_nm
    rate = stiffness_pn_per_nm / drag_pn_s_per_nm
    across = rate * exposure_s
    gap, decay = exp_negative(rate * gap_s), exp_negative(across)
    small = across < _SMALL
    safe = np.where(small, 1.0, across)
    share = np.where(small, 1.0 - across / 2.0, (1.0 - decay) / safe)
    own = np.where(small, 2.0 / 3.0 * across, 2.0 * (1.0 - share) / safe - share * share)
    before = variance * (1.0 - gap * gap)
    mean_variance = share * share * before + variance * np.maximum(own, 0.0)
    covariance = share * decay * before + variance * share * (1.0 - decay)
    end_variance = decay * decay * before + variance * (1.0 - decay * decay)
    mean_1 = np.sqrt(mean_variance)
    end_1 = covariance / mean_1
    end_2 = np.sqrt(np.maximum(end_variance - end_1 * end_1, 0.0))
    return FrameLaw(share * gap, decay * gap, mean_1, end_1, end_2)
