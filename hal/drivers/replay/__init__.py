"""Devices that play what was taken before: TIFF stacks, and captures of a whole session."""

from hal.drivers.replay.camera import ReplayCamera
from hal.drivers.replay.motors import ReplayFocus, ReplayMotor, ReplayRotary

__all__ = ["ReplayCamera", "ReplayFocus", "ReplayMotor", "ReplayRotary"]
