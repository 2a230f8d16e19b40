"""Small rigs for worlds, and devices that go wrong in them."""

import numpy as np

from magscope.hardware import HardwareManagerBase
from magscope.runtime import current

SMALL = """
[camera]
driver = "sim.bead-camera"
options = { width_px = 128, height_px = 128, n_tethered = 1, n_stuck = 0 }
[beads]
rois = [[32, 96, 32, 96]]
[settings]
"video buffer n images" = 20
"video processors n" = 2
"""

FRAGILE = (
    SMALL
    + """
[motors.fragile]
driver = "world_rigs:Fragile"
options = { at_s = 0.6 }
[motors.focus]
driver = "sim.focus"
"""
)


class Fragile(HardwareManagerBase):
    """Takes readings until it fails."""

    def __init__(self, at_s):
        super().__init__()
        self.at_s = at_s

    def connect(self):
        self.begin_ns = current().clock.monotonic_ns()

    def disconnect(self):
        pass

    def fetch(self):
        seconds = (current().clock.monotonic_ns() - self.begin_ns) / 1e9
        self._buffer.write(np.array([[seconds, 0.0]]))
        if seconds > self.at_s:
            raise RuntimeError("the fragile device is broken")
