"""A camera and a focus motor as they were written for MagScope run unchanged.

    python examples/existing_drivers.py

Or name them in a rig file: driver = "existing_drivers:OldCamera".
"""
# ruff: noqa: D102

import time

import numpy as np

from magscope.camera import CameraBase
from magscope.hardware import FocusMotorBase
from magscope.scope import MagScope

SECONDS = 5.0


class OldCamera(CameraBase):
    """Noise at 50 frames a second."""

    width, height, bits, dtype, nm_per_px = 320, 240, 8, np.uint8, 5000.0
    settings = ("framerate",)

    def connect(self, video_buffer):
        self.video_buffer, self.is_connected = video_buffer, True
        self.framerate, self.next_s = 50.0, time.time()

    def fetch(self):
        if time.time() >= self.next_s:
            image = np.random.default_rng().integers(0, 255, (self.height, self.width), np.uint8)
            self.video_buffer.write_image_and_timestamp(image.tobytes(), self.next_s)
            self.next_s += 1 / self.framerate

    def release(self):
        pass  # it has no buffers of its own

    def get_setting(self, name):
        return str(self.framerate)

    def set_setting(self, name, value):
        self.framerate = float(value)


class OldFocus(FocusMotorBase):
    """Is at once where it is sent."""

    z_nm = 0.0

    def connect(self):
        self._is_connected = True

    def disconnect(self):
        self._is_connected = False

    def move_absolute(self, z):
        self.z_nm = z

    def get_current_z(self):
        return self.z_nm

    def get_is_moving(self):
        return False

    def get_position_limits(self):
        return (-50_000.0, 50_000.0)


if __name__ == "__main__":
    scope = MagScope()
    scope.camera_manager.camera = OldCamera()
    scope.add_hardware(OldFocus("focus"))
    scope.run_for_s = SECONDS
    scope.start()
    print(scope.report.frames)
