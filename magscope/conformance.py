"""Drivers as the conformance kit checks them: those of `hal`, and those written for MagScope."""

from collections.abc import Mapping
from typing import Any

from hal.testing import Subject


def subject_of(
    driver: str,
    options: Mapping[str, Any] | None = None,
    *,
    seconds: float = 20.0,
    leave_alone: frozenset[str] = frozenset(),
) -> Subject:
    """Return what is checked of a driver; see `hal.testing.Subject.of`."""
    return Subject.of(driver, options, seconds=seconds, leave_alone=leave_alone)
