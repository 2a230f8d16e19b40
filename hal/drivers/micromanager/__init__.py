"""Any camera and any stage that Micro-Manager has an adapter for, through `pymmcore-nano`.

Micro-Manager's own demonstration adapter comes with the extra `micromanager`, so that the whole
path can be tried without hardware.
"""

from hal.drivers.micromanager.camera import MicroManagerCamera
from hal.drivers.micromanager.stage import MicroManagerFocus, MicroManagerStage

__all__ = ["MicroManagerCamera", "MicroManagerFocus", "MicroManagerStage"]
