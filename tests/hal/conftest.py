import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

# What several tests need stands beside them.
sys.path.append(str(Path(__file__).parent))

import peers

from hal import Camera, DeviceContext
from hal.recording import CaptureWriter, recorded
from hal.registry import create, load_driver
from hal.testing import ManualClock

sys.path.append(str(Path(__file__).parent / "broken"))
EXAMPLES = Path(__file__).parents[2] / "examples"


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


def use(device):
    """Use a device as a session does: frames and a setting, or a few movements."""
    clock = device.context.clock
    device.open()
    for setting in device.settings:
        device.get(setting.name)
    if isinstance(device, Camera):
        out = np.zeros(device.frame_format.shape, device.frame_format.dtype)
        device.start()
        for _ in range(40):
            clock.sleep_s(0.01)
            while device.fetch_into(out) is not None:
                pass
        device.stop()
    else:
        span = min(device.axis.upper - device.axis.lower, device.axis.max_speed) / 10
        for fraction in (0.25, 0.75):
            device.move_to(device.read_position() + fraction * span)
            while device.is_moving:
                device.read_position()
                clock.sleep_s(0.05)
            device.read_position()
    device.close()


@pytest.fixture
def make_capture(tmp_path, clock):
    """Capture what is done with a device, and return the path of the capture."""

    def make(driver, story=use, *, role="it", **options):
        context = DeviceContext.standalone(load_driver(driver), clock=clock, seed=3)
        device = create(driver, options, context)
        complaints = []
        writer = CaptureWriter(
            tmp_path, role, device, driver=driver, options=options, complain=complaints.append
        )
        try:
            story(recorded(device, writer))
        finally:
            writer.close()
        assert not complaints
        return writer.path

    return make


@pytest.fixture
def examples_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in ("custom_camera", "custom_motor", "zaber_on_bench"):
        sys.modules.pop(name, None)
