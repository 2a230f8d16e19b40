"""A whole camera: copy it and put the calls of your camera in place of the arithmetic."""
# ruff: noqa: D102

import hal


class MyCamera(hal.Camera):
    """A grey that brightens frame by frame; in a rig file: driver = "custom_camera:MyCamera"."""

    identity = hal.Identity("My lab", "grey", "1", driver="custom_camera:MyCamera", is_real=False)
    frame_format = hal.FrameFormat(width_px=640, height_px=480, bits=8)
    is_open, next_frame, has_own_time = False, None, False  # True: your camera goes on by itself

    def __init__(self, framerate_hz: float = 50.0):
        self.period_ns = round(1e9 / framerate_hz)

    def open(self):
        self.is_open = True

    def close(self):
        self.is_open, self.next_frame = False, None

    def start(self):
        if not self.is_open:
            raise hal.errors.DisconnectedError("MyCamera is not open")
        self.next_frame = hal.FrameInfo(0, self.context.clock.now_ns())

    def stop(self):
        self.next_frame = None

    def fetch_into(self, out):
        if not self.is_open:
            raise hal.errors.DisconnectedError("MyCamera is not open")
        frame = self.next_frame
        if frame is None or self.context.clock.now_ns() < frame.timestamp_ns:
            return None  # never wait here: the system asks again
        out[:] = frame.frame_number % 256
        self.next_frame = hal.FrameInfo(frame.frame_number + 1, frame.timestamp_ns + self.period_ns)
        return frame
