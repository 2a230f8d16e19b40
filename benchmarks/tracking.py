"""Tracked beads x frames a second on one core, against `magtrack` on the same crops.

Run: `python benchmarks/tracking.py [--roi 64] [--crops 400] [--repeats 5]`
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable

# One core, so that both are measured alike; before numpy reads them.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

from magscope.tracking import track_crops  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import magtrack


def rings(width: int, n: int, seed: int) -> np.ndarray:
    """Return n noisy images of rings, `(width, width, n, 1)` uint8."""
    rng = np.random.default_rng(seed)
    centres = (width - 1) / 2 + rng.uniform(-2, 2, (n, 2))
    grid = np.arange(width)
    offsets = grid - centres[:, :, None]
    radii = np.hypot(offsets[:, 0, :, None], offsets[:, 1, None, :])
    image = 110 + 60 * np.cos(radii * 0.9) * np.exp(-radii / (width / 6))
    image += rng.normal(0, 2, image.shape)
    return np.moveaxis(np.clip(np.rint(image), 0, 255).astype(np.uint8), 0, 2)[..., None]


def best_seconds(function: Callable[[], object], repeats: int) -> float:
    """Return the shortest time that a call took."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roi", type=int, default=64)
    parser.add_argument("--crops", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    crops = rings(arguments.roi, arguments.crops, seed=1)
    stack = np.ascontiguousarray(crops[..., 0].transpose(1, 0, 2), dtype=np.float64)

    ours = track_crops(crops)
    x, y, _, profiles = magtrack.stack_to_xyzp(stack)
    worst_px = np.abs(ours.positions_px[:, 0] - np.stack([x, y], axis=1)).max()
    worst_profile = np.nanmax(np.abs(ours.profiles[:, 0].T - profiles))

    seconds = best_seconds(lambda: track_crops(crops), arguments.repeats)
    reference = best_seconds(lambda: magtrack.stack_to_xyzp(stack), arguments.repeats)
    print(f"ROI {arguments.roi} px, {arguments.crops} crops, best of {arguments.repeats}")
    print(f"magscope  {arguments.crops / seconds:9.0f} beads x frames/s")
    print(f"magtrack  {arguments.crops / reference:9.0f} beads x frames/s")
    print(f"ratio     {reference / seconds:9.1f}")
    print(f"largest difference: {worst_px:.1e} px, {worst_profile:.1e} in a profile")


if __name__ == "__main__":
    main()
