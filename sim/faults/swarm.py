"""Faults drawn at random."""

from collections.abc import Mapping, Sequence

from sim.faults.kinds import Crash, Hang
from sim.faults.plan import FaultPlan
from sim.world.schedules import Bits


def draw_faults(
    bits: Bits, processes: Sequence[str], sites: Mapping[str, Sequence[str]] | None, for_s: float
) -> FaultPlan:
    """Return a few faults."""
    faults = []
    for _ in range(bits.below(3)):
        p = processes[bits.below(len(processes))]
        at = bits.below(1000) / 1000 * for_s
        faults.append(Crash(p, at_s=at) if bits.below(2) else Hang(p, at_s=at, for_s=0.5))
    return FaultPlan(tuple(faults))
