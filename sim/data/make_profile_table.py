"""Make `bead_profiles.npz`, the image of a bead at every height.

    python -m sim.data.make_profile_table [FILE]

needs scipy and `miepython` (3.3), which nothing else needs: what is shipped is the table.

An LED far above the sample lights a MyOne bead (radius 0.525 µm, index 1.62 - 0.02i) in water. The
light that the bead scatters, S1 and S2 of Mie's theory (Bohren and Huffman, 1983), reaches the
focal plane, a distance d behind the bead, as

    E(r, d) = exp(i k d) - integral of S(t) J0(k r sin t) exp(i k d cos t) sin t dt

over the angles t that the objective takes in, beside a term with J2 for the other polarisation. The
intensity is averaged over the LED's spectrum, and blurred by the size of the LED as seen from the
sample, a disc that grows with d. Far rings are faded out, so that a bead ends where its patch ends.

The focal plane at zero is 6 µm below the surface, as an operator would set it: beads then show the
rings that widen steadily with their height, and never go through the focus.
"""

import sys
from pathlib import Path

import numpy as np

RADIUS_NM = 525.0
BEAD_INDEX = 1.62 - 0.02j
WATER_INDEX = 1.333
NUMERICAL_APERTURE = 1.2
WAVELENGTH_NM, BANDWIDTH_NM = 625.0, 20.0
SOURCE_ANGLE = 0.05
DEFOCUS_NM = 6000.0

Z_FIRST_NM, Z_STEP_NM, N_PLANES = -4000.0, 50.0, 281
R_STEP_NM, N_RADII = 6.25, 592
FADE_FROM_NM = 3000.0
UNITS_PER_BACKGROUND = 4096


def main(path: Path) -> None:
    """Write the table to `path`."""
    z_nm = Z_FIRST_NM + Z_STEP_NM * np.arange(N_PLANES)
    r_nm = R_STEP_NM * np.arange(2 * N_RADII)
    lines = np.linspace(-1.0, 1.0, 7) * BANDWIDTH_NM
    weights = np.exp(-4.0 * np.log(2.0) * (lines / BANDWIDTH_NM) ** 2)
    intensity = sum(
        weight * _intensity(WAVELENGTH_NM + line, z_nm + DEFOCUS_NM, r_nm)
        for weight, line in zip(weights / weights.sum(), lines, strict=True)
    )
    radii_nm = R_STEP_NM * (np.arange(N_RADII) + 0.5)
    blurred = [
        _blurred(profile, r_nm, radii_nm, SOURCE_ANGLE * (z + DEFOCUS_NM))
        for profile, z in zip(np.asarray(intensity), z_nm, strict=True)
    ]
    fade = np.clip((radii_nm - FADE_FROM_NM) / (radii_nm[-1] - FADE_FROM_NM), 0.0, 1.0)
    contrast = (np.array(blurred) - 1.0) * np.cos(0.5 * np.pi * fade) ** 2
    units = np.clip(np.rint(contrast * UNITS_PER_BACKGROUND), -(1 << 15), (1 << 15) - 1)
    np.savez_compressed(
        path,
        contrast=units.astype("<i2"),
        z_first_nm=Z_FIRST_NM,
        z_step_nm=Z_STEP_NM,
        r_step_nm=R_STEP_NM,
        units_per_background=UNITS_PER_BACKGROUND,
    )


def _intensity(wavelength_nm: float, defocus_nm: np.ndarray, r_nm: np.ndarray) -> np.ndarray:
    import miepython  # type: ignore[import-not-found]
    from scipy.special import j0, jv

    k = 2.0 * np.pi * WATER_INDEX / wavelength_nm
    nodes, weights = np.polynomial.legendre.leggauss(400)
    widest = np.arcsin(NUMERICAL_APERTURE / WATER_INDEX)
    angle, weight = (nodes + 1.0) / 2.0 * widest, weights / 2.0 * widest
    amplitudes = miepython.S1_S2(
        BEAD_INDEX / WATER_INDEX, k * RADIUS_NM, np.cos(angle), norm="bohren"
    )
    s1, s2 = (np.conj(amplitude) for amplitude in amplitudes)
    across = k * r_nm[:, None] * np.sin(angle)
    waves = np.exp(1j * k * defocus_nm[:, None] * np.cos(angle)) * (np.sin(angle) * weight)
    parallel = -(waves * (s1 + s2) / 2.0) @ j0(across).T
    crossed = -(waves * (s2 - s1) / 2.0) @ jv(2, across).T
    incident = np.exp(1j * k * defocus_nm)[:, None]
    return np.abs(incident + parallel) ** 2 + np.abs(crossed) ** 2


def _blurred(
    profile: np.ndarray, r_nm: np.ndarray, at_nm: np.ndarray, sigma_nm: float
) -> np.ndarray:
    nodes, weights = np.polynomial.legendre.leggauss(24)
    step = sigma_nm * np.sqrt(-2.0 * np.log(1.0 - 0.999 * (nodes + 1.0) / 2.0))[:, None]
    turn = (np.arange(32) + 0.5) * np.pi / 32
    from_axis = np.hypot(at_nm[:, None, None] - step * np.cos(turn), step * np.sin(turn))
    return np.interp(from_axis, r_nm, profile).mean(axis=2) @ weights / 2.0


if __name__ == "__main__":
    beside = Path(__file__).with_name("bead_profiles.npz")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else beside)
