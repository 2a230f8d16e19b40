"""A whole camera: copy it and put your camera's calls in place of the arithmetic."""

import hal
from hal.errors import DisconnectedError


class MyCamera(hal.Camera):
    """Moving stripes; in a rig file: driver = "custom_camera:MyCamera"."""

    identity = hal.Identity("My lab", "stripes", "", "custom_camera:MyCamera", is_real=False)
    frame_format = hal.FrameFormat(width_px=640, height_px=480, bits=8)
    is_open = False

    def __init__(self, framerate_hz: float = 50.0):
        self.period_ns = int(1e9 / framerate_hz)
        self.due_ns = None  # when the next frame is ready; None while no frames are taken

    def open(self):  # noqa: D102
        self.is_open = True
...
