"""The two statistics of a score: an interval for a share, and the median of censored times."""

import math
from collections.abc import Iterable

Z_95 = 1.959963984540054


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Return the interval for a share (Wilson, J. Am. Stat. Assoc. 22, 209, 1927).

    Args:
        successes: How often it happened.
        trials: Of how many times; with none, nothing is known: 0 to 1.
        z: Quantile of the normal distribution; that of 95 %.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials: expected 0 to {trials}")
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    scale = 1.0 / (1.0 + z * z / trials)
    middle = scale * (share + z * z / (2 * trials))
    half = scale * z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    # At the ends the bound is exact, and rounding must not move it.
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
    return low, high


def censored_median(times: Iterable[tuple[float, bool]]) -> float | None:
    """Return the median time to an event (Kaplan and Meier, J. Am. Stat. Assoc. 53, 457, 1958).

    Args:
        times: For each trial how long it was watched, and whether the event came then. One that
            ended without it counts as watched for so long, and says nothing of later.

    Returns:
        The first time by which half of the trials have seen the event; None if that is later than
        what was watched.
    """
    # Of one moment the events come first: who was watched until then was there to see them.
    ordered = sorted(times, key=lambda item: (item[0], not item[1]))
    waiting = len(ordered)
    surviving = 1.0
    for time, has_come in ordered:
        if has_come:
            surviving *= 1 - 1 / waiting
            if surviving <= 0.5 + 1e-12:
                return time
        waiting -= 1
    return None
