import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

# What several tests need stands beside them.
sys.path.append(str(Path(__file__).parent))

import peers

from hal import Clock, DeviceContext
from hal.clock import NS_PER_S

EXAMPLES = Path(__file__).parents[2] / "examples"


class ManualClock(Clock):
    """A clock that only moves when it is told to, or when somebody sleeps."""

    def __init__(self, unix_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._unix_ns = unix_ns
        self._elapsed_ns = 0

    def now_ns(self) -> int:
        return self._unix_ns + self._elapsed_ns

    def monotonic_ns(self) -> int:
        return self._elapsed_ns

    def sleep_s(self, seconds: float) -> None:
        self._elapsed_ns += max(round(seconds * NS_PER_S), 0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(autouse=True)
def peers_end_with_their_test():
    yield
    peers.end_all()


@pytest.fixture
def context(clock) -> DeviceContext:
    return DeviceContext(clock=clock)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 12, 20), dtype=np.uint8)


@pytest.fixture
def write_stack(tmp_path):
    def write(frames, *, name="stack.tiff", axes="TYX", framerate_hz=None, **options):
        metadata = {"axes": axes}
        if framerate_hz:
            start_s = 1_700_000_000.0
            metadata["Labels"] = [repr(start_s + k / framerate_hz) for k in range(len(frames))]
        path = tmp_path / name
        tifffile.imwrite(path, frames, imagej=True, metadata=metadata, **options)
        return path

    return write


@pytest.fixture
def examples_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in ("custom_camera", "custom_motor", "zaber_on_bench"):
        sys.modules.pop(name, None)
