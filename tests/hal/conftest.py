import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hal import DeviceContext
from hal.testing import ManualClock

sys.path.append(str(Path(__file__).parent / "broken"))
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


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
    for name in ("custom_camera", "custom_motor"):
        sys.modules.pop(name, None)
