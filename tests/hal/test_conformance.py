"""What every camera and every motor does, tried out on every driver that we ship."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
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
    """

    driver: str
    has_own_time: bool = False
    options: Callable[[Any], dict[str, Any]] = lambda _: {}


DEMO_CAMERA = {
    "width_px": 64,
    "height_px": 48,
    "buffer_mb": 4,
    "properties": {"AsyncPropertyDelayMS": 0},  # else closing waits for 2 s
}
CAMERAS = [
    Case("sim.bead-camera"),
    Case("replay", options=lambda stack: {"path": stack}),
    Case("micromanager.camera", True, lambda _: DEMO_CAMERA),
    Case("custom_camera:MyCamera"),
]
MOTORS = [
    Case("sim.focus"),
    Case("sim.magnet-height"),
    Case("sim.magnet-rotation"),
    Case("micromanager.stage", True),
    Case("micromanager.focus", True),
    Case("custom_motor:MyMotor"),
]


def name_of(case: Case) -> str:
    return case.driver


for_all = pytest.mark.parametrize("case", CAMERAS + MOTORS, ids=name_of)


@pytest.fixture
def stack(write_stack, frames, examples_on_path):
    return write_stack(frames)


class TestCameras(CameraTests):
    @pytest.fixture(autouse=True, params=CAMERAS, ids=name_of)
    def _of_a_driver(self, request, stack):
        self.driver = request.param.driver
        self.options = request.param.options(stack)


class TestMotors(MotorTests):
    @pytest.fixture(autouse=True, params=MOTORS, ids=name_of)
    def _of_a_driver(self, request, stack):
        self.driver = request.param.driver
        self.options = request.param.options(stack)


@for_all
def test_a_driver_says_whether_it_can_be_checked_without_waiting(case, stack):
    subject = Subject.of(case.driver, case.options(stack))
    assert subject.has_own_time is case.has_own_time


@for_all
def test_a_device_that_we_can_try_says_its_drivers_name_and_that_no_matter_is_behind_it(
    case, stack
):
    with create(case.driver, case.options(stack)) as device:
        assert device.identity.driver == case.driver
        assert device.identity.is_real is False


@pytest.mark.parametrize("case", CAMERAS, ids=name_of)
def test_the_frames_of_our_cameras_are_not_black(case, stack):
    driver = load_driver(case.driver)
    clock = None if case.has_own_time else ManualClock()
    context = DeviceContext.standalone(driver, clock=clock, seed=3)
    with create(case.driver, case.options(stack), context) as camera:
        out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)
        camera.start()
        deadline_ns = context.clock.monotonic_ns() + 20 * 10**9
        while not out.any():
            assert context.clock.monotonic_ns() < deadline_ns
            camera.fetch_into(out)
            context.clock.sleep_s(0.001)
