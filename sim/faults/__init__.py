"""Faults as data: what goes wrong, where, when and for how long."""

from sim.faults.kinds import Crash, Delay, Drop, Fault, Hang, fault_from_json
from sim.faults.plan import FaultPlan, PlanError

__all__ = [
    "Crash",
    "Delay",
    "Drop",
    "Fault",
    "FaultPlan",
    "Hang",
    "PlanError",
    "fault_from_json",
]
