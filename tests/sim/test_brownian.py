import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.brownian import FrameLaw, frame_law
from sim.physics import THERMAL_ENERGY_PN_NM

_DRAG = 1.2e-5


def _law(stiffness: float, gap_s: float, exposure_s: float) -> FrameLaw:
    return frame_law(np.array([stiffness]), np.array([_DRAG]), gap_s, exposure_s)


@given(st.floats(1e-6, 1e-1), st.floats(0.0, 0.1), st.floats(1e-5, 0.1))
def test_the_variance_in_the_well_stays_thermal(
    stiffness: float, gap_s: float, exposure_s: float
) -> None:
    law = _law(stiffness, gap_s, exposure_s)
    thermal = THERMAL_ENERGY_PN_NM / stiffness
    kept = law.keep_end * law.keep_end * thermal
    assert (kept + law.end_1**2 + law.end_2**2)[0] == pytest.approx(thermal, rel=1e-6)


@given(st.floats(1e-6, 1e-1), st.floats(1e-5, 0.1))
def test_the_variance_of_the_mean_is_that_of_motion_blur(
    stiffness: float, exposure_s: float
) -> None:
    law = _law(stiffness, 0.01, exposure_s)
    thermal = THERMAL_ENERGY_PN_NM / stiffness
    t = stiffness / _DRAG * exposure_s
    blur = 2.0 / t - 2.0 * -np.expm1(-t) / (t * t) if t > 1e-3 else 1.0 - t / 3.0
    total = law.keep_mean**2 * thermal + law.mean_1**2
    assert total[0] == pytest.approx(thermal * blur, rel=1e-5)


def test_two_frames_in_a_row_agree_with_many_small_steps() -> None:
    stiffness, exposure_s, n = 3e-3, 0.004, 400
    dt = exposure_s / n
    keep = np.exp(-stiffness / _DRAG * dt)
    thermal = THERMAL_ENERGY_PN_NM / stiffness
    powers = keep ** np.arange(1, n + 1)
    kicks = np.tril(keep ** (np.arange(n)[:, None] - np.arange(n)[None, :]))
    variance = thermal * (1.0 - keep * keep)
    mean_weights = kicks.mean(axis=0)
    law = _law(stiffness, 0.0, exposure_s)
    assert law.keep_mean[0] == pytest.approx(powers.mean(), rel=0.01)
    assert law.mean_1[0] ** 2 == pytest.approx(variance * (mean_weights**2).sum(), rel=0.01)
    covariance = variance * (mean_weights * kicks[-1]).sum()
    assert (law.mean_1 * law.end_1)[0] == pytest.approx(covariance, rel=0.01)


def test_without_light_or_noise_a_bead_relaxes_to_rest() -> None:
    law = _law(3e-3, 0.01, 0.005)
    mean, end = law.step(np.array([100.0]), np.zeros((2, 1)))
    assert 0.0 < end[0] < mean[0] < 100.0
