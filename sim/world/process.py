"""A process of a world, as its parent holds it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from magscope.runtime import RuntimeProcess
from magscope.runtime.process import ProcessControl
from sim.world.kernel import Task, Waitable
from sim.world.pipes import VirtualEndpoint

if TYPE_CHECKING:
    from sim.world.machine import Machine
    from sim.world.runtime import VirtualRuntime

SIGTERM, SIGKILL = 15, 9


class VirtualProcess(Waitable, ProcessControl):
    """A process of a world.

    Attributes:
        pid: Its number; the first has 1.
        has_entered: Whether it has settled in: before that, a request to terminate kills it.
        is_daemon: Whether it is told to terminate when its parent ends.
        on_interrupt: Called instead of ending it when it is told to terminate.
        task: Its first thread, which hears of requests to terminate.
        threads: All of them.
        code: The code that it ended with; None while it runs.
        is_gone: Whether the others can know that it has ended. Its pipes end a little earlier.
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
        self.code: int | None = None
        self.is_gone = False
        self.ended_ns: int | None = None
        self.wall_offset_ns = 0
        self.clock_tick_ns = 1
        self.has_full_pipes = False
        self.has_entered = False
        self.is_daemon = False
        self.words = ""
        self.ends: dict[VirtualEndpoint, None] = {}
        self.runtime: VirtualRuntime
        self.task: Task
        self.threads: list[Task] = []
        self.being: RuntimeProcess
        self.on_interrupt: Callable[[], None] | None = None

    @property
    def exitcode(self) -> int | None:
        """The code that it ended with, as the others know it."""
        return self.code if self.is_gone else None

    @property
    def is_readable(self) -> bool:
        """Whether it has ended."""
        return self.is_gone

    def is_alive(self) -> bool:
        """Whether it still runs."""
        self.machine.operation("process.is_alive", self.name)
        return not self.is_gone

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self.machine.operation("process.join", self.name)
        self.machine.kernel.wait_until(lambda: self.is_gone, (self,), timeout)

    def terminate(self) -> None:
        """Ask it to end, as SIGTERM does."""
        self.machine.operation("process.terminate", self.name)
        if self.code is not None:
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
