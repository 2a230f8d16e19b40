"""Lets the faults of a plan strike in a world, each at its moment."""

from collections.abc import Iterable

from hal.clock import NS_PER_S
from sim.faults import Crash, Delay, Drop, Fault, Hang
from sim.world.kernel import Task
from sim.world.machine import SIGKILL, Machine, VirtualProcess


class Injector:
    """Watches every operation of a world, and strikes.

    Args:
        machine: The world's computer.
        faults: What is to go wrong.

    Attributes:
        struck: The faults that have struck, in order.
    """

    def __init__(self, machine: Machine, faults: Iterable[Fault]) -> None:
        self.struck: list[Fault] = []
        self._machine = machine
        self._at_sites: dict[tuple[str, str, int], list[Fault]] = {}
        self._left: dict[Fault, None] = {}
        machine.kernel.on_operation = self._look
        for fault in faults:
            self.add(fault)

    @property
    def unreached(self) -> list[Fault]:
        """The faults whose moment has not come."""
        return list(self._left)

    def add(self, fault: Fault) -> None:
        """Let one more fault strike."""
        self._left[fault] = None
        if fault.at_s is None:
            key = (fault.process, fault.site, fault.hit)
            self._at_sites.setdefault(key, []).append(fault)
            return
        delay_ns = int(fault.at_s * NS_PER_S) - self._machine.kernel.now_ns
        self._machine.kernel.at(delay_ns, lambda: self._strike_by_name(fault))

    def heal(self) -> None:
        """End every fault that lasts, and let none strike any more."""
        self._at_sites.clear()
        self._left.clear()
        for process in self._machine.processes.values():
            self._machine.kernel.thaw(process.task)

    def _look(self, task: Task, site: str, hit: int, _object: str) -> None:
        faults = self._at_sites.pop((task.name, site, hit), None) if self._at_sites else None
        for fault in faults or ():
            self._strike(fault, self._machine.running)

    def _strike_by_name(self, fault: Fault) -> None:
        if fault not in self._left:
            return
        for process in reversed(list(self._machine.processes.values())):
            if process.name == fault.process and process.exitcode is None:
                self._strike(fault, process)
                return

    def _strike(self, fault: Fault, process: VirtualProcess) -> None:
        kernel = self._machine.kernel
        self._left.pop(fault, None)
        self.struck.append(fault)
        kernel.trace.add(kernel.now_ns, "world", f"fault.{fault.kind}", process.name, str(fault))
        if isinstance(fault, Crash):
            self._machine.end(process, -SIGKILL)
        elif isinstance(fault, Drop):
            self._machine.lose_write(process)
        elif isinstance(fault, (Hang, Delay)):
            if fault.for_s is not None:
                kernel.at(int(fault.for_s * NS_PER_S), lambda: kernel.thaw(process.task))
            kernel.freeze(process.task)
