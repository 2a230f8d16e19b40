import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import physics, twist


@given(st.floats(0.0, 50.0))
def test_the_exponential_agrees_with_the_c_library(x: float) -> None:
    assert physics.exp_negative(x) == pytest.approx(math.exp(-x), rel=1e-11)


def test_the_exponential_has_these_very_bits_everywhere() -> None:
    assert physics.exp_negative(1.0).hex() == "0x1.78b56362cf004p-2"


@pytest.mark.parametrize(
    ("distance_mm", "force_pn"),
    [(0, 146), (1, 67.8), (3, 20.9), (5, 8.6), (7, 3.9), (10, 1.29), (15, 0.24), (20, 0.09)],
)
def test_the_force_falls_with_the_distance_as_measured(distance_mm: int, force_pn: float) -> None:
    force = physics.magnetic_force_pn(distance_mm * 1e6, physics.M270)
    assert force == pytest.approx(force_pn, rel=0.05)


@given(st.floats(1e-3, 100.0))
def test_the_extension_inverts_the_worm_like_chain(force_pn: float) -> None:
    extension = physics.wlc_relative_extension(force_pn)
    assert 0.0 < extension < 1.0
    assert physics.wlc_force_pn(extension) == pytest.approx(force_pn, rel=1e-9)


def test_the_chain_is_a_weak_spring_at_low_force_and_nearly_straight_at_high_force() -> None:
    spring = 1.5 * physics.THERMAL_ENERGY_PN_NM / physics.PERSISTENCE_LENGTH_NM
    assert physics.wlc_relative_extension(1e-4) == pytest.approx(1e-4 / spring, rel=0.01)
    straight = 1.0 - 0.5 * math.sqrt(physics.THERMAL_ENERGY_PN_NM / (48.0 * 10.0))
    assert physics.wlc_relative_extension(10.0) == pytest.approx(straight, rel=0.002)


@given(st.floats(0.01, 50.0))
def test_the_axial_stiffness_is_the_slope_of_the_force(force_pn: float) -> None:
    step = force_pn * 1e-5
    higher = physics.tether_extension_nm(force_pn + step, 2720.0)
    lower = physics.tether_extension_nm(force_pn - step, 2720.0)
    slope = 2.0 * step / (higher - lower)
    assert physics.axial_stiffness_pn_per_nm(force_pn, 2720.0) == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize(("force_pn", "corner_hz"), [(0.1, 1.0), (1.0, 6.7), (10.0, 61.0)])
def test_the_corner_frequency_of_a_myone_bead_on_8_kb_is_right(
    force_pn: float, corner_hz: float
) -> None:
    length_nm = physics.tether_extension_nm(force_pn, 2720.0)
    drag = physics.lateral_drag_pn_s_per_nm(length_nm, physics.MYONE.radius_nm)
    assert force_pn / length_nm / (2.0 * math.pi * drag) == pytest.approx(corner_hz, rel=0.15)


@pytest.mark.parametrize("gap", [0.1, 0.5, 1.0, 3.0, 10.0])
def test_the_axial_drag_agrees_with_the_series_of_brenner(gap: float) -> None:
    alpha = math.acosh(1.0 + gap)
    series = 0.0
    for n in range(1, 200):
        above = 2 * math.sinh((2 * n + 1) * alpha) + (2 * n + 1) * math.sinh(2 * alpha)
        below = 4 * math.sinh((n + 0.5) * alpha) ** 2 - ((2 * n + 1) * math.sinh(alpha)) ** 2
        term = n * (n + 1) / ((2 * n - 1) * (2 * n + 3)) * (above / below - 1.0)
        series += term
        if term < 1e-12:
            break
    exact = 4.0 / 3.0 * math.sinh(alpha) * series
    far = physics.axial_drag_pn_s_per_nm(1e9, 525.0)
    assert physics.axial_drag_pn_s_per_nm(gap * 525.0, 525.0) / far == pytest.approx(
        exact, rel=0.02
    )


def test_both_drags_are_stokes_drag_far_from_the_wall() -> None:
    stokes = 6.0 * math.pi * physics.VISCOSITY_PN_S_PER_NM2 * 525.0
    assert physics.lateral_drag_pn_s_per_nm(1e9, 525.0) == pytest.approx(stokes, rel=1e-4)
    assert physics.axial_drag_pn_s_per_nm(1e9, 525.0) == pytest.approx(stokes, rel=1e-4)


@pytest.mark.parametrize(
    ("force_pn", "turns", "slope_nm"), [(0.25, 7.9, 123.0), (0.5, 11.5, 80.0), (1.0, 16.4, 55.0)]
)
def test_a_tether_of_8_kb_buckles_and_shrinks_as_published(
    force_pn: float, turns: float, slope_nm: float
) -> None:
    contour, force = np.array([2720.0]), np.array([force_pn])
    first, last = twist.buckling(force, contour)
    assert first[0] == pytest.approx(turns, rel=0.02)
    extension = physics.tether_extension_nm(force, contour)
    assert (extension / (last - first))[0] == pytest.approx(slope_nm, rel=0.05)


@given(st.floats(-200.0, 200.0), st.floats(0.01, 20.0))
def test_turns_never_lengthen_a_tether_nor_make_it_negative(turns: float, force_pn: float) -> None:
    left = twist.extended_fraction(turns, np.array([force_pn]), np.array([2720.0]))[0]
    assert 0.0 <= left <= 1.0


def test_the_hat_curve_is_symmetric_at_low_force_and_flat_for_negative_turns_at_high_force() -> (
    None
):
    force, contour = np.array([0.4, 2.0]), np.array([2720.0, 2720.0])
    over = twist.extended_fraction(40.0, force, contour)
    under = twist.extended_fraction(-40.0, force, contour)
    assert over[0] == under[0] < 1.0
    assert over[1] < under[1] == 1.0
