"""Cameras and motors that go wrong: each stands in front of a device, and uses it."""

from collections.abc import Callable
from typing import Any

from hal.camera import Camera
from hal.device import Device
from hal.motor import FocusMotor, LinearMotor, RotaryMotor
from sim.faults.devices.camera import FaultyCamera
from sim.faults.devices.device import Trouble
from sim.faults.devices.motor import FaultyFocusMotor, FaultyLinearMotor, FaultyRotaryMotor

__all__ = ["Trouble", "in_trouble"]

_IN_FRONT: dict[type[Device], Any] = {
    Camera: FaultyCamera,
    FocusMotor: FaultyFocusMotor,
    LinearMotor: FaultyLinearMotor,
    RotaryMotor: FaultyRotaryMotor,
}


def in_trouble(device: Device, trouble: Trouble, visit: Callable[[str], None]) -> Device:
    """Return what stands in front of a camera or a motor, and lets it have its faults.

    Args:
        device: Not yet open.
        trouble: What is the matter with it.
        visit: Told of each operation by its site, before it is done.
    """
    for kind, in_front in _IN_FRONT.items():
        if isinstance(device, kind):
            faulty: Device = in_front(device, trouble, visit)
            return faulty
    return device
