"""A bare computer of a world, for a machine that drives a few real parts and not the system.

Its processes wait for orders: a piece of code that one of them carries out as its own, with the
world's pipes, locks and memory. One order at a time makes a run that a plain model can predict; an
order that is held half way, or whose process dies there, makes the others.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hal.clock import NS_PER_S
from magscope.runtime import current
from magscope.runtime.base import Endpoint
from sim.world import schedules
from sim.world.kernel import Deadlock, Kernel, Task, Waitable
from sim.world.machine import Machine
from sim.world.pipes import CAPACITY_BYTES
from sim.world.process import SIGKILL, VirtualProcess
from sim.world.trace import Trace

SETTLE_S = 0.001


class Order:
    """Something to be done by a process.

    Attributes:
        is_done: Whether it came to its end.
        result: What came of it.
        error: What it raised instead.
    """

    def __init__(self, do: Callable[[], Any]) -> None:
        self.is_done = False
        self.result: Any = None
        self.error: Exception | None = None
        self._do = do

    def carry_out(self) -> None:
        """Do it, in the process that it was given to."""
        try:
            self.result = self._do()
        except Exception as error:  # it is the giver's to judge
            self.error = error
        self.is_done = True


class Actor:
    """A process of the stage.

    Args:
        stage: Where it lives.
        name: What the trace calls it.
        sources: What else it waits for; asked anew each time.
        turn: Called with all that is ready whenever something is.
    """

    def __init__(
        self,
        stage: "Stage",
        name: str,
        sources: Callable[[], Sequence[Any]] = tuple,
        writable: Callable[[], Sequence[Any]] = tuple,
        turn: Callable[[set[Any]], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._sources, self._writable, self._turn = sources, writable, turn
        self._orders: deque[Order] = deque()
        self._bell = _Bell()
        self._kernel = stage.kernel
        self.process: VirtualProcess = stage.machine.launch(name, self._live, stage.first)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.process.exitcode is None

    @property
    def task(self) -> Task:
        """Its thread of control."""
        return self.process.task

    def tell(self, do: Callable[[], Any]) -> Order:
        """Give it something to do, when its turn comes."""
        order = Order(do)
        self._orders.append(order)
        self._bell.is_readable = True
        self._kernel.notify(self._bell)
        return order

    def nudge(self) -> None:
        """Let it look again at what it waits for."""
        self.tell(lambda: None)

    def _live(self, _: VirtualProcess) -> None:
        runtime = current()
        while True:
            ready = runtime.wait([self._bell, *self._sources()], self._writable(), None)
            self._bell.is_readable = False
            while self._orders:
                self._orders.popleft().carry_out()
            self._turn(ready)


class _Bell(Waitable):
    is_readable = False


class Stage:
    """The computer, its clock and its trace.

    Args:
        capacity: The room in each direction of a pipe, in bytes.
        schedule: Where its processes give way to each other.
    """

    def __init__(
        self, *, capacity: int = CAPACITY_BYTES, schedule: schedules.Chooser | None = None
    ) -> None:
        self.trace = Trace()
        self.kernel = Kernel(schedules.Recorder(schedule or schedules.Fifo()), self.trace)
        self.machine = Machine(self.kernel, capacity=capacity)
        self.first: VirtualProcess | None = None
        self._points: dict[Task, tuple[int, Callable[[Task], None]]] = {}
        self._session = ""
        self.kernel.on_operation = self._look

    def begin(self, name: str, **options: Any) -> Actor:
        """Start the first process; it begins the session."""
        actor = Actor(self, name, **options)
        self.first = actor.process
        self._session = self.ask(actor, lambda: current().begin_session())
        return actor

    def actor(self, name: str, **options: Any) -> Actor:
        """Start one more process of the session."""
        actor = Actor(self, name, **options)
        actor.process.runtime._session = self._session  # noqa: SLF001 - as `start` does it
        self.settle()
        return actor

    def hand_over(self, end: Endpoint, actor: Actor) -> Any:
        """Give a pipe's end to a process, as starting it would, and close it where it was made."""
        given = self.machine.find(end.name, actor.process)  # type: ignore[attr-defined]
        end.close()
        return given

    def ask(self, actor: Actor, do: Callable[[], Any]) -> Any:
        """Let a process do something now, and return what came of it; raises what it raised."""
        order = actor.tell(do)
        self.settle()
        if order.error is not None:
            raise order.error
        return order.result

    def settle(self, seconds: float = SETTLE_S) -> None:
        """Let virtual time pass, in which everybody does what he has to."""
        delay_ns = int(seconds * NS_PER_S)
        self.kernel.at(delay_ns, lambda: None)
        try:
            self.kernel.run(lambda: False, self.kernel.now_ns + delay_ns)
        except Deadlock:  # nothing is going to happen but what the next order brings
            return

    def say(self, text: str) -> None:
        """Write into the trace what the machine does, for the story."""
        self.trace.add(self.kernel.now_ns, "machine", "note.info", "", text)

    def kill(self, actor: Actor) -> None:
        """End a process at once: it never runs another line."""
        self.kernel.trace.add(
            self.kernel.now_ns, "machine", "fault.crash", actor.name, f"{actor.name} is killed"
        )
        self.machine.end(actor.process, -SIGKILL)

    def hold(self, actor: Actor, after: int) -> None:
        """Stop a process at one of its next operations, until it is let go; 0: at the first."""
        self._points[actor.task] = (after, lambda _: self.kernel.freeze(actor.process.threads))

    def kill_later(self, actor: Actor, after: int) -> None:
        """End a process at one of its next operations; 0: at the first."""
        self._points[actor.task] = (after, lambda _: self.kill(actor))

    def let_go(self, actor: Actor) -> None:
        """Let a process that was held go on."""
        self._points.pop(actor.task, None)
        self.kernel.thaw(actor.process.threads)

    def _look(self, task: Task, *_: Any) -> None:
        if task not in self._points:
            return
        left, strike = self._points[task]
        if left:
            self._points[task] = (left - 1, strike)
            return
        del self._points[task]
        strike(task)

    def close(self) -> None:
        """End the stage."""
        self.kernel.close()
