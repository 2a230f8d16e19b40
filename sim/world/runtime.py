"""The seam that managers see, in a world: each process has its own view of the computer."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from hal.clock import NS_PER_S, Clock
from hal.device import Device
from magscope.runtime import RuntimeProcess
from magscope.runtime.base import (
    Bell,
    Endpoint,
    Event,
    Foreign,
    Helper,
    Lock,
    Runtime,
    SharedMemory,
    Value,
)
from magscope.runtime.os_sync import WORDS
from sim.world.content import without_paths
from sim.world.files import VirtualDisk
from sim.world.helper import VirtualHelper
from sim.world.pipes import Stream, VirtualBell, VirtualEndpoint
from sim.world.process import VirtualProcess
from sim.world.sync import VirtualEvent, VirtualLock, VirtualMemory, VirtualValue

if TYPE_CHECKING:
    from sim.world.machine import Machine

EPOCH_NS = 1_767_225_600 * NS_PER_S  # the first of January 2026, UTC


class VirtualClock(Clock):
    """The world's time."""

    def __init__(self, machine: "Machine", process: VirtualProcess) -> None:
        self._machine = machine
        self._process = process

    def now_ns(self) -> int:
        """Return the Unix time in ns, which begins with 2026."""
        offset_ns = self._machine.wall_offset_ns + self._process.wall_offset_ns
        return EPOCH_NS + self._ticked_ns() + offset_ns

    def monotonic_ns(self) -> int:
        """Return the time since the world's beginning in ns, and a second."""
        return NS_PER_S + self._ticked_ns()

    def _ticked_ns(self) -> int:
        now_ns = self._machine.kernel.now_ns
        return now_ns - now_ns % self._process.clock_tick_ns

    def sleep_s(self, seconds: float) -> None:
        """Let the running process wait."""
        self._machine.operation("clock.sleep", "", f"{seconds:g}")
        self._machine.kernel.sleep(int(seconds * NS_PER_S) + self._process.task.late_ns)


class VirtualForeign(Foreign):
    """A process that another process of the world started."""

    def __init__(self, process: VirtualProcess | None) -> None:
        self._process = process

    def is_alive(self) -> bool:
        """Whether that process still runs."""
        return self._process is not None and self._process.is_alive()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()


class VirtualRuntime(Runtime):
    """The world as one of its processes sees it."""

    name = "virtual world"

    def __init__(self, machine: "Machine", process: VirtualProcess) -> None:
        self._machine = machine
        self._process = process
        self._session = ""
        self._values_made = 0
        self._singletons: dict[Any, Any] = {}
        self.clock = VirtualClock(machine, process)
        self.disk: VirtualDisk = VirtualDisk(machine, process)

    def note(self, topic: str, text: str) -> None:
        """Write down what is going on."""
        kernel = self._machine.kernel
        if kernel.is_closed or self._process.code is not None:
            return
        first_line = without_paths(text.partition("\n")[0])
        self._machine.operation(f"note.{topic}", "", first_line)

    @property
    def session(self) -> str:
        """The id of the session."""
        return self._session or self.begin_session()

    def begin_session(self) -> str:
        """Start a new session, and sweep what dead ones left."""
        machine = self._machine
        for session, owner in list(machine.sessions.items()):
            if owner.code is not None:
                self._sweep(session)
        self._values_made = 0
        self._session = machine.named("session")
        machine.sessions[self._session] = self._process
        return self._session

    def end_session(self) -> None:
        """Remove every shared name of the session, if it is this process' own, or nobody's."""
        if self._machine.sessions.get(self._session) is self._process or self.owner_is_gone():
            self._sweep(self._session)
        self._session = ""

    def _sweep(self, session: str) -> None:
        self._machine.operation("session.sweep", session)
        self._machine.sessions.pop(session, None)
        for key in [key for key in self._machine.memory if key[0] == session]:
            del self._machine.memory[key]

    def singletons(self) -> dict[Any, Any]:
        """Return the one instances of the singleton classes in this process."""
        return self._singletons

    def pipe(self) -> tuple[Endpoint, Endpoint]:
        """Return the two ends of a new pipe."""
        machine = self._machine
        there, back = Stream(machine.capacity), Stream(machine.capacity)
        name = machine.named("pipe")
        ends = (
            VirtualEndpoint(machine, (there, back), name + "a", self._process.pid),
            VirtualEndpoint(machine, (back, there), name + "b", self._process.pid),
        )
        for end in ends:
            machine.keep(end)
            end.hold(self._process.pid)
            self._process.ends[end] = None
        return ends

    def bell(self) -> Bell:
        """Return a new bell."""
        bell: VirtualBell = self._machine.keep(
            VirtualBell(self._machine, self._machine.named("bell"))
        )
        return bell

    def lock(self) -> Lock:
        """Return a new lock."""
        return self._lock()

    def _lock(self) -> VirtualLock:
        if self._machine.sessions.get(self.session) is not self._process:
            raise RuntimeError(
                "only the process that began the session makes its locks and values: make them "
                "before the others are started, and hand them over"
            )
        lock: VirtualLock = self._machine.keep(
            VirtualLock(self._machine, self._machine.named("lock"))
        )
        self._machine.locks.append(lock)
        return lock

    def value(self, typecode: str, initial: float = 0) -> Value:
        """Return a new number in shared memory."""
        return self._value(typecode, initial)

    def _value(self, typecode: str, initial: float) -> VirtualValue:
        lock = self._lock()
        if self._values_made >= WORDS:
            raise MemoryError(f"a session has {WORDS} shared values, and all are taken")
        self._values_made += 1
        value: VirtualValue = self._machine.keep(
            VirtualValue(self._machine, self._machine.named("value"), typecode, initial, lock)
        )
        return value

    def event(self) -> Event:
        """Return a new event, not set."""
        return VirtualEvent(self._value("q", 0))

    def shared_memory(self, name: str, size: int | None = None) -> SharedMemory:
        """Create the session's block of this name, or attach to it."""
        machine = self._machine
        key = (self.session, name)
        machine.operation("memory.attach" if size is None else "memory.create", name)
        if size is None:
            if key not in machine.memory:
                raise FileNotFoundError(f"there is no shared memory {name!r}")
        elif key in machine.memory:
            raise FileExistsError(f"there is a shared memory {name!r} already")
        else:
            try:
                machine.memory[key] = machine.allocate(size)
            except OSError as error:
                raise MemoryError(
                    f"no room for {size / 1e6:.1f} MB of shared memory for {name}"
                ) from error
        hold = VirtualMemory(machine, self._process, key, machine.memory[key])
        machine.holds.append(hold)
        return hold

    def wait(
        self, readable: Iterable[Any], writable: Sequence[Any] = (), timeout_s: float | None = None
    ) -> set[Any]:
        """Wait until something happens, and return all that is ready."""
        readers = [(source, _endpoint(source)) for source in readable]
        writers = [(source, _endpoint(source)) for source in writable]
        self._machine.operation("wait", "")
        found: set[Any] = set()

        def look() -> bool:
            for source, end in readers:
                if end.is_readable:
                    found.add(source)
            for source, end in writers:
                if end.outgoing.is_writable:
                    found.add(source)
            return bool(found)

        watched = [getattr(end, "incoming", end) for _, end in readers]
        watched += [end.outgoing for _, end in writers]
        self._machine.kernel.wait_until(look, watched, timeout_s)
        return found

    @property
    def children_inherit(self) -> bool:
        """Whether a process starts with the modules that its parent has loaded: all do, here."""
        return True

    def start(self, process: RuntimeProcess) -> None:
        """Start a process, with a copy of the object that stands for it."""
        self._machine.operation("process.start", process.name)
        if process.control is not None:
            raise AssertionError("cannot start a process twice")
        if self._process.is_daemon:
            raise AssertionError("daemonic processes are not allowed to have children")
        child = self._machine.begin(process, self._process)
        child.runtime._session = self.session  # noqa: SLF001 - its parent's
        for given in process.own_ends():
            given.close()

    def enter(self, process: RuntimeProcess) -> None:
        """Settle in, in the new process: close what belongs to others."""
        self._machine.operation("process.enter", process.name)
        kept = set(map(id, process.own_ends()))
        own = {end.name for end in self._process.ends if id(end) in kept}
        for other in [end for end in self._process.ends if id(end) not in kept]:
            if other.name not in own:  # a forked copy of an end that is its own stays open
                other.drop(self._process.pid)
            if other.pid == self._process.pid:
                other.shut()
            del self._process.ends[other]
        self._process.has_entered = True

    def device(self, role: str, device: Device) -> Device:
        """Return the device, with something in front of it where it is to go wrong."""
        use = self._machine.hooks.device
        return device if use is None else use(self._process, role, device)

    @contextmanager
    def loading(self) -> Any:
        """Let a request to terminate end the process at once."""
        self._process.has_entered = False
        try:
            yield
        finally:
            self._process.has_entered = True

    def helper(self) -> Helper:
        """Return a helper, which is another task of the process."""
        return VirtualHelper(self._machine, self._process)

    def foreign(self, pid: int) -> Foreign:
        """Return a handle on a process that another process started."""
        return VirtualForeign(self._machine.processes.get(pid))

    def interrupts(self, stop: Callable[[], None]) -> AbstractContextManager:
        """Call `stop` when the world's user presses Ctrl-C."""

        @contextmanager
        def context() -> Any:
            self._process.on_interrupt = stop
            self._process.has_entered = True
            try:
                yield
            finally:
                self._process.on_interrupt = None

        return context()

    def owner_is_gone(self) -> bool:
        """Whether the process that began this session has died without ending it."""
        owner = self._machine.sessions.get(self._session)
        return owner is None or owner.code is not None


def _endpoint(source: Any) -> Any:
    """Return what is waited for: a channel's end, a process' own self, or the thing itself."""
    if isinstance(source, RuntimeProcess):
        return source.control
    return getattr(source, "end", source)
