"""Classes of python-microscope as drivers of their own, for a rig file that names one itself."""

import inspect
from functools import cache
from typing import Any

from hal.drivers.microscope.camera import MicroscopeCamera
from hal.drivers.microscope.device import MicroscopeDevice
from hal.drivers.microscope.stage import MicroscopeFocus


@cache  # who asks twice for a driver is given the same class
def camera_driver(device: type, name: str) -> type[MicroscopeCamera]:
    """Return a class of cameras derived from microscope.abc.Camera as a driver.

    Args:
        device: The class.
        name: What the rig file calls it.
    """
    return _driver(MicroscopeCamera, device, name)


@cache
def stage_driver(device: type, name: str) -> type[MicroscopeFocus]:
    """Return a class derived from microscope.abc.Stage or StageAxis as a driver in nm.

    It can be any linear motor, the focus too.

    Args:
        device: The class.
        name: What the rig file calls it.
    """
    return _driver(MicroscopeFocus, device, name)


def _driver(base: type[Any], device: type, name: str) -> type[Any]:
    def __init__(self: MicroscopeDevice, **options: Any) -> None:  # noqa: N807
        base.__init__(self, device, **options)

    signature = inspect.signature(base)
    others = [p for p in signature.parameters.values() if p.name != "device"]
    return type(
        device.__name__,
        (base,),
        {
            "__init__": __init__,
            "__signature__": signature.replace(parameters=others),
            "__doc__": inspect.getdoc(device) or base.__doc__,
            "__module__": device.__module__,
            "driver": name,
        },
    )
