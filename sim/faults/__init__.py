"""Faults as data: what goes wrong, where, when and for how long."""

from sim.faults.base import STATES, Fault, LastingFault
from sim.faults.clocks import ClockJump, CoarseClock, LateTimers
from sim.faults.disks import DiskFull, DiskReadOnly, FsyncFails, SlowDisk, TornWrite
from sim.faults.errors import InjectedError
from sim.faults.instruments import (
    CameraBurst,
    CameraDisconnect,
    CameraDrop,
    CameraDuplicate,
    CameraLate,
    CameraRefuse,
    CameraTimeout,
    CameraTorn,
    DeviceFault,
    MotorDisconnect,
    MotorLimit,
    MotorLostSteps,
    MotorOvershoot,
    MotorSlow,
    MotorStall,
    MotorStuck,
)
from sim.faults.kinds import KINDS, fault_from_json
from sim.faults.memory import MemoryMissing, StaleMemory
from sim.faults.messages import (
    Corrupt,
    DelayMessage,
    Drop,
    Duplicate,
    Oversize,
    PipeClosed,
    PipeFull,
    Reorder,
    SlowReader,
)
from sim.faults.plan import FaultPlan, PlanError
from sim.faults.processes import Crash, Delay, Hang, Raise

__all__ = [
    "KINDS",
    "STATES",
    "CameraBurst",
    "CameraDisconnect",
    "CameraDrop",
    "CameraDuplicate",
    "CameraLate",
    "CameraRefuse",
    "CameraTimeout",
    "CameraTorn",
    "ClockJump",
    "CoarseClock",
    "Corrupt",
    "Crash",
    "Delay",
    "DelayMessage",
    "DeviceFault",
    "DiskFull",
    "DiskReadOnly",
    "Drop",
    "Duplicate",
    "Fault",
    "FaultPlan",
    "FsyncFails",
    "Hang",
    "InjectedError",
    "LastingFault",
    "LateTimers",
    "MemoryMissing",
    "MotorDisconnect",
    "MotorLimit",
    "MotorLostSteps",
    "MotorOvershoot",
    "MotorSlow",
    "MotorStall",
    "MotorStuck",
    "Oversize",
    "PipeClosed",
    "PipeFull",
    "PlanError",
    "Raise",
    "Reorder",
    "SlowDisk",
    "SlowReader",
    "StaleMemory",
    "TornWrite",
    "fault_from_json",
]
