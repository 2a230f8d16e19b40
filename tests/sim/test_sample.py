import numpy as np
import pytest

from sim import physics
from sim.sample import Field, Sample, strewn_beads

FIELD = Field(1280, 560, 100.0, spacing_px=80)
_STEP = {"magnet_turns": 0.0, "gap_s": 0.005, "exposure_s": 0.005, "elapsed_s": 0.0}


def _heights(
    sample: Sample, n: int, magnet_height_nm: float = 1e6, turns: float = 0.0
) -> np.ndarray:
    options = {**_STEP, "magnet_turns": turns}
    return np.array([sample.step(magnet_height_nm, **options)[2] for _ in range(n)])


@pytest.mark.parametrize("n", [1, 10, 37, 100])
def test_beads_keep_their_distance_from_each_other_and_from_the_edges(n: int) -> None:
    beads = strewn_beads(3, FIELD, n - 1, 1)
    places = np.array([(b.x_nm, b.y_nm) for b in beads]) / 100.0
    assert len(beads) == n
    assert (places >= 39.5).all()
    assert (places <= np.array([1279.0, 559.0]) - 39.5).all()
    apart = np.abs(places[:, None] - places[None]).max(axis=2) + 1e9 * np.eye(n)
    assert apart.min() >= 80.0


def test_beads_are_in_order_of_row_and_column_and_follow_from_the_seed() -> None:
    beads = strewn_beads(3, FIELD, 8, 2)
    assert beads == strewn_beads(3, FIELD, 8, 2) != strewn_beads(4, FIELD, 8, 2)
    assert list(beads) == sorted(beads, key=lambda bead: (bead.y_nm, bead.x_nm))
    assert sum(bead.is_tethered for bead in beads) == 8
    assert sum(bead.is_nicked for bead in beads) == 2


def test_too_many_beads_are_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match="500 beads do not fit into 1280 x 560 px"):
        strewn_beads(1, FIELD, 500, 0)


def test_the_force_differs_from_bead_to_bead_by_a_tenth() -> None:
    factors = [bead.force_factor for bead in strewn_beads(1, FIELD, 100, 0)]
    assert np.mean(factors) == pytest.approx(1.0, abs=0.03)
    assert np.std(factors) == pytest.approx(0.1, abs=0.03)


def test_tethered_beads_are_where_the_chain_holds_them_and_stuck_ones_on_the_surface() -> None:
    beads = strewn_beads(1, FIELD, 40, 10)
    sample = Sample(beads, 2720.0, 1)
    tethered = np.array([bead.is_tethered for bead in beads])
    seen = _heights(sample, 400)
    force = sample.forces_pn(1e6)[tethered]
    expected = physics.tether_extension_nm(force, np.full(40, 2720.0))
    assert seen[:, tethered].mean(axis=0) == pytest.approx(expected, abs=3.0)
    assert (seen[:, ~tethered] == 0.0).all()


def test_the_lateral_fluctuations_measure_the_force_as_in_an_experiment() -> None:
    beads = strewn_beads(1, FIELD, 60, 0)
    sample = Sample(beads, 2720.0, 1)
    step = {**_STEP, "exposure_s": 1e-6}
    seen = np.array([sample.step(1e6, **step) for _ in range(1000)])
    length = seen[:, 2].mean(axis=0)
    along = physics.THERMAL_ENERGY_PN_NM * length / seen[:, 0].var(axis=0)
    across = physics.THERMAL_ENERGY_PN_NM * (length + 525.0) / seen[:, 1].var(axis=0)
    assert along / sample.forces_pn(1e6) == pytest.approx(np.ones(60), abs=0.25)
    assert (along / sample.forces_pn(1e6)).mean() == pytest.approx(1.0, abs=0.02)
    assert (across / sample.forces_pn(1e6)).mean() == pytest.approx(1.0, abs=0.02)


def test_no_bead_is_ever_below_the_surface() -> None:
    sample = Sample(strewn_beads(1, FIELD, 30, 0), 400.0, 1)
    seen = _heights(sample, 300, magnet_height_nm=2e7)
    assert seen.min() == 0.0
    assert seen.max() > 0.0


def test_turns_shorten_the_tethers_that_are_not_nicked() -> None:
    beads = strewn_beads(1, FIELD, 12, 2)
    straight = _heights(Sample(beads, 2720.0, 1), 200, 7e6).mean(axis=0)
    turned = _heights(Sample(beads, 2720.0, 1), 200, 7e6, turns=25.0).mean(axis=0)
    coiled = np.array([bead.is_tethered and not bead.is_nicked for bead in beads])
    assert (turned[coiled] < straight[coiled] - 100.0).all()
    assert turned[~coiled] == pytest.approx(straight[~coiled], abs=1e-9)


def test_after_a_jump_of_the_force_the_height_relaxes_and_does_not_jump() -> None:
    sample = Sample(strewn_beads(1, FIELD, 20, 0), 2720.0, 1)
    step = {**_STEP, "gap_s": 0.0, "exposure_s": 1e-5}
    before = sample.step(1.2e7, **step)[2]
    after = sample.step(1e6, **step)[2]
    assert np.abs(after - before).max() < 200.0
    later = _heights(sample, 50)[-1]
    assert (later - before > 500.0).all()


def test_the_drift_is_common_to_all_beads_and_settles() -> None:
    beads = strewn_beads(1, FIELD, 0, 5)
    sample = Sample(beads, 2720.0, 1)
    at = [sample.step(1e6, **{**_STEP, "elapsed_s": t}) for t in (0.0, 10.0, 600.0, 610.0)]
    assert np.ptp(at[1] - at[0], axis=1) == pytest.approx(0.0, abs=1e-6)
    early, late = at[1][2, 0] - at[0][2, 0], at[3][2, 0] - at[2][2, 0]
    assert 20.0 < early < 40.0
    assert 9.0 < late < 12.0


def test_a_sample_without_tethers_or_without_beads_works() -> None:
    assert Sample((), 2720.0, 1).step(1e6, **_STEP).shape == (3, 0)
    assert Sample(strewn_beads(1, FIELD, 0, 3), 2720.0, 1).step(1e6, **_STEP).shape == (3, 3)
