"""The simulated rig, and the virtual world in which the whole system runs in virtual time.

`sim.run` and `sim.World` are loaded when they are first asked for: the simulated devices need
neither.
"""

from typing import Any

__all__ = ["Outcome", "World", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sim.world import world

        return getattr(world, name)
    raise AttributeError(f"module 'sim' has no attribute {name!r}")
