"""Frames a second that a captured camera gives, beside the same camera without a capture.

The camera copies one of a few frames of random bytes, as a frame grabber hands over its memory. The
files are in `--directory`: what is measured is the way into the system's page cache; in the long
run a disk must take as many bytes a second as the camera gives.

Run `python benchmarks/capture.py [--frames N] [--directory DIR] [--quick]`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from hal import Camera, DeviceContext, FrameFormat, FrameInfo, Identity
from hal.drivers.replay import ReplayCamera
from magscope.capture import capture
from magscope.devices import DeviceSpec

ROUNDS = 5


class Grabber(Camera):
    """Gives a frame whenever it is asked."""

    identity = Identity("magscope", "grabber", "", driver="grabber", is_real=False)
    frame_format = FrameFormat(1280, 560, 8)
    is_open = True

    def __init__(self) -> None:
        shape = (4, *self.frame_format.shape)
        self._frames = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        self._number = 0

    def open(self) -> None:
        """Be open."""

    def close(self) -> None:
        """Stay as it is."""

    def start(self) -> None:
        """Begin to count."""
        self._number = 0

    def stop(self) -> None:
        """Stay as it is."""

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy a frame."""
        number, self._number = self._number, self._number + 1
        np.copyto(out, self._frames[number % len(self._frames)])
        return FrameInfo(number, self.context.clock.now_ns())


def frames_per_s(camera: Camera, n_frames: int) -> float:
    """Fetch so many frames into a ring of 64, as the camera manager does."""
    ring = np.zeros((64, *camera.frame_format.shape), camera.frame_format.dtype)
    camera.start()
    begin = time.perf_counter()
    for number in range(n_frames):
        assert camera.fetch_into(ring[number % len(ring)]) is not None
    return n_frames / (time.perf_counter() - begin)


def one_round(directory: Path, n_frames: int) -> dict[str, float]:
    """Measure the bare camera, the captured one, and the capture played, one after another."""
    bare = frames_per_s(Grabber(), n_frames)
    camera, writer = capture(Grabber(), DeviceSpec("camera", "grabber"), directory, print)
    assert isinstance(camera, Camera)
    camera.open()
    captured = frames_per_s(camera, n_frames)
    assert writer.is_open
    camera.close()
    writer.close()
    replay = ReplayCamera(directory / "camera.capture", pace="fast")
    replay.context = DeviceContext.standalone()
    with replay:
        return {"bare": bare, "captured": captured, "replayed": frames_per_s(replay, n_frames)}


def main() -> None:
    """Print the median of a few rounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--quick", action="store_true", help="few frames, as a smoke test")
    arguments = parser.parse_args()
    n_frames = 20 if arguments.quick else arguments.frames
    rounds = []
    for _ in range(1 if arguments.quick else ROUNDS):
        with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
            rounds.append(one_round(Path(directory), n_frames))
    print(f"{'1280 x 560 px':12}{'frames/s':>12}{'ratio':>8}{'us a frame':>12}")
    for name in rounds[0]:
        fps = float(np.median([each[name] for each in rounds]))
        ratio = float(np.median([each[name] / each["bare"] for each in rounds]))
        print(f"{name:12}{fps:13.0f}{ratio:8.2f}{1e6 / fps:12.0f}")


if __name__ == "__main__":
    main()
