"""Frames a second through each driver of a camera, beside its bare library in the same run.

Every driver has an emulated camera that needs no hardware, which sets the pace: what a driver costs
is in the last column, the time that it takes to hand over one frame. To measure another driver, add
a `Case`.

Run `python benchmarks/camera_drivers.py [--frames N] [--quick] [DRIVER ...]`.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hal import Camera
from hal.registry import create

ROUNDS = 5
RING = 64
Fetch = Callable[[np.ndarray], float | None]
Bare = Callable[[tuple[int, int]], AbstractContextManager[Fetch]]


@dataclass(frozen=True)
class Case:
    """A driver to be measured.

    Attributes:
        driver: Its name in a rig file.
        shape: Rows and columns of its frames, of 8 bits.
        bare: Opens and starts the same camera through its library alone, and gives what copies its
            next frame into an array: it returns the time that this took in s, without any waiting,
            or None if there was none yet.
        options: The driver's options.
        settings: Set on the open camera.
    """

    driver: str
    shape: tuple[int, int]
    bare: Bare
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def bare_genicam(shape: tuple[int, int]) -> Iterator[Fetch]:
    """Use viky through harvesters, as its manual does: fetch, reshape, copy."""
    from harvesters.core import Harvester

    from hal.drivers.genicam.producers import EMULATOR_PATH

    interrupt = signal.getsignal(signal.SIGINT)
    with Harvester() as harvester:
        harvester.add_file(str(EMULATOR_PATH))
        harvester.update()
        with harvester.create({"serial_number": "0"}) as acquirer:
            nodes = acquirer.remote_device.node_map
            for name, value in (
                ("ComponentSelector", "Range"),
                ("ComponentEnable", False),
                ("ComponentSelector", "Intensity"),
                ("PixelFormat", "Mono8"),
                ("AcquisitionFrameRate", 200.0),
                ("Width", shape[1]),
                ("Height", shape[0]),
            ):
                nodes.get_node(name).value = value
            acquirer.num_buffers = 32

            def fetch(out: np.ndarray) -> float | None:
                buffer = acquirer.try_fetch(timeout=1.0)
                begin = time.perf_counter()
                if buffer is None:
                    return None
                with buffer:
                    image = buffer.payload.components[0]
                    np.copyto(out, image.data.reshape(image.height, image.width))
                return time.perf_counter() - begin

            acquirer.start()
            yield fetch
    signal.signal(signal.SIGINT, interrupt)  # harvesters takes it


@contextmanager
def bare_micromanager(shape: tuple[int, int]) -> Iterator[Fetch]:
    """Use the demonstration camera through pymmcore-nano: pop, copy."""
    import pymmcore_nano as mm

    from hal.drivers.micromanager.device import default_adapter_path

    core = mm.CMMCore()
    core.enableStderrLog(False)
    core.setDeviceAdapterSearchPaths([default_adapter_path()])
    core.loadDevice("camera", "DemoCamera", "DCam")
    core.initializeDevice("camera")
    core.setCameraDevice("camera")
    for name, value in (MM_PROPERTIES | {"OnCameraCCDXSize": shape[1]}).items():
        core.setProperty("camera", name, str(value))
    core.setProperty("camera", "OnCameraCCDYSize", str(shape[0]))
    core.setExposure("camera", MM_EXPOSURE_MS)

    def fetch(out: np.ndarray) -> float | None:
        begin = time.perf_counter()
        if core.getRemainingImageCount() == 0:
            return None
        np.copyto(out, core.popNextImageMD(mm.Metadata()))
        return time.perf_counter() - begin

    core.startContinuousSequenceAcquisition(0)
    yield fetch
    core.stopSequenceAcquisition()
    core.unloadAllDevices()


@contextmanager
def through_driver(case: Case) -> Iterator[Fetch]:
    """Use the camera through its driver."""
    camera = create(case.driver, case.options)
    assert isinstance(camera, Camera)
    with camera:
        for name, value in case.settings.items():
            camera.set(name, value)
        assert camera.frame_format.shape == case.shape

        def fetch(out: np.ndarray) -> float | None:
            begin = time.perf_counter()
            info = camera.fetch_into(out)
            took_s = time.perf_counter() - begin
            if info is None:
                time.sleep(camera.ready_in_s())
            return took_s if info else None

        camera.start()
        yield fetch


MM_EXPOSURE_MS = 1.0
MM_PROPERTIES: dict[str, Any] = {"FastImage": 1, "AsyncPropertyDelayMS": 0}
CASES = (
    Case(
        "genicam",
        (560, 800),
        bare_genicam,
        options={"producer": "viky", "serial": "0", "width_px": 800, "height_px": 560},
        settings={"framerate_hz": 200.0},
    ),
    Case(
        "micromanager.camera",
        (560, 1280),
        bare_micromanager,
        options={
            "width_px": 1280,
            "height_px": 560,
            "exposure_ms": MM_EXPOSURE_MS,
            "properties": MM_PROPERTIES,
        },
    ),
)


def measure(
    opened: AbstractContextManager[Fetch], case: Case, n_frames: int
) -> tuple[float, float]:
    """Return frames a second, and the median time to hand over a frame in s."""
    ring = np.zeros((RING, *case.shape), np.uint8)
    took_s: list[float] = []
    with opened as fetch:
        while fetch(ring[0]) is None:
            pass
        begin = time.perf_counter()
        while len(took_s) < n_frames:
            seconds = fetch(ring[len(took_s) % RING])
            if seconds is not None:
                took_s.append(seconds)
        elapsed_s = time.perf_counter() - begin
    return n_frames / elapsed_s, float(np.median(took_s))


def main() -> None:
    """Print the median of a few rounds, driver and bare library in turns."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("drivers", nargs="*", metavar="DRIVER", help="all, if none is named")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--quick", action="store_true", help="few frames, as a smoke test")
    arguments = parser.parse_args()
    known = {case.driver: case for case in CASES}
    if unknown := [name for name in arguments.drivers if name not in known]:
        sys.exit(f"no case for {', '.join(unknown)}; there are {', '.join(known)}")
    n_frames = 20 if arguments.quick else arguments.frames
    print(f"{'':22}{'px':>12}{'frames/s':>10}{'bare':>8}{'ratio':>7}{'us a frame':>12}{'bare':>7}")
    for case in (known[name] for name in arguments.drivers or known):
        rounds = [
            (
                *measure(through_driver(case), case, n_frames),
                *measure(case.bare(case.shape), case, n_frames),
            )
            for _ in range(1 if arguments.quick else ROUNDS)
        ]
        fps, took_s, bare_fps, bare_s = np.median(rounds, axis=0)
        ratio = float(np.median([each[0] / each[2] for each in rounds]))
        size = f"{case.shape[1]} x {case.shape[0]}"
        print(
            f"{case.driver:22}{size:>12}{fps:10.0f}{bare_fps:8.0f}{ratio:7.2f}"
            f"{1e6 * took_s:12.0f}{1e6 * bare_s:7.0f}"
        )


if __name__ == "__main__":
    main()
