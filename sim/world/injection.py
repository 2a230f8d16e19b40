"""Lets the faults of a plan strike in a world, each at its moment."""

import mmap
from collections import deque
from collections.abc import Callable, Iterable

from hal.clock import NS_PER_S
from hal.device import Device
from sim.faults import clocks, disks, memory, processes
from sim.faults.base import EVERYBODY, Fault, LastingFault
from sim.faults.devices import Trouble, in_trouble
from sim.faults.errors import ERRORS, InjectedMissingError, tells_of_injected
from sim.faults.instruments import CameraBurst, CameraTorn, DeviceFault
from sim.world.effects import Effects
from sim.world.kernel import Task, Waitable
from sim.world.machine import Machine
from sim.world.process import SIGKILL, VirtualProcess
from sim.world.runtime import VirtualRuntime
from sim.world.states import StateWatch
from sim.world.tampering import NEXT_FRAME

ROUTER, ANOTHER = "MagScope", "another system"
_FOR_ITSELF = (processes.Raise, memory.MemoryMissing)  # at an operation of the process itself
_NEVER_FAIL = frozenset({"lock.release", "lock.held"})
_LASTING = (LastingFault, processes.Delay, CameraBurst)
_NAMES = ("board", "VideoBuffer", "TracksBuffer")


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
        self._due: deque[tuple[Fault, VirtualProcess]] = deque()
        self._armed: dict[int, list[Fault]] = {}
        self._calls: dict[str, dict[str, None]] = {}
        self._troubles: dict[str, Trouble] = {}
        self._troubles_end = Waitable()
        self._effects = Effects(machine, self._over)
        self._states = StateWatch(machine, self._reached)
        for fault in faults:
            self.add(fault)

    @property
    def unreached(self) -> list[Fault]:
        """The faults whose moment has not come."""
        return list(self._left)

    @property
    def effects(self) -> Effects:
        """What each fault did that has struck, to whom and until when."""
        return self._effects

    @property
    def effect_ends_ns(self) -> int | None:
        """The virtual time at which the last fault's effect is over; None: it has no end."""
        return self._effects.ends_ns

    def add(self, fault: Fault) -> None:
        """Let one more fault strike.

        A device's fault must be there before the device is opened.
        """
        self._left[fault] = None
        kernel = self._machine.kernel
        if isinstance(fault, DeviceFault):
            self._troubles.setdefault(fault.process, Trouble(self._wait_for_trouble))
            self._machine.hooks.device = self._device
        if isinstance(fault, disks.DiskFault):
            self._machine.on_file = self._effects.on_file
        if isinstance(fault, memory.StaleMemory):
            self._leave_memory(fault)
        elif fault.at_s is not None:
            delay_ns = int(fault.at_s * NS_PER_S) - kernel.now_ns
            kernel.at(delay_ns, lambda: self._strike_by_name(fault))
        elif fault.state:
            self._states.expect(fault)
            kernel.on_operation = self._look
        else:
            key = (fault.process, fault.site, fault.hit)
            self._at_sites.setdefault(key, []).append(fault)
            kernel.on_operation = self._look
            if fault.site.startswith("call."):
                self._calls.setdefault(fault.process, {})[fault.site] = None
                self._machine.hooks.begun = self._begun

    def explains(self, text: str) -> bool:
        """Whether an error in a log tells of what a fault has done."""
        is_torn = any(isinstance(fault, CameraTorn) for fault in self.struck)
        return tells_of_injected(text) or (is_torn and "are torn" in text)

    def heal(self) -> None:
        """End every fault that lasts, and let none strike any more."""
        for pending in (self._at_sites, self._left, self._due, self._armed):
            pending.clear()
        self._states.clear()
        for trouble in self._troubles.values():
            trouble.heal()
        self._machine.kernel.notify(self._troubles_end)
        self._effects.heal()

    def _over(self, fault: Fault) -> None:
        if isinstance(fault, DeviceFault):
            self._troubles[fault.process].end(fault)
            self._machine.kernel.notify(self._troubles_end)

    def _wait_for_trouble(self, is_over: Callable[[], bool]) -> None:
        self._machine.kernel.wait_until(is_over, (self._troubles_end,), None)

    def _look(self, task: Task, site: str, hit: int, _object: str) -> None:
        """Strike at an operation of the running task: its last act, if it dies of it."""
        while self._due:
            fault, process = self._due.popleft()
            if isinstance(fault, processes.Raise) and site in _NEVER_FAIL:
                self._armed.setdefault(process.pid, []).append(fault)
            else:
                self._strike(fault, process)
        if self._armed and (armed := self._armed.get(self._machine.running.pid)):
            for fault in list(armed):
                is_memory = isinstance(fault, memory.MemoryMissing)
                if site == "memory.attach" if is_memory else site not in _NEVER_FAIL:
                    armed.remove(fault)
                    self._hit(fault, self._machine.running)
        faults = self._at_sites.pop((task.name, site, hit), None) if self._at_sites else None
        for fault in faults or ():
            self._strike(fault, self._machine.running)

    def _reached(self, fault: Fault) -> None:
        """A state is reached: strike once the operation that tells of it has been taken down."""
        if process := self._living(fault.process):
            self._due.append((fault, process))

    def _living(self, name: str) -> VirtualProcess | None:
        for process in reversed(list(self._machine.processes.values())):
            if process.name == name and process.code is None:
                return process
        return None

    def _strike_by_name(self, fault: Fault) -> None:
        if fault not in self._left:
            return
        everybody = fault.process == EVERYBODY
        process = self._living(ROUTER if everybody else fault.process)
        if process is not None:
            self._strike(fault, process)

    def _strike(self, fault: Fault, process: VirtualProcess) -> None:
        kernel = self._machine.kernel
        is_there = bool(fault.site) or (
            kernel.current in process.threads and isinstance(fault, processes.Raise)
        )
        if isinstance(fault, _FOR_ITSELF) and not is_there:
            self._armed.setdefault(process.pid, []).append(fault)
            kernel.on_operation = self._look
        elif not isinstance(fault, DeviceFault) or self._troubles[fault.process].has_device:
            self._hit(fault, process)

    def _hit(self, fault: Fault, process: VirtualProcess) -> None:
        kernel = self._machine.kernel
        self._left.pop(fault, None)
        self.struck.append(fault)
        kernel.trace.add(kernel.now_ns, "world", f"fault.{fault.kind}", process.name, str(fault))
        if isinstance(fault, DeviceFault):
            self._troubles[fault.process].begin(fault)
        if isinstance(fault, _LASTING):
            everybody = fault.process == EVERYBODY
            if everybody:
                self._machine.hooks.begun = self._begun
            self._effects.begin(fault, None if everybody else process, fault.for_s)
        elif isinstance(fault, (disks.FsyncFails, disks.FileGone)):
            self._effects.wait_for_use(fault, process)
        else:
            self._effects.take_down(fault, process)
            self._act(fault, process)

    def _act(self, fault: Fault, process: VirtualProcess) -> None:
        """Do what is done at once; it may be the last that the running process sees."""
        if isinstance(fault, processes.Crash):
            self._machine.end(process, -SIGKILL, lingers_ns=int(fault.lingers_s * NS_PER_S))
        elif isinstance(fault, disks.TornWrite):
            self._machine.end(process, -SIGKILL)
        elif isinstance(fault, processes.Raise):
            raise ERRORS[fault.error](f"injected: {fault}")
        elif isinstance(fault, memory.MemoryMissing):
            raise InjectedMissingError(f"injected: {fault}")
        elif isinstance(fault, NEXT_FRAME):
            self._effects.tampering.arm(process, fault)
        elif isinstance(fault, clocks.ClockJump):
            self._jump(fault, process)

    def _jump(self, fault: clocks.ClockJump, process: VirtualProcess) -> None:
        by_ns = int(fault.by_s * NS_PER_S)
        if fault.process == EVERYBODY:
            self._machine.wall_offset_ns += by_ns
        else:
            process.wall_offset_ns += by_ns

    def _begun(self, process: VirtualProcess) -> None:
        """Let a new process have what everybody has, and tell of its calls."""
        if self._effects.has_everybody:
            self._effects.apply(process)
        for site in self._calls.get(process.name, ()):
            self._tell_of_calls(process, site)

    def _tell_of_calls(self, process: VirtualProcess, site: str) -> None:
        """Make an operation of each call of a method of the process' own object."""
        being, operation = process.being, self._machine.operation
        name = site.removeprefix("call.")
        name = "_tracker" if name == "task" else name
        method: Callable | None = getattr(being, name, None)
        if method is None or (name in vars(being) and name != "_tracker"):
            return

        def told(*args: object, **kwargs: object) -> object:
            operation(site, "")
            return method(*args, **kwargs)

        setattr(being, name, told)

    def _device(self, process: VirtualProcess, role: str, device: Device) -> Device:
        """Return what a process uses instead of its device."""
        trouble = self._troubles.get(process.name)
        if trouble is None:
            return device
        machine = self._machine
        return in_trouble(device, trouble, lambda site: machine.operation(site, role))

    def _leave_memory(self, fault: memory.StaleMemory) -> None:
        machine = self._machine
        if machine.sessions:
            return  # the session has begun: it is too late
        other = VirtualProcess(machine, ANOTHER, None)
        session = VirtualRuntime(machine, other).begin_session()  # named as this one's will be
        if fault.owner == "dead":
            other.code, other.ended_ns = -SIGKILL, 0
        for number in range(fault.blocks):
            name = _NAMES[number] if number < len(_NAMES) else f"device-{number}"
            machine.memory[session, name] = mmap.mmap(-1, mmap.PAGESIZE)
        self._hit(fault, other)
