"""The hat curve: how far turns of the magnets shorten a tether.

Marko, Phys. Rev. E 76, 021926 (2007): extended and plectonemic DNA coexist between two torques'
linking densities, and the extension falls linearly from one to the other. Its numbers here: C = 100
nm, P = 24 nm, A = 50 nm, 1.85 rad/nm; a helical repeat of 10.5 bp. Only `+ - * /` and `sqrt`.
"""

import numpy as np

from sim.physics import RISE_NM_PER_BP, THERMAL_ENERGY_PN_NM

BP_PER_TURN = 10.5
MELTING_FORCE_PN = 0.7
"""Above this, DNA melts instead of forming plectonemes when it is unwound."""

_TWIST_PERSISTENCE_NM = 100.0
_PLECTONEME_PERSISTENCE_NM = 24.0
_BEND_PERSISTENCE_NM = 50.0
_TWIST_RAD_PER_NM = 1.85
_SMALLEST_FORCE_PN = 0.1  # the theory's free energy changes sign below 0.08 pN


def buckling(force_pn: np.ndarray, contour_length_nm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at how many turns a tether buckles, and at how many nothing of it is extended."""
    force = np.maximum(force_pn, _SMALLEST_FORCE_PN)
    helix = _TWIST_RAD_PER_NM * _TWIST_RAD_PER_NM * THERMAL_ENERGY_PN_NM
    bend = np.sqrt(THERMAL_ENERGY_PN_NM / (_BEND_PERSISTENCE_NM * force))
    free_energy = force * (1.0 - bend)
    extended = (
        helix
        * _TWIST_PERSISTENCE_NM
        * (1.0 - _TWIST_PERSISTENCE_NM / (4.0 * _BEND_PERSISTENCE_NM) * bend)
    )
    plectoneme = helix * _PLECTONEME_PERSISTENCE_NM
    root = np.sqrt(2.0 * plectoneme * free_energy / (1.0 - plectoneme / extended))
    relaxed_turns = contour_length_nm / (RISE_NM_PER_BP * BP_PER_TURN)
    return relaxed_turns * root / extended, relaxed_turns * root / plectoneme


def extended_fraction(
    turns: float, force_pn: np.ndarray, contour_length_nm: np.ndarray
) -> np.ndarray:
    """Return the share, 0 to 1, of the untwisted extension that is left at so many turns.

    The slight rounding of the hat's top below buckling is left out.
    """
    first, last = buckling(force_pn, contour_length_nm)
    fraction = np.minimum(np.maximum((last - abs(turns)) / (last - first), 0.0), 1.0)
    if turns < 0.0:
        return np.where(force_pn > MELTING_FORCE_PN, 1.0, fraction)
    return fraction
