"""Frames a second through the `VideoBuffer`, from a producer to a consumer process, beside memcpy.

The consumer looks at every stack in one of three ways: as a view, as crops of ten regions, as a
copy. The machine's limit is what `memcpy` of such frames does in the same run.

Run `python benchmarks/buffer_throughput.py [--frames N] [--quick]`.
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from magscope.datatypes import VideoBuffer
from magscope.runtime import Lock, RuntimeProcess, current
from magscope.utils import crop_stack_to_rois

WIDTH, HEIGHT, N_IMAGES, N_STACKS = 1280, 560, 40, 5
ROIS = [(x, x + 64, y, y + 64) for x in (50, 300, 550, 800, 1050) for y in (60, 300)]
PAUSE_S = 50e-6


def look(stack: np.ndarray) -> None:
    """Touch one pixel of each frame."""
    stack[0, 0].sum()


def crop(stack: np.ndarray) -> None:
    """Cut ten regions out."""
    crop_stack_to_rois(stack, ROIS)


def copy(stack: np.ndarray) -> None:
    """Take a whole copy."""
    stack.copy(order="K")


class Producer(RuntimeProcess):
    """Writes frames as fast as there is room."""

    def __init__(self, locks: dict[str, Lock], n_frames: int) -> None:
        super().__init__()
        self.locks, self.n_frames = locks, n_frames

    def run(self) -> None:
        """Write them all."""
        current().enter(self)
        frames = sources()
        with VideoBuffer(create=False, locks=self.locks) as video:
            for n in range(self.n_frames):
                while not video.has_room:
                    time.sleep(PAUSE_S)
                video.write_image_and_timestamp(frames[n % len(frames)], float(n))


def sources() -> np.ndarray:
    """Return more frames than a cache holds."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 255, (100, HEIGHT, WIDTH), np.uint8)


def memcpy_rate(seconds: float) -> float:
    """Return how many frames a second are copied between two arrays."""
    frames = sources()
    ring = np.empty((N_STACKS * N_IMAGES, HEIGHT, WIDTH), np.uint8)
    ring[:] = 0
    begin, n = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        for _ in range(50):
            ring[n % len(ring)] = frames[n % len(frames)]
            n += 1
    return n / (time.perf_counter() - begin)


def rate(handle: Callable[[np.ndarray], None], n_frames: int) -> float:
    """Return how many frames a second arrive at a consumer that does this with each stack."""
    runtime = current()
    runtime.begin_session()
    locks = {"VideoBuffer": runtime.lock()}
    shape = {"width": WIDTH, "height": HEIGHT, "n_images": N_IMAGES, "n_stacks": N_STACKS}
    with VideoBuffer(create=True, locks=locks, bits=8, **shape) as video:
        producer = Producer(locks, n_frames)
        producer.start()
        taken, seen = [], []
        while video.released < n_frames:
            if not video.check_read_stack():
                time.sleep(PAUSE_S)
                continue
            stack, times = video.peak_stack()
            seen.extend(times.tolist())
            handle(stack)
            del stack
            video.read_stack_no_return()
            taken.append(time.perf_counter())
        producer.join()
    runtime.end_session()
    assert all(b - a == 1.0 for a, b in pairwise(seen)), "frames out of order"
    return N_IMAGES * (len(taken) - 1) / (taken[-1] - taken[0])


def main() -> None:
    """Print the rates and their ratios to memcpy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=40_000)
    parser.add_argument("--quick", action="store_true", help="few frames, as a smoke test")
    arguments = parser.parse_args()
    n_frames = N_IMAGES * ((2000 if arguments.quick else arguments.frames) // N_IMAGES)
    seconds = 0.2 if arguments.quick else 2.0
    before = memcpy_rate(seconds)
    rates = {f.__name__: rate(f, n_frames) for f in (look, crop, copy)}
    limit = (before + memcpy_rate(seconds)) / 2
    print(f"{'':28}{'frames/s':>10}{'ratio':>8}")
    print(f"{'memcpy, one process':28}{limit:10.0f}{1:8.2f}")
    for name, fps in rates.items():
        print(f"{'two processes, ' + name:28}{fps:10.0f}{fps / limit:8.2f}")


if __name__ == "__main__":
    main()
