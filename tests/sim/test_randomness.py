import hashlib

import numpy as np
import pytest

from sim.randomness import bit_stream, fill_with_noise, normals, uniforms


def test_normals_have_the_moments_of_a_normal() -> None:
    x = normals(bit_stream(1), 200_000)
    assert abs(x.mean()) < 0.01
    assert x.var() == pytest.approx(1.0, abs=0.01)
    assert (x**3).mean() == pytest.approx(0.0, abs=0.03)
    assert (x**4).mean() == pytest.approx(3.0, abs=0.06)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.01


def test_uniforms_fill_the_unit_interval() -> None:
    x = uniforms(bit_stream(1), 100_000)
    assert x.min() >= 0.0
    assert x.max() < 1.0
    assert np.histogram(x, 10, (0.0, 1.0))[0] == pytest.approx(10_000, rel=0.05)


@pytest.mark.parametrize("size", [1, 7, 64, 333, 240 * 200])
def test_noise_fills_any_size(size: int) -> None:
    out = np.full(size, 255, np.uint8)
    fill_with_noise(bit_stream(1), out)
    assert out.max() <= 8


def test_noise_is_white_with_the_mean_and_variance_that_are_stated() -> None:
    image = np.empty((512, 512), np.uint8)
    fill_with_noise(bit_stream(3), image.reshape(-1))
    assert image.mean() == pytest.approx(4.0, abs=0.02)
    assert image.var() == pytest.approx(2.0, abs=0.02)
    spectrum = np.abs(np.fft.fft2(image - image.mean()))
    correlation = np.fft.ifft2(spectrum * spectrum).real.ravel()
    assert np.abs(correlation[1:] / correlation[0]).max() < 6.0 / 512


def test_streams_differ_by_seed_and_path_and_take_any_integer() -> None:
    streams = [bit_stream(1), bit_stream(2), bit_stream(1, 1), bit_stream(1, 2), bit_stream(-1)]
    assert len({int(stream.random_raw()) for stream in streams}) == len(streams)
    assert bit_stream(5, 3).random_raw() == bit_stream(5, 3).random_raw()


def test_the_numbers_are_these_everywhere() -> None:
    noise = np.empty(1000, np.uint8)
    fill_with_noise(bit_stream(11, 4), noise)
    drawn = normals(bit_stream(11), 1000)
    assert hashlib.sha256(noise.tobytes() + drawn.tobytes()).hexdigest() == (
        "458c6801e31bd2ced7bdf01f98e8107f6b159b9de9fc518f6959ecc8d0ff059a"
    )
