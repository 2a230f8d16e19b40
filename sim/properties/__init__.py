"""What must hold in every run, each property a small class that watches one."""

from sim.properties.base import FrameSeen, Property

__all__ = ["ALL", "FrameSeen", "Property"]

ALL: tuple[type[Property], ...] = ()
