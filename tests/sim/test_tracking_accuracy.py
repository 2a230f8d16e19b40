"""The simulated rig tracked by magtrack, against the truth that comes with the frames."""

import warnings
from importlib.resources import files

import numpy as np
import pytest

from sim.data import make_zlut
from sim.devices.camera import BeadCamera
from sim.devices.motors import Focus

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says that there is no graphics card
    import magtrack

ROI_PX = 64
N_FRAMES = 100


@pytest.fixture(scope="module")
def zlut() -> np.ndarray:
    return np.loadtxt(str(files("sim.data") / "zlut_64px_100nm.txt"))


def _errors_nm(frames, infos, zlut, nm_per_px: float) -> np.ndarray:
    """Track every bead in a ROI of its own; return tracked less true, `(n_beads, 3, n_frames)`."""
    truth = np.array([info.annotation for info in infos])
    errors = []
    for bead in range(truth.shape[1]):
        x0, y0 = np.floor(truth[0, bead, 1:3] / nm_per_px).astype(int) - ROI_PX // 2 + 1
        stack = frames[:, y0 : y0 + ROI_PX, x0 : x0 + ROI_PX].transpose(1, 2, 0).astype(float)
        x, y, z, _ = magtrack.stack_to_xyzp(stack, zlut)
        tracked = np.stack([(x0 + x) * nm_per_px, (y0 + y) * nm_per_px, z])
        errors.append(tracked - truth[:, bead, 1:4].T)
    return np.array(errors)


def _rms(errors: np.ndarray) -> np.ndarray:
    return np.sqrt((errors * errors).mean(axis=(0, 2)))


@pytest.mark.parametrize("seed", [1, 2])
def test_tracks_follow_the_truth_of_the_default_rig(new_rig, zlut, seed) -> None:
    rig = new_rig(seed)
    camera = rig.open(BeadCamera())
    camera.start()
    errors = _errors_nm(*rig.film(camera, N_FRAMES), zlut, camera.nm_per_px)
    tethered = np.array([bead.is_tethered for bead in camera.beads])
    x, y, z = _rms(errors[tethered])
    assert max(x, y) <= 3.0
    assert z <= 15.0
    assert max(_rms(errors[~tethered])) <= 15.0
    assert np.abs(errors[tethered].mean(axis=(0, 2))).max() < 4.0


@pytest.mark.parametrize("focus_nm", [-2000.0, 2000.0, 4000.0])
def test_tracks_follow_the_truth_over_the_range_of_the_focus(new_rig, zlut, focus_nm) -> None:
    rig = new_rig()
    camera = rig.open(BeadCamera(width_px=240, height_px=200, n_tethered=3, n_stuck=0))
    rig.open(Focus(start_nm=focus_nm))
    camera.start()
    x, y, z = _rms(_errors_nm(*rig.film(camera, N_FRAMES), zlut, camera.nm_per_px))
    assert max(x, y) <= 5.0
    assert z <= 40.0


def test_the_shipped_lookup_table_is_the_one_that_its_script_makes(zlut) -> None:
    assert zlut.shape == (1 + ROI_PX // 2, 441)
    assert (np.diff(zlut[0]) == make_zlut.Z_STEP_NM).all()
    columns = [0, 120, 300]
    assert make_zlut.profiles(zlut[0, columns]) == pytest.approx(zlut[1:, columns], abs=6e-4)
