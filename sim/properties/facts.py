"""What all properties need to know of a run: who is who, what was asked, what is excused."""

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

from hal.clock import NS_PER_S
from magscope.processes import ManagerProcessBase
from sim.faults import (
    KINDS,
    CameraBlocks,
    CameraBurst,
    CameraDrop,
    CameraDuplicate,
    CameraLate,
    CameraTorn,
    DeviceFault,
    DiskFull,
    DiskReadOnly,
    FsyncFails,
    MemoryMissing,
    MotorBlocks,
    MotorLostSteps,
    MotorOvershoot,
    Oversize,
    PipeClosed,
    Raise,
    SlowReader,
)
from sim.properties.ring import Stacks
from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.process import VirtualProcess
    from sim.world.world import World

EVERYBODY = "ManagerProcessBase"
CAMERA, VIDEO, RECORDER = "CameraManager", "VideoProcessorManager", "RecordingManager"
WORKER = "VideoWorker-"
FOREVER_NS = math.inf
_RAISES = (
    DeviceFault, DiskFull, DiskReadOnly, FsyncFails, MemoryMissing, Oversize, PipeClosed, Raise,
)  # fmt: skip
# The device does these, and tells nobody: its manager has no reason to do anything else than ever.
_IN_SILENCE = (
    CameraBlocks, CameraBurst, CameraDrop, CameraDuplicate, CameraLate, CameraTorn, MotorBlocks,
    MotorLostSteps, MotorOvershoot,
)  # fmt: skip
KINDS_THAT_RAISE = frozenset(
    kind
    for kind, cls in KINDS.items()
    if issubclass(cls, _RAISES) and not issubclass(cls, _IN_SILENCE)
)
_RAISING = frozenset(f"fault.{kind}" for kind in KINDS_THAT_RAISE)
_FAULTS = tuple(f"fault.{kind}" for kind in KINDS)


def _classes(cls: type) -> list[str]:
    """Return the names of a manager's classes, up to the one that is everybody's."""
    names = [base.__name__ for base in cls.__mro__]
    return names[: names.index(EVERYBODY) + 1]


class Facts:
    """Facts about a run that every property may ask for.

    Args:
        world: The run.

    Attributes:
        said: The newest state that each manager has said of itself, by its name.
        said_ns: When it said so.
        ran: When each manager has said that it is up.
        session_ends_ns: When the router began to end the session; None before.
        asked_ns: When somebody first gave cause for the session to end; None before.
        asked_by: Who that was, and how, in words.
        asker: The process that gave cause for it.
        tampered_ns: When a fault last changed what is in a pipe, by the end that it was written to.
        raising: The processes in which a fault has raised an exception, or a device was at fault.
        terminated: The processes that were told to terminate, which may be cut short anywhere.
        struck_ns: When a fault has last struck.
        stacks: The frames, and the stacks that were handed out.
        stalls: Until when a probe was told not to read, by its name.
    """

    def __init__(self, world: "World") -> None:
        self.world = world
        self.said: dict[str, str] = {}
        self.said_ns: dict[str, int] = {}
        self.ran: dict[str, int] = {}
        self.session_ends_ns: int | None = None
        self.asked_ns: int | None = None
        self.asked_by, self.asker = "", ROUTER
        self.tampered_ns: dict[str, int] = {}
        self.raising: set[str] = set()
        self.terminated: set[str] = set()
        self.struck_ns = 0
        self.stalls: dict[str, list[tuple[int, int]]] = {}
        self._managers: dict[str, ManagerProcessBase] = {}
        self._by_end: dict[str, str] = {}
        self._by_address: dict[str, list[str]] = {}
        self.stacks = Stacks(world)
        for site in (
            "note.state", "note.does", "pipe.tampered", "interrupt", "process.end",
            "process.terminate",
        ):  # fmt: skip
            world.trace.observe(site, self._look)
        for site in _FAULTS:
            world.trace.observe(site, self._look)

    @property
    def now_ns(self) -> int:
        """The virtual time."""
        return self.world.kernel.now_ns

    @property
    def managers(self) -> dict[str, ManagerProcessBase]:
        """Every manager as the router has it, by name; empty before they are put together."""
        if not self._managers and self.world.scope is not None:
            self._managers = {m.name: m for m in self.world.scope.managers}
        return self._managers

    def manager_of(self, end: str) -> str:
        """Return whose pipe to the router an end belongs to; "" for another pipe."""
        if end not in self._by_end:
            for name, manager in self.managers.items():
                if manager._resources is None:  # noqa: SLF001 - the session is being put together
                    return ""
                its = manager.resources.end.name  # type: ignore[attr-defined]
                self._by_end[its] = self._by_end[its[:-1] + "a"] = name
            self._by_end.setdefault(end, "")
        return self._by_end[end]

    def addressed(self, to: str) -> list[str]:
        """Return the managers that a message to this name or class is for."""
        if to not in self._by_address:
            self._by_address[to] = [
                name
                for name, manager in self.managers.items()
                if to in (name, *_classes(type(manager)))
            ]
        return self._by_address[to]

    def process(self, name: str) -> "VirtualProcess | None":
        """Return the process of a name, the newest if there were several."""
        for process in reversed(list(self.world.machine.processes.values())):
            if process.name == name:
                return process
        return None

    def is_alive(self, name: str) -> bool:
        """Whether the process of this name runs, or hangs, but has not ended."""
        process = self.process(name)
        return process is not None and process.code is None

    @property
    def quiet_ns(self) -> float:
        """The end of the effect of every fault that has struck so far; infinite if one has none."""
        ends_ns = self.world.injector.effect_ends_ns
        tampered = max(self.tampered_ns.values(), default=0)
        return FOREVER_NS if ends_ns is None else max(ends_ns, tampered)

    def disturbed_ns(self, names: Collection[str], *, with_drivers: bool = False) -> float:
        """Return until when a fault disturbed one of these processes, or everybody, so far.

        Args:
            names: Of the processes.
            with_drivers: Whether a driver that does not return disturbs its manager: what it does
                with its device stands still, and nothing else, as it has a helper for that.
        """
        ends = [self.blocked_ns(name) for name in names] if with_drivers else []
        ends.append(0.0)
        for effect in self.world.injector.effects:
            if isinstance(effect.fault, (CameraBlocks, MotorBlocks)):
                continue
            if effect.process is None or effect.process.name in names:
                died_ns = None if effect.process is None else effect.process.ended_ns
                known = [t for t in (effect.ends_ns, died_ns) if t is not None]
                ends.append(min(known, default=FOREVER_NS))
        for end, t_ns in self.tampered_ns.items():
            if self.manager_of(end) in names:
                ends.append(t_ns)
        return max(ends)

    def is_held_up(self, name: str) -> bool:
        """Whether a process waits for a lock whose holder a fault keeps from going on, or kept.

        A lock that nobody has, and that is waited for, was the lock of who has died just now.
        """
        machine, process = self.world.machine, self.process(name)
        if process is None:
            return False
        died = {p.name for p in machine.processes.values() if p.ended_ns == self.now_ns}
        holders: set[str] = set()
        for lock in machine.locks:
            if any(task in lock.waiters for task in process.threads):
                holder = lock.holder
                holders |= died if holder is None else {machine.processes[holder].name}
        return bool(holders) and self.disturbed_ns(holders) >= self.now_ns

    def since(self, began_ns: int) -> float:
        """Return for how many seconds something could have gone on, undisturbed by any fault."""
        return (self.now_ns - max(began_ns, self.quiet_ns)) / NS_PER_S

    def is_stalled(self, name: str, from_ns: int) -> bool:
        """Whether a probe was told not to read, at some time from then on."""
        return any(end >= from_ns for _, end in self.stalls.get(name, ()))

    def ask(self, by: str, who: str = ROUTER) -> None:
        """Take down that somebody has given cause for the session to end."""
        if self.asked_ns is None:
            self.asked_ns, self.asked_by, self.asker = self.now_ns, by, who

    def _look(self, step: Step) -> None:
        if step.site == "note.state":
            if step.process == ROUTER:
                self.session_ends_ns = self.session_ends_ns or step.t_ns
                self.ask("the router began to end the session")
                return
            self.said[step.process], self.said_ns[step.process] = step.detail, step.t_ns
            if step.detail == "running":
                self.ran.setdefault(step.process, step.t_ns)
            else:
                self.ask(f"{step.process} said that it was {step.detail}", step.process)
        elif step.site == "pipe.tampered":
            self.tampered_ns[step.object] = step.t_ns
        elif step.site == "process.terminate":
            self.terminated.add(step.object)
        elif step.site == "interrupt":
            self.ask("Ctrl-C was pressed")
        elif step.site == "process.end":
            if step.process in self.managers:
                self.ask(f"{step.process} had ended")
        elif step.site == "note.does":
            if step.detail.startswith("stall:"):
                seconds = float(step.detail.partition(" for ")[2].partition(" ")[0])
                until_ns = step.t_ns + int(seconds * NS_PER_S)
                self.stalls.setdefault(step.process, []).append((step.t_ns, until_ns))
        else:
            self.struck_ns = step.t_ns
            if step.site in _RAISING:
                self.raising.add(step.object)

    def reads_slowly(self, name: str, at_ns: int) -> bool:
        """Whether a fault let a process have little of its pipes at a time, or later."""
        slow = [e for e in self.world.injector.effects if isinstance(e.fault, SlowReader)]
        return any(
            e.process is not None and e.process.name == name and (e.over_ns or FOREVER_NS) >= at_ns
            for e in slow
        )

    def blocked_ns(self, name: str) -> float:
        """Return until when a fault kept a driver from returning to a manager, so far."""
        ends = [0.0]
        for effect in self.world.injector.effects:
            fault = effect.fault
            if isinstance(fault, (CameraBlocks, MotorBlocks)) and fault.process == name:
                ends.append(effect.over_ns or FOREVER_NS)
        return max(ends)

    def is_full(self, name: str) -> bool:
        """Whether a fault has let there be no room in a process' pipes."""
        return any(f.kind == "pipe-full" and f.process == name for f in self.world.injector.struck)

    def is_cut_off(self, name: str) -> bool:
        """Whether an error may have struck a process in a write, which breaks its pipe.

        What waits for room in the pipe is lost with it.
        """
        return self.is_full(name) and name in self.raising

    @property
    def pool_is_tampered(self) -> bool:
        """Whether a fault has changed what is between the video processor and its workers."""
        return any(not self.manager_of(end) for end in self.tampered_ns)
