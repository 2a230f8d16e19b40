"""The computer of a world: processes with memories of their own, and what they share."""

import gc
import itertools
import mmap
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenlet import GreenletExit

from magscope.runtime import RuntimeProcess, use
from sim.faults.errors import is_injected
from sim.world.handover import copied
from sim.world.hooks import Hooks
from sim.world.kernel import Kernel, Task
from sim.world.memory import OwnMemory, spaces_of
from sim.world.pipes import CAPACITY_BYTES, VirtualEndpoint
from sim.world.process import SIGKILL, VirtualProcess
from sim.world.runtime import VirtualRuntime
from sim.world.sync import VirtualLock, VirtualMemory


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
        self.holds: list[VirtualMemory] = []
        self._blocks: list[mmap.mmap] = []
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
        run: Callable[[VirtualProcess], None],
        parent: VirtualProcess | None = None,
    ) -> VirtualProcess:
        """Start a process that does `run`."""
        process = VirtualProcess(self, name, parent)
        process.runtime = VirtualRuntime(self, process)
        self.processes[process.pid] = process
        self.living += 1
        process.task = self.add_thread(process, lambda: self._live(process, run))
        return process

    def add_thread(self, process: VirtualProcess, run: Callable[[], None]) -> Task:
        """Let a process do something more at the same time."""
        task = self.kernel.spawn(process.name, run)
        if process.threads:
            first = process.threads[0]
            task.hits, task.memory = first.hits, first.memory
            task.is_frozen, task.late_ns = first.is_frozen, first.late_ns
        process.threads.append(task)
        self._by_task[task] = process
        return task

    @staticmethod
    def end_thread(task: Task) -> None:
        """Let what a process does beside other things come to its end."""
        task.is_dead = True

    def _live(self, process: VirtualProcess, run: Callable[[VirtualProcess], None]) -> None:
        try:
            with use(process.runtime):
                code = self._code_of(process, run)
            code = self._code_of(process, self._await_children) or code
        except GreenletExit:
            return
        self.end(process, code)

    def _code_of(self, process: VirtualProcess, run: Callable[[VirtualProcess], None]) -> int:
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
        self.kernel.wait_until(lambda: all(child.is_gone for child in children), children, None)

    def end(self, process: VirtualProcess, code: int, *, lingers_ns: int = 0) -> None:
        """End a process: its pipes end, its locks are given back, and then its end is known.

        As in an operating system, who reads from it finds the end of file before who asks is
        told that it has ended; what others are ready for may come between the two, or more if
        it lingers.
        """
        if process.code is not None:
            return
        process.code = code
        process.ended_ns = self.kernel.now_ns
        for task in process.threads:
            task.is_dead = True
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
        if lingers_ns:
            self.kernel.at(lingers_ns, lambda: self._let_know(process))
        else:
            self.kernel.spawn(process.name, lambda: self._let_know(process))
        if code == -SIGKILL and self.kernel.current in process.threads:
            self.kernel.pause()

    def _let_know(self, process: VirtualProcess) -> None:
        """Let the others know that a process has ended."""
        self.kernel.trace.add(self.kernel.now_ns, "world", "process.gone", process.name)
        process.is_gone = True
        self.living -= 1
        self.kernel.notify(process)

    def close(self) -> None:
        """End the world: what its processes have open is closed, and they are unwound, unseen."""
        for process in self.processes.values():
            process.runtime.disk.close()
        self.kernel.close()
        # A buffer that nobody has dropped is known to Python until it ends, and so would all that
        # it leads to: the blocks of memory, this, and the processes with their buffers.
        for hold in self.holds:
            hold.forget()
        self.holds.clear()
        for process in self.processes.values():
            process.__dict__.pop("being", None)
        self._handed.clear()
        self.kernel.forget(sum(len(block) for block in self._blocks if not _is_given_back(block)))
        self._blocks.clear()

    def allocate(self, size: int) -> mmap.mmap:
        """Return memory that no name stands for yet: zeroed, and nothing until it is touched."""
        block = mmap.mmap(-1, size)
        self._blocks.append(block)
        return block

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


def _is_given_back(block: mmap.mmap) -> bool:
    """Give memory back at once, though arrays may still view it; False where that can not be."""
    try:
        block.close()
    except BufferError:
        if not hasattr(mmap, "MADV_REMOVE"):
            return False
        block.madvise(mmap.MADV_REMOVE)
    return True
