"""Any camera that has a GenTL producer (a `.cti` file), through `harvesters` and `genicam`.

A producer that needs no camera comes inside the extra `genicam`, so that the whole path can be
tried without hardware: `producer = "viky"`.
"""

from hal.drivers.genicam.camera import GenicamCamera

__all__ = ["GenicamCamera"]
