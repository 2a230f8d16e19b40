"""Ranges of seeds, and how a person writes one."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator


def parse(text: str) -> tuple[int, int]:
    """Return `(first, end)` of `A:B`, B not included.

    Raises:
        ValueError: It is no range, or an empty one.
    """
    match = re.fullmatch(r"(\d+):(\d+)", text.strip())
    if match is None:
        raise ValueError(f"{text!r}: expected A:B with whole numbers, as in 0:1000")
    first, end = int(match[1]), int(match[2])
    if first >= end:
        raise ValueError(f"{text!r}: no seed is in it; B is the first that is left out")
    return first, end


class Seeds:
    """A set of whole numbers from 0, kept as ranges: a million of them cost what one does."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        return sum(self._ends) - sum(self._firsts)

    def __contains__(self, seed: int) -> bool:
        place = bisect_right(self._firsts, seed)
        return place > 0 and seed < self._ends[place - 1]

    def add(self, first: int, end: int) -> bool:
        """Add a range; False, and nothing is added, if one of its seeds was there already."""
        place = bisect_right(self._firsts, first)
        if place and first < self._ends[place - 1]:
            return False
        if place < len(self._firsts) and self._firsts[place] < end:
            return False
        joins_left = place > 0 and self._ends[place - 1] == first
        joins_right = place < len(self._firsts) and self._firsts[place] == end
        if joins_left and joins_right:
            self._ends.pop(place - 1)
            self._firsts.pop(place)
        elif joins_left:
            self._ends[place - 1] = end
        elif joins_right:
            self._firsts[place] = first
        else:
            self._firsts.insert(place, first)
            self._ends.insert(place, end)
        return True

    def count(self, first: int, end: int | None) -> int:
        """Return how many seeds of a range are in the set."""
        return sum(
            max(0, (b if end is None else min(b, end)) - max(a, first))
            for a, b in zip(self._firsts, self._ends, strict=True)
        )

    def missing(self, first: int, end: int | None, most: int) -> Iterator[tuple[int, int]]:
        """Yield what is not in the set, in order, in ranges of at most `most` seeds.

        The set must not change meanwhile.

        Args:
            first: Where to begin.
            end: The first seed that is of no interest; None: there is no end.
            most: Seeds in a range.
        """
        while end is None or first < end:
            place = bisect_right(self._firsts, first)
            if place and first < self._ends[place - 1]:
                first = self._ends[place - 1]
                continue
            stop = first + most
            if place < len(self._firsts):
                stop = min(stop, self._firsts[bisect_left(self._firsts, first)])
            if end is not None:
                stop = min(stop, end)
            yield first, stop
            first = stop
