import numpy as np
import pytest

from magscope.rois import find_rois

SHAPE = (1280, 560)


def field(centres, amplitude=60.0, noise=2.0, slope=0.0, seed=1, shape=SHAPE):
    rng = np.random.default_rng(seed)
    image = 90.0 + rng.normal(0, noise, shape) + slope * np.arange(shape[0])[:, None]
    for x, y in np.reshape(centres, (-1, 2)):
        left, low = max(int(x) - 40, 0), max(int(y) - 40, 0)
        part = (slice(left, int(x) + 41), slice(low, int(y) + 41))
        axes = np.ogrid[part]
        radii = np.hypot(axes[0] - x, axes[1] - y)[: shape[0] - left, : shape[1] - low]
        image[part] += amplitude * np.cos(radii * 0.9) * np.exp(-radii / 10)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def scattered(n, apart=75, seed=5):
    rng = np.random.default_rng(seed)
    centres = []
    while len(centres) < n:
        place = rng.uniform([36, 36], [SHAPE[0] - 36, SHAPE[1] - 36])
        if all(np.abs(place - other).max() > apart for other in centres):
            centres.append(place)
    return np.array(centres)


def middles(rois):
    return np.array([((x0 + x1) / 2, (y0 + y1) / 2) for x0, x1, y0, y1 in rois]).reshape(-1, 2)


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"amplitude": -60.0},
        {"amplitude": 10.0},
        {"noise": 8.0},
        {"noise": 0.0},
        {"slope": 0.06},
    ],
)
@pytest.mark.parametrize("n", [1, 40])
def test_every_bead_is_found_and_nothing_else(n, look):
    centres = scattered(n)
    found = middles(find_rois(field(centres, **look), 64, 50))
    assert len(found) == n
    for centre in centres:
        assert np.abs(found - centre).max(axis=1).min() <= 1.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.0, 1.0, 10.0, 40.0])
def test_an_empty_field_has_no_beads(noise, seed):
    assert find_rois(field([], noise=noise, seed=seed), 64, 50) == []


def test_what_is_not_alike_all_round_is_no_bead():
    image = field([(300, 300)])
    image[800:803, :] = 255  # a scratch
    image[1000, 100] = 255  # a hot pixel
    image[600:, 500:] = 30  # a shadow
    (found,) = middles(find_rois(image, 64, 50))
    np.testing.assert_allclose(found, (300, 300), atol=1)


def test_rois_lie_inside_the_frame_and_do_not_overlap():
    centres = [(20, 300), (300, 20), (700, 300), (740, 310), (1270, 550), (1000, 300), (1064, 300)]
    rois = find_rois(field(centres), 64, 50)
    assert len(rois) >= 3
    for x0, x1, y0, y1 in rois:
        assert 0 <= x0 < x1 <= SHAPE[0]
        assert 0 <= y0 < y1 <= SHAPE[1]
        assert x1 - x0 == y1 - y0 == 64
    for i, (x0, _, y0, _) in enumerate(rois):
        for other_x0, _, other_y0, _ in rois[:i]:
            assert max(abs(x0 - other_x0), abs(y0 - other_y0)) >= 64


def test_no_more_than_asked_for_are_returned_from_left_to_right():
    rois = find_rois(field(scattered(30)), 64, 7)
    assert len(rois) == 7
    assert rois == sorted(rois)


def test_the_mean_of_a_stack_and_16_bits_do_as_well():
    image = field([(300, 200)])
    assert len(find_rois(image.astype(float) / 3, 64, 5)) == 1
    assert len(find_rois(image.astype(np.uint16) * 200, 64, 5)) == 1


@pytest.mark.parametrize(
    ("image", "roi_px", "message"),
    [
        (np.zeros((50, 50, 3)), 32, r"expected \(width, height\)"),
        (np.zeros((50, 50)), 33, "roi_px = 33: expected an even number"),
        (np.zeros((50, 50)), 64, "from 16 to 50"),
    ],
)
def test_what_can_not_hold_a_roi_is_refused(image, roi_px, message):
    with pytest.raises(ValueError, match=message):
        find_rois(image, roi_px, 5)


def test_the_beads_of_the_default_rig_are_all_found():
    from hal import DeviceContext
    from sim.devices.camera import BeadCamera

    context = DeviceContext.standalone(BeadCamera, seed=1)
    camera = BeadCamera()
    camera.context = context
    with camera:
        camera.start()
        out = np.empty(camera.frame_format.shape, camera.frame_format.dtype)
        info = None
        while info is None:
            context.clock.sleep_s(camera.ready_in_s())
            info = camera.fetch_into(out)
        camera.stop()
    assert len(find_rois(out.T, 64, 50)) == len(info.annotation)
