import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from magscope import tracking
from magscope.tracking import track_crops
from magscope.zlut import build_zlut


def centres_px(n, spread=3.0, middle=31.5, seed=0):
    return middle + np.random.default_rng(seed).uniform(-spread, spread, (n, 2))


@pytest.fixture(scope="module")
def zlut(make_rings):
    planes = np.linspace(-1.0, 1.0, 41)
    crops = np.concatenate(
        [make_rings(centres_px(10, 1.0, seed=i), z) for i, z in enumerate(planes)], axis=3
    )
    return build_zlut(planes * 1000, track_crops(crops).profiles.transpose(1, 0, 2))


@pytest.mark.parametrize(("width", "dtype"), [(64, np.uint8), (50, np.uint8), (64, np.uint16)])
def test_results_are_those_of_magtrack(magtrack, make_rings, zlut, width, dtype):
    crops = make_rings(centres_px(120, 7.0, (width - 1) / 2), width=width, dtype=dtype)
    table = zlut if width == 64 else None
    stack = np.ascontiguousarray(crops[..., 0].transpose(1, 0, 2), dtype=np.float64)
    x, y, z, profiles = magtrack.stack_to_xyzp(stack, table)
    tracked = track_crops(crops, table)
    assert not np.isnan(tracked.positions_px).any()
    np.testing.assert_allclose(tracked.positions_px[:, 0, 0], x, atol=1e-6, rtol=0)
    np.testing.assert_allclose(tracked.positions_px[:, 0, 1], y, atol=1e-6, rtol=0)
    np.testing.assert_array_equal(tracked.profiles[:, 0].T, profiles)
    np.testing.assert_allclose(tracked.z_nm[:, 0], z, atol=1e-6, rtol=0)


def test_x_is_the_first_axis_and_y_the_second(make_rings):
    tracked = track_crops(make_rings([(28.25, 34.75)], noise=0.0))
    np.testing.assert_allclose(tracked.positions_px[0, 0], (28.25, 34.75), atol=0.06)


def test_images_and_rois_keep_their_places(make_rings):
    truth = centres_px(12).reshape(4, 3, 2)
    crops = make_rings(truth.reshape(-1, 2))[..., 0].reshape(64, 64, 4, 3)
    tracked = track_crops(crops)
    assert tracked.positions_px.shape == (4, 3, 2)
    assert tracked.profiles.shape == (4, 3, 32)
    np.testing.assert_allclose(tracked.positions_px, truth, atol=0.06)


def test_a_batch_of_any_length_gives_each_crop_the_same_result(make_rings):
    crops = make_rings(centres_px(300))
    whole = track_crops(crops)
    for part in (slice(0, 1), slice(250, 300)):
        alone = track_crops(crops[:, :, part])
        np.testing.assert_array_equal(alone.positions_px, whole.positions_px[part])
        np.testing.assert_array_equal(alone.profiles, whole.profiles[part])


def test_z_follows_the_truth_within_the_zlut(make_rings, zlut):
    z_um = np.linspace(-0.7, 0.7, 60)
    tracked = track_crops(make_rings(centres_px(60, 1.0, seed=99), z_um), zlut)
    assert np.sqrt(np.mean((tracked.z_nm[:, 0] - z_um * 1000) ** 2)) < 15


def test_z_outside_the_zlut_is_nan_and_not_a_plausible_value(make_rings, zlut):
    few = np.ascontiguousarray(zlut[:, 12:24])
    z_um = np.array([-1.0, -0.9, -0.5, 0.25, 0.5, 1.0])
    tracked = track_crops(make_rings(centres_px(6, 1.0), z_um), few)
    assert np.isnan(tracked.z_nm).all()
    assert not np.isnan(tracked.positions_px).any()


def test_z_is_nan_without_a_zlut_and_for_noise(make_rings, zlut):
    crops = make_rings(centres_px(3))
    assert np.isnan(track_crops(crops).z_nm).all()
    noise = np.random.default_rng(0).integers(90, 110, (64, 64, 50, 1)).astype(np.uint8)
    assert np.isnan(track_crops(noise, zlut).z_nm).all()


def flat():
    return np.full((64, 64, 1), 77, np.uint8)


def corner():
    crop = np.zeros((64, 64, 1), np.uint8)
    crop[:4, :4] = 255
    return crop


def one_flat_line():
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 1)).astype(np.uint8)
    crop[:, 26:38] = 9
    return crop


@pytest.mark.parametrize("hopeless", [flat, corner, one_flat_line])
def test_a_crop_without_a_bead_gives_nan_and_leaves_the_others_as_they_are(
    make_rings, zlut, hopeless
):
    crops = make_rings(centres_px(10, 1.0))
    expected = track_crops(crops, zlut)
    crops[:, :, 4] = hopeless()
    tracked = track_crops(crops, zlut)
    others = np.arange(10) != 4
    assert np.isnan(tracked.positions_px[4]).all()
    assert np.isnan(tracked.z_nm[4]).all()
    assert np.isnan(tracked.profiles[4]).all()
    np.testing.assert_array_equal(tracked.positions_px[others], expected.positions_px[others])
    np.testing.assert_array_equal(tracked.profiles[others], expected.profiles[others])
    np.testing.assert_array_equal(tracked.z_nm[others], expected.z_nm[others])


@pytest.mark.parametrize("first_call", [1, 5])
@pytest.mark.parametrize("x", [-1.0, 63.6, np.inf, np.nan])
def test_a_centre_that_leaves_the_image_is_not_followed(
    make_rings, magtrack, monkeypatch, x, first_call
):
    crops = make_rings(centres_px(10, 1.0))
    expected = track_crops(crops).positions_px
    calls = []

    def stray(*arguments, **options):
        found = magtrack.auto_conv_multiline_sub_pixel(*arguments, **options)
        calls.append(None)
        if len(calls) >= first_call:
            found[0][4] = x
        return found

    pieces = vars(magtrack) | {"auto_conv_multiline_sub_pixel": stray}
    monkeypatch.setattr(tracking, "load_magtrack", lambda: SimpleNamespace(**pieces))
    expected[4] = np.nan
    np.testing.assert_array_equal(track_crops(crops).positions_px, expected)


def test_a_correlation_without_a_clear_peak_gives_no_z():
    profile, other = np.cos(np.arange(32)), np.sin(np.arange(32))
    profile[1:] -= profile[1:].mean()
    other[1:] -= other[1:].mean()
    other[1:] -= profile[1:] * (other[1:] @ profile[1:]) / (profile[1:] @ profile[1:])
    profile /= np.linalg.norm(profile[1:])
    other /= np.linalg.norm(other[1:])
    correlation = np.full(41, 0.9)
    # The parabola through these has its vertex four planes from the largest.
    correlation[17:24] = 0.99 + 0.09 * np.array([-0.50, -0.18, -0.87, 0, -0.38, -0.07, -0.27])
    planes = np.outer(profile, correlation) + np.outer(other, np.sqrt(1 - correlation**2))
    assert np.isnan(tracking._z_nm(profile[None], np.vstack([np.arange(41.0), planes])))


def test_a_plane_without_contrast_is_like_no_profile(make_rings, zlut):
    crops = make_rings(centres_px(10, 1.0))
    expected = track_crops(crops, zlut).z_nm
    assert np.isfinite(expected).all()
    zlut = zlut.copy()
    zlut[1:, 5] = 100.0
    np.testing.assert_allclose(track_crops(crops, zlut).z_nm, expected, atol=1e-6, rtol=0)


def test_no_crop_whatever_is_in_it_raises_or_warns_or_leaves_the_frame():
    rng = np.random.default_rng(3)
    crops = np.zeros((32, 32, 200, 1), dtype=np.uint8)
    for i in range(200):  # a bright spot anywhere, the corners included
        x, y = rng.integers(0, 32, 2)
        crops[max(x - 2, 0) : x + 3, max(y - 2, 0) : y + 3, i] = rng.integers(1, 256)
    x_and_y = track_crops(crops).positions_px
    found = x_and_y[np.isfinite(x_and_y)]
    assert ((found >= 0) & (found <= 31)).all()


def test_no_crops_give_no_results():
    tracked = track_crops(np.zeros((64, 64, 0, 5), dtype=np.uint8))
    assert tracked.positions_px.shape == (0, 5, 2)


@pytest.mark.parametrize(
    ("crops", "error", "message"),
    [
        (np.zeros((64, 64, 1, 1)), TypeError, "crops are float64: expected uint8"),
        (np.zeros((64, 32, 1, 1), np.uint8), ValueError, r"expected \(w, w, n_images, n_rois\)"),
        (np.zeros((8, 8, 1, 1), np.uint8), ValueError, "crops are 8 px wide: expected 10"),
    ],
)
def test_what_are_no_crops_is_refused(crops, error, message):
    with pytest.raises(error, match=message):
        track_crops(crops)


def test_a_zlut_of_another_roi_is_refused(make_rings, zlut):
    with pytest.raises(ValueError, match="made for a ROI of 64 px, but the ROI is 50 px"):
        track_crops(make_rings([(24, 24)], width=50), zlut)


def test_magtrack_is_imported_when_needed_and_changes_no_global_state():
    script = (
        "import sys, warnings, numpy as np\n"
        "from magscope.tracking import track_crops\n"
        "assert 'magtrack' not in sys.modules\n"
        "np.seterr(all='raise')\n"
        "before = np.geterr(), list(warnings.filters)\n"
        "track_crops(np.eye(32, dtype=np.uint8)[..., None, None])\n"
        "assert 'magtrack' in sys.modules\n"
        "assert (np.geterr(), list(warnings.filters)) == before\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
