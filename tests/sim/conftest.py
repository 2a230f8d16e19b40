"""A clock that only tests move, and rigs on it."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pytest

from hal import Camera, Clock, Device, DeviceContext, FrameInfo
from sim.bench import SHARED_MEMORY
from sim.devices.camera import BeadCamera

AnyDevice = TypeVar("AnyDevice", bound=Device)


class HandClock(Clock):
    def __init__(self) -> None:
        self.time_ns = 1_700_000_000_000_000_000

    def now_ns(self) -> int:
        return self.time_ns

    def monotonic_ns(self) -> int:
        return self.time_ns - 1_600_000_000_000_000_000

    def sleep_s(self, seconds: float) -> None:
        self.time_ns += round(seconds * 1e9)


class Rig:
    """A bench in memory on which devices are opened; every one is closed at the end."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = HandClock()
        memory = {name: memoryview(bytearray(size)) for name, size in SHARED_MEMORY.items()}
        self.context = DeviceContext(self.clock, seed, memory.__getitem__)
        self.devices: list[Device] = []

    def open(self, device: AnyDevice) -> AnyDevice:
        device.context = self.context
        device.open()
        self.devices.append(device)
        return device

    def after(self, seconds: float) -> None:
        self.clock.sleep_s(seconds)

    def film(self, camera: Camera, n: int) -> tuple[np.ndarray, list[FrameInfo]]:
        """Fetch the next n frames, each as soon as it is there."""
        frames = np.zeros((n, *camera.frame_format.shape), camera.frame_format.dtype)
        infos = []
        for frame in frames:
            self.after(camera.ready_in_s())
            info = camera.fetch_into(frame)
            assert info is not None
            infos.append(info)
        return frames, infos


@pytest.fixture
def new_rig() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def build(seed: int = 1) -> Rig:
        rigs.append(Rig(seed))
        return rigs[-1]

    yield build
    for rig in rigs:
        for device in rig.devices:
            device.close()


@pytest.fixture(scope="session")
def new_clock() -> type[HandClock]:
    return HandClock


@pytest.fixture
def rig(new_rig: Callable[..., Rig]) -> Rig:
    return new_rig()


@pytest.fixture
def small_camera(rig: Rig) -> BeadCamera:
    """A camera of small frames, open on `rig`: four beads, 100 Hz."""
    return rig.open(BeadCamera(width_px=240, height_px=200, n_tethered=3, n_stuck=1))
