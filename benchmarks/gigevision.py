"""Frames a second through the GigE Vision driver, beside its library alone on the same stream.

Aravis' camera of software alone streams still frames of 1280 x 560 px over 127.0.0.1, in a network
of its own, at a rate that is near to what it can do. Rounds with the driver and with the library
alone take turns. Also: which part of the frames came whole, how long a fetch takes that gives one,
and how long after the end of its exposure a frame is there.

It needs `apt-get install libaravis-0.8-0`, and root, or `unshare -rn COMMAND`.

Run `python benchmarks/gigevision.py [--frames N] [--rounds N] [--quick]`.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import telegenic

from hal import Camera, DeviceContext, FrameFormat, FrameInfo, Identity
from hal.device import Setting
from hal.drivers.gigevision import GigeVisionCamera
from hal.registry import load_driver
from hal.testing.fakes import FakeProcess
from hal.testing.fakes.network import own_network

ADDRESS = "127.0.0.1"
BUFFERS = 64
# By the size of packets in bytes; the camera itself can not do much more.
RATES_HZ = {1400: 200, 9000: 500}


@dataclass(frozen=True)
class Round:
    """What a round with the driver gave."""

    frames_per_s: float
    whole: float
    fetch_us: float
    late_ms: float


class Still(Camera):
    """The sensor: the same grey frame again and again, 1280 x 560 px."""

    identity = Identity("magscope", "still", "", driver="still", is_real=False)
    frame_format = FrameFormat(1280, 560, 8)
    is_open = True
    settings = (Setting("framerate_hz", float, "Hz", 0.1, 1000.0),)

    def __init__(self, framerate_hz: float) -> None:
        self._period_ns = round(1e9 / framerate_hz)

    def open(self) -> None:
        """Be open."""

    def close(self) -> None:
        """Stay as it is."""

    def get(self, name: str) -> float:
        """Return the frame rate."""
        self.setting(name)
        return 1e9 / self._period_ns

    def start(self) -> None:
        """Begin to count."""
        self._number, self._start_ns = 0, self.context.clock.monotonic_ns()
        self._unix_ns = self.context.clock.now_ns() - self._start_ns

    def stop(self) -> None:
        """Stay as it is."""

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Give the newest frame; those that nobody fetched are lost."""
        due = (self.context.clock.monotonic_ns() - self._start_ns) // self._period_ns
        if due <= self._number:
            return None
        self._number = due
        out[0, :] = due % 256
        return FrameInfo(due, self._unix_ns + self._start_ns + due * self._period_ns)


def through_driver(packet_size: int, n_frames: int) -> Round:
    """Take so many frames as the camera manager does."""
    camera = GigeVisionCamera(ADDRESS, packet_size=packet_size, buffers=BUFFERS)
    camera.context = DeviceContext.standalone(load_driver("gigevision"))
    with camera:
        ring = np.zeros((64, *camera.frame_format.shape), camera.frame_format.dtype)
        camera.start()
        first, _ = _wait_for(camera, ring[0])
        late_ms, fetch_us = [], []
        begin = time.perf_counter()
        for number in range(n_frames):
            info, took_us = _wait_for(camera, ring[number % len(ring)])
            late_ms.append((time.time_ns() - info.timestamp_ns) / 1e6)
            fetch_us.append(took_us)
        rate = n_frames / (time.perf_counter() - begin)
    whole = n_frames / (info.frame_number - first.frame_number)
    return Round(rate, whole, median(fetch_us), median(late_ms))


def _wait_for(camera: GigeVisionCamera, out: np.ndarray) -> tuple[FrameInfo, float]:
    while True:
        begin = time.perf_counter()
        info = camera.fetch_into(out)
        if info is not None:
            return info, (time.perf_counter() - begin) * 1e6
        time.sleep(camera.ready_in_s())


def through_library(packet_size: int, n_frames: int) -> float:
    """Return the frames a second that the library gives, each copied to where it shall be."""
    camera = telegenic.Camera(ADDRESS)
    camera.connect()
    shape = (camera.get_integer("Height"), camera.get_integer("Width"))
    ring = np.zeros((64, *shape), np.uint8)
    with camera.start_acquisition(n_buffers=BUFFERS, packet_size=packet_size) as acquisition:
        begin, count = 0.0, -1
        while count < n_frames:
            frame = acquisition.wait_for(1.0)
            assert frame is not None
            if frame.is_complete:
                pixels = np.frombuffer(frame.data(), np.uint8).reshape(shape)
                np.copyto(ring[count % len(ring)], pixels)
                count += 1
                begin = begin or time.perf_counter()
        seconds = time.perf_counter() - begin
    camera.disconnect()
    return n_frames / seconds


def main() -> None:
    """Measure each packet size, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=200, help="in each round")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--quick", action="store_true", help="see that it works; no measurement")
    given = parser.parse_args()
    n_frames, n_rounds = (30, 1) if given.quick else (given.frames, given.rounds)
    sensor = f"{Path(__file__).stem}:{Still.__name__}"
    with own_network():
        for size, rate_hz in RATES_HZ.items():
            with FakeProcess("gigevision", camera=sensor, options={"framerate_hz": rate_hz}):
                rounds = [
                    (through_driver(size, n_frames), through_library(size, n_frames))
                    for _ in range(n_rounds)
                ]
            ours = [driver for driver, _ in rounds]
            print(
                f"packets of {size} bytes, {rate_hz} frames/s: "
                f"driver {median(r.frames_per_s for r in ours):.0f}, "
                f"library {median(theirs for _, theirs in rounds):.0f} frames/s, "
                f"ratio {median(d.frames_per_s / theirs for d, theirs in rounds):.3f}; "
                f"{100 * median(r.whole for r in ours):.1f} % whole, "
                f"{median(r.fetch_us for r in ours):.0f} us a fetch, "
                f"{median(r.late_ms for r in ours):.2f} ms late"
            )


if __name__ == "__main__":
    main()
