"""Drivers as labs have written them for MagScope: of this project they know the names alone."""

import time

import numpy as np

from magscope.camera import CameraBase
from magscope.hardware import FocusMotorBase, HardwareManagerBase


class MyCamera(CameraBase):
    """Frame k is a grey of k modulo 256 with the row numbers added, at 200 frames a second."""

    width = 48
    height = 32
    bits = 8
    dtype = np.uint8
    nm_per_px = 5000.0
    settings = ["framerate", "gain"]  # noqa: RUF012 - so labs write it

    def __init__(self):
        super().__init__()
        self._settings = {"framerate": "200", "gain": "1"}
        self._count = 0
        self._released = 0

    def connect(self, video_buffer):
        self.video_buffer = video_buffer
        self._rows = np.arange(self.height, dtype=np.uint8)[:, None]
        self._start = time.time()
        self.is_connected = True

    def fetch(self):
        due = (time.time() - self._start) * float(self._settings["framerate"])
        if self._count >= due:
            return
        image = np.full((self.height, self.width), self._count % 256, np.uint8) + self._rows
        self.video_buffer.write_image_and_timestamp(image.tobytes(), time.time())
        self._count += 1

    def release(self):
        self._released += 1

    def release_all(self):
        self._released = self._count

    def get_setting(self, name):
        return self._settings[name]

    def set_setting(self, name, value):
        self._settings[name] = value


class MyThermometer(HardwareManagerBase):
    """Two columns: the time, and a temperature that rises by one with each reading."""

    buffer_shape = (1000, 2)

    def __init__(self):
        super().__init__()
        self._reading = 0

    def connect(self):
        self._is_connected = True

    def disconnect(self):
        self._is_connected = False

    def fetch(self):
        self._reading += 1
        self._buffer.write(np.array([[time.time(), 20.0 + self._reading]]))


class MyFocus(FocusMotorBase):
    """Moves at once."""

    def __init__(self):
        super().__init__()
        self._z = 1000.0

    def connect(self):
        self._is_connected = True

    def disconnect(self):
        self._is_connected = False

    def move_absolute(self, z):
        self._z = float(z)
        self._target_z = float(z)

    def get_current_z(self):
        return self._z

    def get_is_moving(self):
        return False

    def get_position_limits(self):
        return (0.0, 10_000.0)
