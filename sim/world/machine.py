"""The computer of a world: processes with memories of their own, and what they share."""

import gc
import itertools
import mmap
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from greenlet import GreenletExit

from hal.clock import NS_PER_S, Clock
from hal.device import Device
from magscope.runtime import RuntimeProcess, use
from magscope.runtime.base import Bell, Endpoint, Event, Foreign, Lock, Runtime, SharedMemory, Value
from magscope.runtime.os_sync import WORDS
from magscope.runtime.process import ProcessControl
from sim.faults.errors import is_injected
from sim.world.content import without_paths
from sim.world.files import VirtualDisk
from sim.world.handover import copied
from sim.world.hooks import Hooks
from sim.world.kernel import Kernel, Task, Waitable
from sim.world.memory import OwnMemory, spaces_of
from sim.world.pipes import CAPACITY_BYTES, Stream, VirtualBell, VirtualEndpoint
from sim.world.sync import VirtualEvent, VirtualLock, VirtualMemory, VirtualValue

EPOCH_NS = 1_767_225_600 * NS_PER_S  # the first of January 2026, UTC
SIGTERM, SIGKILL = 15, 9


class VirtualProcess(Waitable, ProcessControl):
    """A process of a world.

    Attributes:
        pid: Its number; the first has 1.
        has_entered: Whether it has settled in: before that, a request to terminate kills it.
        is_daemon: Whether it is told to terminate when its parent ends.
        on_interrupt: Called instead of ending it when it is told to terminate.
        words: The traceback that it ended with, if it did.
        being: The process object in its own memory; the first process has none.
        ended_ns: When it ended.
        wall_offset_ns: How far ahead its wall clock is.
        clock_tick_ns: How far apart the ticks of its clocks are.
        has_full_pipes: Whether there is no room in the pipes that it writes to.
    """

    def __init__(self, machine: "Machine", name: str, parent: "VirtualProcess | None") -> None:
        super().__init__()
        self.machine = machine
        self.name = name
        self.parent = parent
        self.pid = next(machine.pids)
        self.exitcode: int | None = None
        self.ended_ns: int | None = None
        self.wall_offset_ns = 0
        self.clock_tick_ns = 1
        self.has_full_pipes = False
        self.has_entered = False
        self.is_daemon = False
        self.words = ""
        self.ends: dict[VirtualEndpoint, None] = {}
        self.runtime = VirtualRuntime(machine, self)
        self.task: Task
        self.being: RuntimeProcess
        self.on_interrupt: Callable[[], None] | None = None

    @property
    def is_readable(self) -> bool:
        """Whether it has ended."""
        return self.exitcode is not None

    def is_alive(self) -> bool:
        """Whether it still runs."""
        self.machine.operation("process.is_alive", self.name)
        return self.exitcode is None

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self.machine.operation("process.join", self.name)
        self.machine.kernel.wait_until(lambda: self.exitcode is not None, (self,), timeout)

    def terminate(self) -> None:
        """Ask it to end, as SIGTERM does."""
        self.machine.operation("process.terminate", self.name)
        if self.exitcode is not None:
            return
        if not self.has_entered:
            self.machine.end(self, -SIGTERM)
            return
        if self.on_interrupt is not None:
            self.machine.kernel.at(0, self.on_interrupt)
            return
        self.task.pending = SystemExit(128 + SIGTERM)
        self.machine.kernel.make_ready(self.task)

    def kill(self) -> None:
        """End it at once, as SIGKILL does: it never runs another line."""
        self.machine.operation("process.kill", self.name)
        self.machine.end(self, -SIGKILL)


class Machine:
    """The virtual computer: one for each world.

    Args:
        kernel: Runs its tasks.
        start_method: `fork` or `spawn`: whether a child has its parent's pipe ends open until it
            has settled in. Either way it has a memory of its own.
        capacity: The room in each direction of a pipe, in bytes.
    """

    def __init__(
        self, kernel: Kernel, *, start_method: str = "fork", capacity: int = CAPACITY_BYTES
    ) -> None:
        self.kernel = kernel
        self.operation = kernel.operation  # itself, as every operation of the world goes this way
        self.start_method = start_method
        self.capacity = capacity
        self.pids = itertools.count(1)
        self.processes: dict[int, VirtualProcess] = {}
        self.memory: dict[tuple[str, str], mmap.mmap] = {}
        self.sessions: dict[str, VirtualProcess] = {}
        self.living = 0
        self.crashes: list[tuple[str, str]] = []
        self.on_frame: Callable[[str, str, bytes], None] | None = None
        self.on_file: Callable[[VirtualProcess, str, Path, int], None] | None = None
        self.hooks = Hooks()
        self.wall_offset_ns = 0
        self.locks: list[VirtualLock] = []
        self._numbers = itertools.count(1)
        self._by_task: dict[Task, VirtualProcess] = {}
        self._handed: dict[str, Any] = {}

    @property
    def running(self) -> VirtualProcess:
        """The process that runs."""
        task = self.kernel.current
        assert task is not None
        return self._by_task[task]

    def named(self, kind: str) -> str:
        """Return a name for a new thing of this kind."""
        return f"{kind}-{next(self._numbers)}"

    def launch(
        self,
        name: str,
        run: "Callable[[VirtualProcess], None]",
        parent: VirtualProcess | None = None,
    ) -> VirtualProcess:
        """Start a process that does `run`."""
        process = VirtualProcess(self, name, parent)
        self.processes[process.pid] = process
        self.living += 1
        process.task = self.kernel.spawn(name, lambda: self._live(process, run))
        self._by_task[process.task] = process
        return process

    def _live(self, process: VirtualProcess, run: "Callable[[VirtualProcess], None]") -> None:
        try:
            with use(process.runtime):
                code = self._code_of(process, run)
            code = self._code_of(process, self._await_children) or code
        except GreenletExit:
            return
        self.end(process, code)

    def _code_of(self, process: VirtualProcess, run: "Callable[[VirtualProcess], None]") -> int:
        """Do a part of a process' life; return the code with which it would end now."""
        try:
            run(process)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
            return code & 0xFF
        except GreenletExit:
            raise
        except BaseException as error:
            process.words = "".join(traceback.format_exception(error))
            if not is_injected(error):
                self.crashes.append((process.name, process.words))
            if isinstance(error, KeyboardInterrupt):
                raise
            return 1
        return 0

    def _await_children(self, process: VirtualProcess) -> None:
        """A process waits for its children before it ends, as `multiprocessing` lets it."""
        children = [p for p in self.processes.values() if p.parent is process]
        for child in children:
            if child.is_daemon:
                child.terminate()
        self.kernel.wait_until(
            lambda: all(child.exitcode is not None for child in children), children, None
        )

    def end(self, process: VirtualProcess, code: int) -> None:
        """End a process: its pipe ends close, its locks are given back, who waits for it wakes."""
        if process.exitcode is not None:
            return
        process.exitcode = code
        process.ended_ns = self.kernel.now_ns
        self.living -= 1
        process.task.is_dead = True
        self.kernel.trace.add(
            self.kernel.now_ns, process.name, "process.end", process.name, str(code)
        )
        for end in process.ends:
            end.drop(process.pid)
        process.ends.clear()
        for lock in self.locks:
            if lock.holder == process.pid:
                lock.free()
        process.runtime.disk.close()
        gc.freeze()  # what it has thrown away must not be found any more, and tidied
        self.kernel.notify(process)
        if self.kernel.current is process.task and code == -SIGKILL:
            self.kernel.pause()

    def close(self) -> None:
        """End the world: what its processes have open is closed, and they are unwound, unseen."""
        for process in self.processes.values():
            process.runtime.disk.close()
        self.kernel.close()

    def keep(self, thing: Any) -> Any:
        """Remember a thing that may be handed to other processes, by its name."""
        self._handed[thing.name] = thing
        return thing

    def begin(self, process: RuntimeProcess, parent: VirtualProcess) -> VirtualProcess:
        """Start a process with a copy, in memory of its own, of the object that stands for it."""
        child = self.launch(process.name, lambda own: own.being.run(), parent)
        if spaces := spaces_of(process):
            child.task.memory = OwnMemory(spaces)
        child.is_daemon = bool(process.daemon)
        is_forked = self.start_method == "fork"
        if is_forked:
            for end in parent.ends:  # it keeps them open, and never uses them
                end.hold(child.pid)
                child.ends[end] = None
        child.being = copied(process, is_forked, lambda name: self.find(name, child))
        child.being.control = process.control = child
        if self.hooks.begun is not None:
            self.hooks.begun(child)
        return child

    def find(self, name: str, child: VirtualProcess) -> Any:
        """Return a shared thing as a process has it."""
        thing = self._handed[name]
        if isinstance(thing, VirtualEndpoint):
            thing = thing.copy_for(child.pid)
            thing.hold(child.pid)
            child.ends[thing] = None
        return thing


class VirtualClock(Clock):
    """The world's time."""

    def __init__(self, machine: Machine, process: VirtualProcess) -> None:
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

    def __init__(self, machine: Machine, process: VirtualProcess) -> None:
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
        if kernel.is_closed or self._process.exitcode is not None:
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
            if owner.exitcode is not None:
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
                machine.memory[key] = mmap.mmap(-1, size)  # zeroed; nothing until it is touched
            except OSError as error:
                raise MemoryError(
                    f"no room for {size / 1e6:.1f} MB of shared memory for {name}"
                ) from error
        return VirtualMemory(machine, self._process, key, machine.memory[key])

    def wait(
        self, readable: Iterable[Any], writable: Sequence[Any] = (), timeout_s: float | None = None
    ) -> set[Any]:
        """Wait until something happens, and return all that is ready."""
        kernel = self._machine.kernel
        readers = [(source, _endpoint(source)) for source in readable]
        writers = [(source, _endpoint(source)) for source in writable]
        self._machine.operation("wait", "")

        found: set[Any] = set()

        def look() -> bool:
            found.update(s for s, end in readers if end.is_readable)
            found.update(s for s, end in writers if end.outgoing.is_writable)
            return bool(found)

        watched = [
            end.incoming if isinstance(end, VirtualEndpoint) else end for _, end in readers
        ] + [end.outgoing for _, end in writers]
        kernel.wait_until(look, watched, timeout_s)
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
        return owner is None or owner.exitcode is not None


def _endpoint(source: Any) -> Any:
    """Return what is waited for: a channel's end, a process' own self, or the thing itself."""
    if isinstance(source, RuntimeProcess):
        return source.control
    return getattr(source, "end", source)
