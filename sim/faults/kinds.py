"""Every kind of fault by its name, and a fault from plain data."""

from dataclasses import fields
from typing import Any

from sim.faults import clocks, disks, instruments, memory, messages, processes
from sim.faults.base import Fault, mistakes

KINDS: dict[str, type[Fault]] = {
    cls.kind: cls
    for cls in (
        processes.Crash,
        processes.Hang,
        processes.Delay,
        processes.Raise,
        messages.Drop,
        messages.DelayMessage,
        messages.Duplicate,
        messages.Reorder,
        messages.Corrupt,
        messages.Oversize,
        messages.PipeFull,
        messages.PipeClosed,
        messages.SlowReader,
        clocks.ClockJump,
        clocks.CoarseClock,
        clocks.LateTimers,
        memory.MemoryMissing,
        memory.StaleMemory,
        disks.DiskFull,
        disks.DiskReadOnly,
        disks.SlowDisk,
        disks.FsyncFails,
        disks.FileGone,
        disks.TornWrite,
        instruments.CameraDrop,
        instruments.CameraLate,
        instruments.CameraDuplicate,
        instruments.CameraTorn,
        instruments.CameraBurst,
        instruments.CameraDisconnect,
        instruments.CameraRefuse,
        instruments.CameraTimeout,
        instruments.CameraBlocks,
        instruments.MotorStall,
        instruments.MotorOvershoot,
        instruments.MotorLimit,
        instruments.MotorLostSteps,
        instruments.MotorDisconnect,
        instruments.MotorSlow,
        instruments.MotorBlocks,
        instruments.MotorStuck,
    )
}


def fault_from_json(data: Any) -> Fault:
    """Return the fault that plain data describes.

    Raises:
        ValueError: It describes none; the text names every mistake.
    """
    kind = data.get("kind") if isinstance(data, dict) else data
    if not isinstance(data, dict) or not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"fault of kind {kind!r}: choose one of {', '.join(KINDS)}")
    cls = KINDS[kind]
    given = {name: value for name, value in data.items() if name != "kind"}
    defaults = {f.name: f.default for f in fields(cls) if f.name in ("process", "at_s")}
    if found := mistakes(cls, {**_set(defaults), **given}):
        raise ValueError(f"{kind}: {'; '.join(found)}")
    return cls(**given)


def _set(defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults that there are."""
    return {name: value for name, value in defaults.items() if isinstance(value, (str, float))}
