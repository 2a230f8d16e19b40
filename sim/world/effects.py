"""What faults that have struck do to processes, until they are over."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hal.clock import NS_PER_S
from sim.faults import clocks, disks, messages, processes
from sim.faults.base import Fault
from sim.faults.errors import os_error
from sim.world.content import without_paths
from sim.world.machine import Machine
from sim.world.process import VirtualProcess
from sim.world.tampering import Tampering

_WRITES = frozenset({"open", "space", "write", "patch", "flush", "fsync", "truncate", "rename"})
_GROWS = frozenset({"space", "write", "patch", "flush", "fsync"})


@dataclass(eq=False)
class Effect:
    """What a fault does to a process, or to all (None), until some time; None: for good.

    Attributes:
        held_ns: Until when it holds up what the process was about to do: the end of that, too.
    """

    fault: Fault
    process: VirtualProcess | None
    ends_ns: int | None
    held_ns: int = 0

    @property
    def over_ns(self) -> int | None:
        """When it is over, by itself or with its process; None: never."""
        died_ns = None if self.process is None else self.process.ended_ns
        return min((t for t in (self.ends_ns, died_ns) if t is not None), default=None)


class Effects:
    """Begins what lasts, and ends it in time.

    Args:
        machine: The world's computer.
        over: Called with a fault when it is over.

    Attributes:
        tampering: What becomes of frames in pipes.
    """

    def __init__(self, machine: Machine, over: Callable[[Fault], None]) -> None:
        self.tampering = Tampering(machine, self.take_down)
        self._machine = machine
        self._over = over
        self._all: list[Effect] = []
        self._active: dict[Effect, None] = {}
        self._deleted: set[Path] = set()

    @property
    def ends_ns(self) -> int | None:
        """When the last of them is over; None: never."""
        known = [effect.over_ns for effect in self._all]
        ends_ns = [t for t in known if t is not None]
        return max(ends_ns, default=0) if len(ends_ns) == len(known) else None

    def __iter__(self) -> Iterator[Effect]:
        """Yield what every fault did that has struck, in order."""
        return iter(self._all)

    @property
    def has_everybody(self) -> bool:
        """Whether something is the matter with every process, also with those to come."""
        return any(effect.process is None for effect in self._active)

    def take_down(
        self, fault: Fault, process: VirtualProcess | None, for_s: float | None = 0.0
    ) -> Effect:
        """Take down that a fault has struck, and for how long it is felt."""
        now_ns = self._machine.kernel.now_ns
        effect = Effect(fault, process, None if for_s is None else now_ns + int(for_s * NS_PER_S))
        self._all.append(effect)
        return effect

    def wait_for_use(self, fault: Fault, process: VirtualProcess) -> None:
        """Begin what is over when it has been felt once."""
        self._active[self.take_down(fault, process)] = None

    def begin(self, fault: Fault, process: VirtualProcess | None, for_s: float | None) -> None:
        """Begin what lasts for so long; None: for good."""
        effect = self.take_down(fault, process, for_s)
        self._active[effect] = None
        if for_s is not None:
            self._machine.kernel.at(int(for_s * NS_PER_S), lambda: self._end(effect))
        self._apply(process)

    def heal(self) -> None:
        """End all that lasts."""
        self.tampering.heal()
        for effect in list(self._active):
            self._end(effect)

    def _end(self, effect: Effect) -> None:
        if effect not in self._active:
            return
        del self._active[effect]
        self._over(effect.fault)
        now_ns = self._machine.kernel.now_ns
        ends_ns = now_ns if effect.ends_ns is None else min(effect.ends_ns, now_ns)
        effect.ends_ns = max(ends_ns, effect.held_ns)
        self._apply(effect.process)

    def _apply(self, process: VirtualProcess | None) -> None:
        everybody = list(self._machine.processes.values())
        for each in everybody if process is None else [process]:
            if each.code is None:
                self.apply(each)

    def apply(self, process: VirtualProcess) -> None:
        """Let a process have all that is the matter with it now, and nothing else."""
        faults = [e.fault for e in self._active if e.process is process or e.process is None]
        kernel = self._machine.kernel
        late_ns = sum(int(f.late_s * NS_PER_S) for f in faults if isinstance(f, clocks.LateTimers))
        for task in process.threads:
            task.late_ns = late_ns
        process.clock_tick_ns = max(
            (int(f.tick_s * NS_PER_S) for f in faults if isinstance(f, clocks.CoarseClock)),
            default=1,
        )
        is_full = any(isinstance(f, messages.PipeFull) for f in faults)
        if is_full != process.has_full_pipes:
            process.has_full_pipes = is_full
            self.tampering.fill(process, is_full=is_full)
        rates = [f.bytes_per_s for f in faults if isinstance(f, messages.SlowReader)]
        self.tampering.slow_down(process, min(rates, default=None))
        if any(isinstance(f, (processes.Hang, processes.Delay)) for f in faults):
            kernel.freeze(process.threads)
        elif process.task.is_frozen:
            kernel.thaw(process.threads)

    def on_file(self, process: VirtualProcess, operation: str, path: Path, size: int) -> None:  # noqa: ARG002 - a full disk has room for nothing
        """A process is about to do something to a file, of which its site has told already.

        Args:
            process: Who.
            operation: `open`, `space`, `write`, `flush`, `fsync`, …
            path: Of the file.
            size: Bytes that are asked for or written.

        Raises:
            InjectedOSError: The operation fails.
        """
        late_ns = 0
        if operation == "space" and path in self._deleted and not path.exists():
            self._tell(process, "file.missing", path)
        for effect in list(self._active):
            fault = effect.fault
            if effect.process is not process or not isinstance(fault, disks.DiskFault):
                continue
            if isinstance(fault, disks.SlowDisk):
                late_ns += int(fault.late_s * NS_PER_S)
                effect.held_ns = self._machine.kernel.now_ns + late_ns
            elif isinstance(fault, disks.DiskFull) and operation in _WRITES:
                self._refuse(process, operation, path, errno.ENOSPC)
            elif isinstance(fault, disks.DiskReadOnly) and operation in _WRITES - {"space"}:
                self._refuse(process, operation, path, errno.EROFS)
            elif isinstance(fault, disks.FsyncFails) and operation == "fsync":
                self._end(effect)
                self._refuse(process, operation, path, errno.EIO)
            elif isinstance(fault, disks.FileGone) and operation in _GROWS and path.is_file():
                self._end(effect)
                self._delete(process, path)
        if late_ns:
            self._machine.kernel.sleep(late_ns)

    def _delete(self, process: VirtualProcess, path: Path) -> None:
        """Delete a file that a process is about to write to; not every system lets one do that."""
        with contextlib.suppress(PermissionError):
            path.unlink()
            self._deleted.add(path)
            self._tell(process, "file.gone", path)

    def _refuse(self, process: VirtualProcess, operation: str, path: Path, number: int) -> NoReturn:
        self._tell(process, "file.refused", path, operation)
        raise os_error(number, path.name)

    def _tell(self, process: VirtualProcess, site: str, path: Path, detail: str = "") -> None:
        kernel = self._machine.kernel
        kernel.trace.add(kernel.now_ns, process.name, site, without_paths(path.name), detail)
