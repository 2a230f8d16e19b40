"""Devices that reach around the seam, as they are written who know only the documented names."""

import os
import random
import threading
import time
from datetime import datetime
from time import monotonic, sleep

import numpy as np

from magscope.camera import CameraBase
from magscope.hardware import HardwareManagerBase
from magscope.utils import Message

STEPS = frozenset({"ascend", "brake", "climb", "drift", "ease", "fall", "glide", "halt"})


class Gauge(HardwareManagerBase):
    """Takes a reading ten times a second."""

    def connect(self):
        self._is_connected = True
        self._next_s = 0.0

    def disconnect(self):
        pass

    def read(self):
        return 0.0

    def fetch(self):
        self._buffer.write(np.array([[0.0, self.read()]]))


class WallClockGauge(Gauge):
    def read(self):
        return time.time()


class RandomGauge(Gauge):
    def read(self):
        return random.random()


class EntropyGauge(Gauge):
    def read(self):
        return os.urandom(1)[0]


class ThreadGauge(Gauge):
    def connect(self):
        super().connect()
        threading.Thread(target=print).start()


class LockGauge(Gauge):
    def connect(self):
        super().connect()
        self._lock = threading.Lock()
        self._lock.acquire()

    def read(self):
        self._lock.acquire()
        return 0.0


class QuietGauge(Gauge):
    """Hides what it was told."""

    def read(self):
        try:
            return time.time()
        except Exception:
            return 0.0


class SetGauge(Gauge):
    """Sends what it finds in a set of words, in the order in which it comes."""

    def connect(self):
        super().connect()
        for word in STEPS:
            self.send_ipc(Message(type(self), "take", word))

    def take(self, word):
        pass


class WallClockCamera(CameraBase):
    width, height, bits, dtype, nm_per_px = 48, 32, 8, np.uint8, 5000.0
    settings = ("framerate",)

    def connect(self, video_buffer):
        self.video_buffer, self.is_connected = video_buffer, True
        self._next_s = time.time()

    def fetch(self):
        if time.time() >= self._next_s:
            image = np.full((self.height, self.width), round(self._next_s * 50) % 256, np.uint8)
            self.video_buffer.write_image_and_timestamp(image.tobytes(), time.time())
            self._next_s += 0.02

    def release(self):
        pass

    def get_setting(self, name):
        return "50"

    def set_setting(self, name, value):
        pass


class RandomCamera(WallClockCamera):
    def fetch(self):
        np.random.default_rng().integers(0, 255, (self.height, self.width), np.uint8)


class SleepyGauge(Gauge):
    """Reads every clock, sleeps, and is in a hurry now and then."""

    def read(self):
        began_s = monotonic()
        sleep(0.05)
        while monotonic() < began_s + 0.06:
            pass
        now = datetime.now()  # noqa: DTZ005
        assert abs(now.timestamp() - time.time()) < 0.001
        return time.time() + monotonic() + time.perf_counter()
