"""Rings, and the reference that the tracker must agree with."""

from types import ModuleType

import numpy as np
import pytest

from magscope.tracking import load_magtrack


@pytest.fixture(scope="session")
def magtrack() -> ModuleType:
    """Return `magtrack`, without the warning and the floating-point state of its import."""
    return load_magtrack()


@pytest.fixture(scope="session")
def make_rings():
    """Return a function that draws rings: `(w, w, n, 1)` uint8 with the first axis x."""

    def make(centres_px, z_um=0.0, *, width=64, noise=2.0, seed=1, dtype=np.uint8):
        centres_px = np.asarray(centres_px, dtype=float)
        z_um = np.broadcast_to(z_um, len(centres_px))[:, None, None]
        offsets = np.arange(width) - centres_px[:, :, None]
        radii = np.hypot(offsets[:, 0, :, None], offsets[:, 1, None, :])
        wave = np.cos(radii * 0.8 - z_um * 4) + 0.5 * np.cos(radii * (0.5 + 0.1 * z_um))
        image = 110 + 40 * wave * np.exp(-radii / (width / 6))
        image = image + np.random.default_rng(seed).normal(0, noise, image.shape)
        scale = np.iinfo(dtype).max / 255
        images = np.clip(np.rint(image * scale), 0, np.iinfo(dtype).max).astype(dtype)
        return np.moveaxis(images, 0, 2)[..., None]

    return make
