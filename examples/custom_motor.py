"""A whole motor: copy it and put the calls of your motor in place of the arithmetic."""
# ruff: noqa: D102

import hal


class MyMotor(hal.LinearMotor):
    """Goes at 1 mm/s from 0 to 10 mm; in a rig file: driver = "custom_motor:MyMotor"."""

    identity = hal.Identity("My lab", "slide", "1", driver="custom_motor:MyMotor", is_real=False)
    axis = hal.Axis("nm", lower=0.0, upper=1e7, resolution=1.0, max_speed=1e6)
    is_open, has_own_time = False, False  # True: your motor goes on by itself
    origin_nm = goal_nm = left_at_ns = 0

    def open(self):
        self.is_open = True

    def close(self):
        if self.is_open:
            self.stop()
        self.is_open = False

    def read_position(self):
        if not self.is_open:
            raise hal.errors.DisconnectedError("MyMotor is not open")
        elapsed_s = (self.context.clock.monotonic_ns() - self.left_at_ns) / 1e9
        reach_nm = elapsed_s * self.axis.max_speed
        return min(max(self.goal_nm, self.origin_nm - reach_nm), self.origin_nm + reach_nm)

    @property
    def is_moving(self):
        return self.read_position() != self.goal_nm

    def begin_move(self, target):
        self.origin_nm, self.goal_nm = self.read_position(), target
        self.left_at_ns = self.context.clock.monotonic_ns()

    def halt(self):
        self.begin_move(self.read_position())
