"""What must hold in every run, each property a small class that watches one."""

from sim.properties import (
    accounts,
    endings,
    frames,
    idle,
    motors,
    pool,
    readers,
    recording,
    refusals,
    router,
    scripts,
    shutdown,
    sometimes,
)
from sim.properties.base import FrameSeen, Property

__all__ = ["ALL", "FrameSeen", "Property"]

ALL: tuple[type[Property], ...] = (
    *router.PROPERTIES,
    *refusals.PROPERTIES,
    *shutdown.PROPERTIES,
    *endings.PROPERTIES,
    *pool.PROPERTIES,
    *scripts.PROPERTIES,
    *motors.PROPERTIES,
    *frames.PROPERTIES,
    *accounts.PROPERTIES,
    *idle.PROPERTIES,
    *readers.PROPERTIES,
    *recording.PROPERTIES,
    *sometimes.PROPERTIES,
)
