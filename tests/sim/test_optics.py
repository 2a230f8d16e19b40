from itertools import pairwise

import numpy as np
import pytest

from sim.optics import BeadPainter, ProfileTable, load_profile_table


@pytest.fixture(scope="module")
def table() -> ProfileTable:
    return load_profile_table()


def _image(
    table: ProfileTable, x_px: float, y_px: float, z_nm: float, size: int = 100
) -> np.ndarray:
    painter = BeadPainter(table, 100.0, 72)
    frame = np.full((size, size), 72, np.uint8)
    painter.paint(frame, np.array([[x_px * 100.0, y_px * 100.0, z_nm]]))
    return frame


def test_the_table_covers_more_than_the_range_of_use_and_ends_dark(table: ProfileTable) -> None:
    assert table.z_first_nm <= -2000.0
    assert table.z_last_nm >= 6000.0
    assert table.radius_nm <= 4000.0
    assert (table.contrast[:, -1] == 0).all()


def test_rings_change_with_height_so_that_no_two_heights_look_alike(table: ProfileTable) -> None:
    heights = table.z_first_nm + table.z_step_nm * np.arange(len(table.contrast))
    used = (heights >= -2000.0) & (heights <= 6000.0)
    profiles = table.contrast[used][:, 24:496].astype(float)
    likeness = np.corrcoef(profiles)
    apart = np.abs(heights[used][:, None] - heights[used][None])
    for near, far in [(0, 200), (200, 500), (500, 1000)]:
        closer = likeness[(apart > near) & (apart <= far)].max()
        further = likeness[apart > far].max()
        assert further < closer
    assert likeness[apart >= 1000.0].max() < 0.995


def test_the_bright_ring_widens_steadily_with_height(table: ProfileTable) -> None:
    planes = np.arange(40, 201, 10)
    rings = [int(table.contrast[plane, 150:540].argmax()) for plane in planes]
    assert all(wider > narrower for narrower, wider in pairwise(rings))


def test_an_image_is_centred_where_the_bead_is(table: ProfileTable) -> None:
    image = _image(table, 50.0, 40.0, 2400.0)
    assert (image[40 - 30 : 40 + 31, 50 - 30 : 50 + 31] == image[10:71, 20:81][::-1, ::-1]).all()
    assert (image[10:71, 20:81] == image[10:71, 20:81].T).all()


def test_a_shift_by_whole_pixels_shifts_the_image_exactly(table: ProfileTable) -> None:
    image, shifted = _image(table, 45.3, 47.8, 1000.0), _image(table, 48.3, 52.8, 1000.0)
    assert (image[:90, :90] == shifted[5:95, 3:93]).all()


@pytest.mark.parametrize(
    ("x_px", "y_px"), [(-5.0, 50.0), (50.0, 101.0), (99.5, 2.0), (-60.0, 50.0)]
)
def test_a_bead_over_the_edge_is_cut_as_if_the_frame_were_larger(
    table: ProfileTable, x_px: float, y_px: float
) -> None:
    larger = _image(table, x_px + 100.0, y_px + 100.0, 500.0, size=300)
    assert (_image(table, x_px, y_px, 500.0) == larger[100:200, 100:200]).all()


@pytest.mark.parametrize("z_nm", [-1e6, -4000.0, -2000.0, 10000.0, 1e6])
@pytest.mark.parametrize("background_dn", [8, 72, 240])
def test_no_height_and_no_noise_overflow_a_pixel(
    table: ProfileTable, z_nm: float, background_dn: int
) -> None:
    painter = BeadPainter(table, 100.0, background_dn)
    for noise in (0, 8):
        frame = np.full((80, 80), painter.base_dn + noise, np.uint8)
        painter.paint(frame, np.array([[4000.0, 4000.0, z_nm]]))
        change = frame.astype(int) - (painter.base_dn + noise)
        lightest = table.contrast.max() / table.units_per_background * background_dn
        darkest = table.contrast.min() / table.units_per_background * background_dn
        assert darkest - 1 <= change.min() <= change.max() <= lightest + 1


def test_a_coarser_pixel_shows_the_same_bead_smaller(table: ProfileTable) -> None:
    frames = []
    for nm_per_px in (100.0, 200.0):
        frame = np.full((100, 100), 72, np.uint8)
        BeadPainter(table, nm_per_px, 72).paint(frame, np.array([[4000.0, 4000.0, 2400.0]]))
        frames.append(frame)
    fine, coarse = frames
    assert (fine[0:80:2, 0:80:2] == coarse[:40, :40]).all()
