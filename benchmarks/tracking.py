"""Tracked beads x frames a second on one core, against `magtrack` on the same crops.

Run: `python benchmarks/tracking.py [--roi 64] [--crops 400] [--repeats 5] [--quick]`
"""

import argparse
import os
import time
from collections.abc import Callable

# One core, so that both are measured alike; before numpy reads them.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

from magscope.tracking import load_magtrack, track_crops  # noqa: E402


def rings(width: int, n: int, seed: int) -> np.ndarray:
    """Return n noisy images of rings, `(width, width, n, 1)` uint8."""
    rng = np.random.default_rng(seed)
    centres = (width - 1) / 2 + rng.uniform(-2, 2, (n, 2))
    grid = np.arange(width)
    offsets = grid - centres[:, :, None]
    radii = np.hypot(offsets[:, 0, :, None], offsets[:, 1, None, :])
    image = 110 + 60 * np.cos(radii * 0.9) * np.exp(-radii / (width / 6))
    image += rng.normal(0, 2, image.shape)
    images = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    # Stored (roi, image, y, x), as `magscope.utils.crop_stack_to_rois` does.
    return np.ascontiguousarray(images.transpose(0, 2, 1))[None].T


def seconds(function: Callable[[], object]) -> float:
    """Return the time that a call took."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--roi", type=int, default=64)
    parser.add_argument("--crops", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one repeat, as a smoke test")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.crops, arguments.repeats = 40, 1
    crops = rings(arguments.roi, arguments.crops, seed=1)
    stack = np.ascontiguousarray(crops[..., 0].transpose(1, 0, 2), dtype=np.float64)

    begin = time.perf_counter()
    magtrack = load_magtrack()
    import_s = time.perf_counter() - begin
    ours = track_crops(crops)
    x, y, _, profiles = magtrack.stack_to_xyzp(stack)
    worst_px = np.abs(ours.positions_px[:, 0] - np.stack([x, y], axis=1)).max()
    worst_profile = np.nanmax(np.abs(ours.profiles[:, 0].T - profiles))

    # In turn, so that what else the machine does slows both.
    pairs = [
        (seconds(lambda: track_crops(crops)), seconds(lambda: magtrack.stack_to_xyzp(stack)))
        for _ in range(arguments.repeats)
    ]
    best_s, reference_s = (min(times) for times in zip(*pairs, strict=True))
    print(f"ROI {arguments.roi} px, {arguments.crops} crops, best of {arguments.repeats}")
    print(f"magscope  {arguments.crops / best_s:9.0f} beads x frames/s")
    print(f"magtrack  {arguments.crops / reference_s:9.0f} beads x frames/s")
    print(f"ratio     {reference_s / best_s:9.1f}")
    print(f"import of magtrack: {import_s:.2f} s")
    print(f"largest difference: {worst_px:.1e} px, {worst_profile:.1e} in a profile")


if __name__ == "__main__":
    main()
