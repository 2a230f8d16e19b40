"""What every camera and every motor does, tried out on every driver that we ship."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import peers
import pytest

from hal import DeviceContext
from hal.registry import create, load_driver
from hal.testing import CameraTests, ManualClock, MotorTests, Subject


@dataclass(frozen=True)
class Case:
    """A driver under test.

    Attributes:
        driver: Its name in a rig file.
        has_own_time: Whether a machine stands behind it, which knows nothing of a virtual clock.
        options: Its options, made from the path of a TIFF stack.
        captured: The driver whose capture it plays.
    """

    driver: str
    has_own_time: bool = False
    options: Callable[[Any], dict[str, Any]] = lambda _: {}
    captured: str = ""


DEMO_CAMERA = {
    "width_px": 64,
    "height_px": 48,
    "buffer_mb": 4,
    "properties": {"AsyncPropertyDelayMS": 0},  # else closing waits for 2 s
}
VIKY = {
    "producer": "viky",
    "serial": "0",
    "width_px": 160,
    "height_px": 120,
    "buffers": 8,
    "features": {"AcquisitionFrameRate": 150},
}
SIMULATED_CAMERA = {
    "options": {"sensor_shape": [64, 48]},
    "exposure_us": 5000,
}
SIMULATED_STAGE = {
    "device": "microscope.simulators:SimulatedStage",
    "options": {"limits": {"z": {"lower": 0, "upper": 100}}},
}
CAMERAS = [
    Case("sim.bead-camera"),
    Case("replay", options=lambda stack: {"path": stack}),
    Case("replay", captured="sim.bead-camera"),
    Case("genicam", True, lambda _: VIKY),
    Case("micromanager.camera", True, lambda _: DEMO_CAMERA),
    Case(
        "microscope.camera",
        True,
        lambda _: {"device": "microscope.simulators:SimulatedCamera"} | SIMULATED_CAMERA,
    ),
    Case("microscope.simulators:SimulatedCamera", True, lambda _: SIMULATED_CAMERA),
    Case("custom_camera:MyCamera"),
]
MOTORS = [
    Case("sim.focus"),
    Case("sim.magnet-height"),
    Case("sim.magnet-rotation"),
    Case("replay.motor", captured="sim.magnet-height"),
    Case("replay.rotary", captured="sim.magnet-rotation"),
    Case("replay.focus", captured="sim.focus"),
    Case("micromanager.stage", True),
    Case("micromanager.focus", True),
    Case("microscope.stage", True, lambda _: SIMULATED_STAGE | {"nm_per_unit": 1000}),
    Case("microscope.focus", True, lambda _: SIMULATED_STAGE | {"nm_per_unit": -1000}),
    Case("microscope.rotary", True, lambda _: SIMULATED_STAGE | {"turns_per_unit": 0.01}),
    Case("pi-gcs", True, lambda _: peers.focus_options()),
    Case("zaber.linear", True, lambda _: peers.linear_options()),
    Case("zaber.rotary", True, lambda _: peers.rotary_options()),
    Case("custom_motor:MyMotor"),
]


def name_of(case: Case) -> str:
    return case.driver


for_all = pytest.mark.parametrize("case", CAMERAS + MOTORS, ids=name_of)


@pytest.fixture
def options_of(write_stack, frames, examples_on_path, make_capture):
    def options(case):
        if case.captured:
            return {"path": make_capture(case.captured)}
        return case.options(write_stack(frames))

    return options


class TestCameras(CameraTests):
    @pytest.fixture(autouse=True, params=CAMERAS, ids=name_of)
    def _of_a_driver(self, request, options_of):
        self.driver = request.param.driver
        self.options = options_of(request.param)


class TestMotors(MotorTests):
    @pytest.fixture(autouse=True, params=MOTORS, ids=name_of)
    def _of_a_driver(self, request, options_of):
        self.driver = request.param.driver
        self.options = options_of(request.param)


@for_all
def test_a_driver_says_whether_it_can_be_checked_without_waiting(case, options_of):
    subject = Subject.of(case.driver, options_of(case))
    assert subject.has_own_time is case.has_own_time


@for_all
def test_a_device_that_we_can_try_says_its_drivers_name_and_that_no_matter_is_behind_it(
    case, options_of
):
    with create(case.driver, options_of(case)) as device:
        assert device.identity.driver == case.driver
        assert device.identity.is_real is False


@pytest.mark.parametrize("case", CAMERAS, ids=name_of)
def test_the_frames_of_our_cameras_are_not_black(case, options_of):
    driver = load_driver(case.driver)
    clock = None if case.has_own_time else ManualClock()
    context = DeviceContext.standalone(driver, clock=clock, seed=3)
    with create(case.driver, options_of(case), context) as camera:
        out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)
        camera.start()
        deadline_ns = context.clock.monotonic_ns() + 20 * 10**9
        while not out.any():
            assert context.clock.monotonic_ns() < deadline_ns
            camera.fetch_into(out)
            context.clock.sleep_s(0.001)
