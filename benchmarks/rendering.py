"""Frames a second that the simulated camera draws, by the number of beads, on one core.

The yardstick is filling the frame with raw random bytes, which is what its noise is made of.

Run `python benchmarks/rendering.py [--frames N] [--quick]`.
"""

import argparse
import time

import numpy as np

from hal.clock import NS_PER_S, Clock
from hal.device import DeviceContext
from sim.devices.camera import BeadCamera

RATE_HZ = 1000.0


class Stepped(Clock):
    """A clock that moves on by a frame when it is told to."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        """Return the time."""
        return self.ns

    def monotonic_ns(self) -> int:
        """Return the time."""
        return self.ns

    def sleep_s(self, seconds: float) -> None:
        """Move on."""
        self.ns += round(seconds * NS_PER_S)


def camera_rate(n_tethered: int, n_frames: int) -> float:
    """Return how many frames a second are drawn."""
    clock = Stepped()
    # Room for a hundred beads; the same field for all.
    camera = BeadCamera(
        width_px=1280, height_px=560, framerate_hz=RATE_HZ, n_tethered=n_tethered, n_stuck=0
    )
    camera.context = DeviceContext.standalone(BeadCamera, clock=clock, seed=1)
    out = np.zeros(camera.frame_format.shape, np.uint8)
    with camera:
        camera.start()
        clock.sleep_s(0.01)
        begin = time.perf_counter()
        for _ in range(n_frames):
            clock.sleep_s(1 / RATE_HZ)
            assert camera.fetch_into(out) is not None
        return n_frames / (time.perf_counter() - begin)


def random_bytes_rate(n_frames: int) -> float:
    """Return how many frames of raw random bytes a second are made."""
    bits = np.random.SFC64(1)
    words = 1280 * 560 // 8
    begin = time.perf_counter()
    for _ in range(n_frames):
        bits.random_raw(words)
    return n_frames / (time.perf_counter() - begin)


def main() -> None:
    """Print a line for each number of beads."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="few frames, as a smoke test")
    arguments = parser.parse_args()
    n_frames = 20 if arguments.quick else arguments.frames
    limit = random_bytes_rate(n_frames)
    print(f"{'1280 x 560 px':24}{'frames/s':>10}{'ratio':>8}")
    print(f"{'raw random bytes':24}{limit:10.0f}{1:8.2f}")
    for n_tethered in (1, 10, 80):
        fps = camera_rate(n_tethered, n_frames)
        print(f"{f'{n_tethered} tethered beads':24}{fps:10.0f}{fps / limit:8.2f}")


if __name__ == "__main__":
    main()
