"""Zaber's stages, linear and rotary, through `zaber-motion`.

The library's core is written in Go, whose threads do not survive a fork. The process that reads the
rig file looks at the driver's class, and then forks the manager that opens the stage; so nothing
here imports the library before `open` does. Whether it is installed is all that is asked for.
"""

from importlib.util import find_spec

if find_spec("zaber_motion") is None:
    raise ModuleNotFoundError("No module named 'zaber_motion'", name="zaber_motion")

from hal.drivers.zaber.models import Zaber, ZaberLinear, ZaberRotary

__all__ = ["Zaber", "ZaberLinear", "ZaberRotary"]
