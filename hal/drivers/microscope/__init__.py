"""Any camera and any stage of python-microscope (the package `microscope`), its own or others'.

A rig file may also name such a class itself, as `microscope.simulators:SimulatedCamera`: it is made
a driver by `adapting`, to which the entry points of the group `magscope.adapters` lead.
"""

from hal.drivers.microscope.camera import MicroscopeCamera
from hal.drivers.microscope.stage import MicroscopeFocus, MicroscopeRotary, MicroscopeStage

__all__ = ["MicroscopeCamera", "MicroscopeFocus", "MicroscopeRotary", "MicroscopeStage"]
