"""Cameras with GigE Vision, without their maker's software, through `telegenicam`."""

from hal.drivers.gigevision.camera import GigeVisionCamera

__all__ = ["GigeVisionCamera"]
