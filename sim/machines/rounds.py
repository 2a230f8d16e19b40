"""A machine run in rounds of examples, for so many seconds."""

import time
from dataclasses import dataclass
from typing import Any

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

import sim.machines
from sim.machines.profiles import of


@dataclass(frozen=True)
class Ran:
    """What came of a machine's rounds."""

    machine: str
    rounds: int
    examples: int
    seconds: float
    failure: str = ""


def run(machine: str, profile: str, first: int, budget_s: float) -> Ran:
    """Run a machine, round after round, until so many seconds are over or a round has failed.

    Args:
        machine: Its name.
        profile: Of `sim.machines.profiles`.
        first: The first round's number, which is its seed.
        budget_s: When no further round is begun; one is run in any case.
    """
    cls = getattr(sim.machines, machine)
    chosen = of(cls, profile)
    began_s = time.perf_counter()
    examples = rounds = 0

    def make() -> Any:
        nonlocal examples
        examples += 1
        return cls()

    while not rounds or time.perf_counter() - began_s < budget_s:
        try:
            run_state_machine_as_test(seed(first + rounds)(make), settings=chosen)  # type: ignore[arg-type]
        except Exception as error:  # whatever a rule raises
            text = "\n".join([f"round {first + rounds}: {error}", *getattr(error, "__notes__", ())])
            return Ran(machine, rounds + 1, examples, time.perf_counter() - began_s, text)
        rounds += 1
    return Ran(machine, rounds, examples, time.perf_counter() - began_s)
