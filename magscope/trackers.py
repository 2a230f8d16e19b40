"""The function that finds the beads in a stack's crops, by its name in the rig file."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from magscope.tracking import Tracked

# Called with the crops and the Z-LUT or None, as `magscope.tracking.track_crops` is.
Tracker = Callable[[np.ndarray, np.ndarray | None], "Tracked"]

BUILT_IN = "magscope.tracking:track_crops"


def load_tracker(name: str) -> Tracker:
    """Return the tracker `package.module:function`.

    Raises:
        ValueError: There is no such function.
    """
    module, _, function = name.partition(":")
    problem = "it is no function"
    try:
        tracker: Tracker = getattr(import_module(module), function)
        if callable(tracker):
            return tracker
    except (ImportError, AttributeError, ValueError) as error:
        problem = str(error)
    raise ValueError(f"tracker {name!r}: expected 'package.module:function': {problem}")
