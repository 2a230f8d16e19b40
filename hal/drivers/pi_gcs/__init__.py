"""PI's piezo controllers that speak the General Command Set 2, through `pipython`."""

from hal.drivers.pi_gcs.focus import PiGcsFocus

__all__ = ["PiGcsFocus"]
