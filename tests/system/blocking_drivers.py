"""Devices whose driver does not return from a call until a test lets it, as on a frozen peer."""

import os
import threading

import hal
from sim.devices.camera import BeadCamera

HERE = {"driver": "blocking_drivers", "vendor": "nobody", "serial": "", "is_real": False}


class Blocking:
    """Blocks in the named call, in the operating system, until `gate`, a FIFO, has been opened."""

    def block(self, call):
        if call == self.call and not self.has_blocked:
            self.has_blocked = True
            os.close(os.open(self.gate, os.O_RDONLY))

    def note(self, text):
        with open(self.gate + ".log", "a") as file:  # noqa: PTH123 - a path in an option
            file.write(f"{text} in {threading.current_thread().name}\n")


class BlockingFocus(hal.FocusMotor, Blocking):
    """Is at once where it is told to go."""

    axis = hal.Axis("nm", lower=-1e4, upper=1e4, resolution=1.0, max_speed=1e6)
    identity = hal.Identity(model="focus", **HERE)
    is_open = False
    is_moving = False
    has_own_time = False

    def __init__(self, gate, call):
        self.gate, self.call, self.has_blocked = gate, call, False
        self.at_nm = 0.0

    def open(self):
        self.block("open")
        self.note("open")
        self.is_open = True

    def close(self):
        if self.is_open:
            self.note("close")
        self.is_open = False

    def read_position(self):
        self.block("read_position")
        return self.at_nm

    def begin_move(self, target):
        self.block("begin_move")
        self.at_nm = target

    def halt(self):
        self.note("halt")
        self.block("halt")


class BlockingCamera(BeadCamera, Blocking):
    """The camera of beads, whose fourth frame may take long."""

    def __init__(self, gate, call, **options):
        super().__init__(**options)
        self.gate, self.call, self.has_blocked = gate, call, False
        self.frames = 0

    def fetch_into(self, out):
        self.frames += 1
        if self.frames > 3:
            self.block("fetch_into")
        return super().fetch_into(out)
