"""Delta debugging: the fewest causes with which a run still fails in the same way."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Cause = TypeVar("Cause")


def ddmin(
    causes: Sequence[Cause], fails: Callable[[Sequence[Cause]], bool], *, most_runs: int = 500
) -> tuple[list[Cause], int]:
    """Return a smallest list of causes that still fails, and how many runs that took.

    Removing any one cause of the result makes the failure go away, unless the runs were used up
    (Zeller and Hildebrandt, 2002, complements only).

    Args:
        causes: With all of which the run fails.
        fails: Runs with some of them, in the order given, and tells whether it fails in this way.
        most_runs: When to be content with what there is.
    """
    runs = 0
    left = list(causes)
    if left:
        runs += 1
        if fails([]):
            return [], runs
    pieces = 2
    while len(left) > 1 and runs < most_runs:
        size = -(-len(left) // pieces)
        for start in range(0, len(left), size):
            without = left[:start] + left[start + size :]
            runs += 1
            if fails(without):
                left, pieces = without, max(pieces - 1, 2)
                break
            if runs >= most_runs:
                break
        else:
            if size == 1:
                break
            pieces = min(2 * pieces, len(left))
    return left, runs
