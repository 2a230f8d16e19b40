"""A camera and a motor that do all that they should, with every kind of setting."""

from typing import ClassVar

import numpy as np

from hal import (
    Axis,
    Camera,
    FrameFormat,
    FrameInfo,
    Identity,
    LinearMotor,
    Setting,
)
from hal.errors import DisconnectedError, UnsupportedError

FRAMERATE = Setting("framerate_hz", float, "Hz", 1.0, 200.0)
GAIN = Setting("gain_db", float, "dB", 0.0, 24.0)
BINNING = Setting("binning", int, choices=(1, 2, 4))
OFFSET = Setting("offset_dn", int, "DN", -8, 8)
IS_FAST = Setting("is_fast", bool)
TRIGGER = Setting("trigger", str, choices=("free", "line"))
TEMPERATURE = Setting("temperature_k", float, "K", is_read_only=True)
SPEED = Setting("speed_nm_per_s", float, "nm/s", 1.0, 1e5)


class Settings:
    """Keeps settings in a dictionary."""

    has_own_time: ClassVar[bool] = False
    known: ClassVar[dict[Setting, object]] = {}
    is_open = False

    def __init__(self):
        self.values = {setting.name: value for setting, value in self.known.items()}

    @property
    def settings(self):
        return tuple(self.known)

    def get(self, name):
        self.setting(name)
        return self.values[name]

    def set(self, name, value):
        self.values[name] = self.setting(name).check(value)
        return self.values[name]

    def need_open(self):
        if not self.is_open:
            raise DisconnectedError(f"{type(self).__name__} is not open: open it first")


class RightCamera(Settings, Camera):
    """Frame k is due k periods after start; the newest four wait."""

    identity = Identity(
        "nobody", "right camera", "1", driver="right_devices:RightCamera", is_real=False
    )
    frame_format = FrameFormat(12, 10, 16)
    queue_frames = 4
    known: ClassVar = {
        FRAMERATE: 100.0, GAIN: 1.0, BINNING: 1, OFFSET: 0, IS_FAST: False, TRIGGER: "free",
        TEMPERATURE: 293.0,
    }  # fmt: skip
    is_running = False
    next_number = 0
    start_ns = 0

    @property
    def period_ns(self):
        return round(1e9 / self.values["framerate_hz"])

    def set(self, name, value):
        taken = super().set(name, value)
        if name == "framerate_hz" and self.is_running:  # what is due stays due
            self.start_ns = self.last_ns + self.period_ns - self.next_number * self.period_ns
        return taken

    def open(self):
        self.is_open = True

    def close(self):
        self.stop()
        self.is_open = False

    def start(self):
        self.need_open()
        self.is_running, self.next_number = True, 0
        self.last_ns = self.context.clock.now_ns()
        self.start_ns = self.last_ns + self.period_ns

    def stop(self):
        self.is_running = False

    def due_ns(self, number):
        return self.start_ns + number * self.period_ns

    def fetch_into(self, out):
        self.need_open()
        if not self.is_running:
            return None
        newest = (self.context.clock.now_ns() - self.start_ns) // self.period_ns
        if newest < self.next_number:
            return None
        number = max(self.next_number, newest - self.queue_frames + 1)
        out[:] = 1000 + number
        self.next_number, self.last_ns = number + 1, self.due_ns(number)
        return FrameInfo(number, self.last_ns)


class RightMotor(Settings, LinearMotor):
    """Goes straight to its target at its speed; home is at 200 nm."""

    identity = Identity(
        "nobody", "right motor", "1", driver="right_devices:RightMotor", is_real=False
    )
    axis = Axis("nm", -1000.0, 9000.0, resolution=1.0, max_speed=1e5, can_home=True)
    known: ClassVar = {SPEED: 1e4}
    home_nm = 200.0
    origin = goal = 500.0
    left_ns = 0

    def open(self):
        self.is_open = True

    def close(self):
        if self.is_open:
            self.stop()
        self.is_open = False

    def now_ns(self):
        return self.context.clock.monotonic_ns()

    def place(self):
        reach = (self.now_ns() - self.left_ns) / 1e9 * self.values["speed_nm_per_s"]
        return float(np.clip(self.goal, self.origin - reach, self.origin + reach))

    def set(self, name, value):
        if self.is_open:
            self.go(self.goal)
        return super().set(name, value)

    def go(self, target):
        self.origin, self.goal, self.left_ns = self.place(), target, self.now_ns()

    def read_position(self):
        self.need_open()
        return self.place()

    @property
    def is_moving(self):
        self.need_open()
        return self.place() != self.goal

    def begin_move(self, target):
        self.need_open()
        self.go(target)

    def halt(self):
        self.need_open()
        self.go(self.place())

    def begin_home(self):
        self.need_open()
        self.go(self.home_nm)


class HomelessMotor(RightMotor):
    """Has no home, and no settings that may be changed."""

    axis = Axis("nm", -1000.0, 9000.0, resolution=1.0, max_speed=1e5)

    def begin_home(self):
        raise UnsupportedError("right motor has no home position")
