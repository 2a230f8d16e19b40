"""The hardware abstraction layer: what a camera and a motor are, whoever made them.

A driver's author needs this package alone. Read `Camera`, `Motor` and `hal.errors`, in this order.
"""

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.clock import Clock, MachineClock
from hal.device import Device, DeviceContext, Identity, Setting
from hal.motor import Axis, FocusMotor, LinearMotor, Motor, RotaryMotor
from hal.record import SharedRecord
from hal.support import Support

__all__ = [
    "Axis",
    "Camera",
    "Clock",
    "Device",
    "DeviceContext",
    "FocusMotor",
    "FrameFormat",
    "FrameInfo",
    "Identity",
    "LinearMotor",
    "MachineClock",
    "Motor",
    "RotaryMotor",
    "Setting",
    "SharedRecord",
    "Support",
]
