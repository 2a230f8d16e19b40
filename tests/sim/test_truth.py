"""The camera that sends the truth, and the tracker that reads it."""

from types import SimpleNamespace

import numpy as np
import pytest

from hal.clock import NS_PER_S, Clock
from hal.device import DeviceContext
from magscope.utils import crop_stack_to_rois
from sim.devices.truth import TruthCamera
from sim.truth import CELL_PX, read_cells
from sim.truth_tracker import read_truth, read_truth_slowly

N_FRAMES = 5


class Stepped(Clock):
    ns = 0

    def now_ns(self):
        return self.ns

    def monotonic_ns(self):
        return self.ns

    def sleep_s(self, seconds):
        self.ns += round(seconds * NS_PER_S)


@pytest.fixture
def seen():
    """A stack, its ROIs, and the truth of its frames."""
    clock = Stepped()
    camera = TruthCamera(n_tethered=3, n_stuck=1)
    camera.context = DeviceContext.standalone(TruthCamera, clock=clock, seed=3)
    stack = np.zeros((N_FRAMES, *camera.frame_format.shape), np.uint8)
    with camera:
        camera.start()
        clock.sleep_s(0.01 * N_FRAMES)
        truth = np.stack([camera.fetch_into(image).annotation for image in stack])
    rois = [(CELL_PX * i, CELL_PX * (i + 1), 0, CELL_PX) for i in range(4)]
    return crop_stack_to_rois(stack.T, rois), rois, truth


def test_what_is_read_is_the_truth(seen):
    crops, rois, truth = seen
    tracked = read_truth(crops)
    corners = np.array([(x0, y0) for x0, _, y0, _ in rois])
    positions_nm = (tracked.positions_px + corners) * 100.0
    np.testing.assert_allclose(positions_nm, truth[..., 1:3], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(tracked.z_nm, truth[..., 3])
    assert tracked.profiles.shape == (N_FRAMES, 4, CELL_PX // 2)


def test_the_frame_number_stands_beside_each_position(seen):
    crops, _, _ = seen
    assert (read_cells(crops)[..., 3] == np.arange(N_FRAMES)[:, None]).all()


def test_a_slow_tracker_reads_the_same_and_takes_each_stack_its_own_time(seen, monkeypatch):
    crops, _, _ = seen
    clock = Stepped()
    monkeypatch.setattr("sim.truth_tracker.current", lambda: SimpleNamespace(clock=clock))
    np.testing.assert_array_equal(read_truth_slowly(crops).z_nm, read_truth(crops).z_nm)
    took_ns = []
    for first in range(1, N_FRAMES):
        before_ns = clock.ns
        read_truth_slowly(crops[:, :, first:])
        took_ns.append(clock.ns - before_ns)
    assert len(set(took_ns)) > 2
    assert max(took_ns) <= 0.14 * NS_PER_S


@pytest.mark.parametrize("rows", [1, 7, 15])
def test_a_frame_overwritten_while_it_was_read_is_told(seen, rows):
    crops, _, _ = seen
    crops[:, :rows, 2, 1] = crops[:, :rows, 3, 1]
    with pytest.raises(ValueError, match=r"frames \[2\] of the stack are torn"):
        read_truth(crops)


def test_a_frame_of_which_a_whole_bead_is_anothers_is_told(seen):
    crops, _, _ = seen
    crops[:, :, 2, 1] = crops[:, :, 3, 1]
    with pytest.raises(ValueError, match="torn"):
        read_truth(crops)


def test_crops_that_are_no_cells_are_refused():
    with pytest.raises(ValueError, match="expected cells of 16 x 16 px"):
        read_truth(np.zeros((64, 64, 2, 1), np.uint8))
