"""Hypothesis' settings for the machines: at the desk, in CI, at night."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from sim.machines.base import Machine, PlanMachine

ENVIRONMENT = "MAGSCOPE_HYPOTHESIS"
_SEARCH = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
# A world takes its time, and most examples are large: that is no sign of a mistake here.
_CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example,
           HealthCheck.filter_too_much)  # fmt: skip
_COMMON: dict[str, Any] = {
    "deadline": None, "suppress_health_check": _CHECKS, "report_multiple_bugs": False,
    "print_blob": True,
}  # fmt: skip
PROFILES: Mapping[str, dict[str, Any]] = MappingProxyType({
    # Other examples each time, and those that failed again first.
    "dev": {"max_examples": 40, "stateful_step_count": 15, "phases": _SEARCH},
    # The same examples each time, on every computer.
    "ci": {"max_examples": 60, "stateful_step_count": 15, "phases": _SEARCH,
           "derandomize": True, "database": None},
    # Steered towards rare states, which pays from about a thousand examples on.
    "nightly": {"max_examples": 3000, "stateful_step_count": 40, "phases": tuple(Phase)},
})  # fmt: skip


def named(name: str) -> settings:
    """Return the settings of a profile.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in PROFILES:
        raise ValueError(f"hypothesis profile {name!r}: choose one of {', '.join(PROFILES)}")
    return settings(settings.get_profile("default"), **{**_COMMON, **PROFILES[name]})


def of(machine: type[Machine], name: str) -> settings:
    """Return a profile's settings for a machine.

    One that writes plans has made a failing one small by delta debugging already, in a few runs;
    hypothesis takes hundreds, of worlds, to do the same to its rules, for which CI does not wait.

    Raises:
        ValueError: There is no profile of this name.
    """
    chosen = named(name)
    if chosen.derandomize and issubclass(machine, PlanMachine):
        phases = tuple(phase for phase in chosen.phases if phase is not Phase.shrink)
        chosen = settings(chosen, phases=phases)
    return chosen


def load(name: str | None = None) -> settings:
    """Make a profile hypothesis' default, as `magscope-NAME`, and return it.

    Args:
        name: `dev`, `ci` or `nightly`; what the environment's `MAGSCOPE_HYPOTHESIS` says if None,
            or else `dev`.

    Raises:
        ValueError: There is none of this name.
    """
    name = name or os.environ.get(ENVIRONMENT) or "dev"
    chosen = named(name)
    settings.register_profile(f"magscope-{name}", chosen)
    settings.load_profile(f"magscope-{name}")
    return chosen
