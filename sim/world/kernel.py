"""The scheduler of a world: tasks that run one at a time, and simpy's clock between them.

A task is a greenlet. It runs until it waits for something, or until the schedule deviates from
first-in-first-out at one of its operations and lets another one run first. When nobody is ready,
simpy's heap says what happens next, and all that happens at that instant is ready together.
"""

import contextlib
import contextvars
import gc
import math
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import simpy
from greenlet import GreenletExit, getcurrent, greenlet

from hal.clock import NS_PER_S
from sim.world.trace import Trace

POLL_NS = 20_000
SPIN_LIMIT = 20_000
INSTANT_LIMIT = 50_000
COLLECT_EVERY = 50_000  # operations
COLLECT_WORLDS, COLLECT_BYTES = 256, 1 << 28


class _Leavings:
    """What worlds that have ended have left to be collected."""

    worlds = 0
    size = 0


_leavings = _Leavings()


class WorldError(Exception):
    """The world itself can not go on; the text says why."""


class Deadlock(WorldError):  # noqa: N818 - it is what it is called
    """Nobody is ready, and nothing is going to happen."""


class Waitable:
    """Something that tasks wait for."""

    def __init__(self) -> None:
        self.waiters: dict[Task, None] = {}


class Schedule(Protocol):
    """Decides where a run deviates from first-in-first-out, if it may at all."""

    may_deviate: bool

    def preempt(self, process: str, site: str, hit: int, ready: "Collection[Task]") -> int | None:
        """Return which of the others that are ready runs first at this operation; None: nobody."""


class Task:
    """A thread of control in a world.

    Attributes:
        name: Of the process that it is.
        hits: How often it was at each site.
        is_dead: Whether it will never run again.
        is_frozen: Whether it does not run for now, whatever it is ready for.
        late_ns: By how much its timers are late.
        memory: Open while it runs; None where it shares all with the program outside.
    """

    def __init__(self, name: str, run: Callable[[], None], hub: greenlet) -> None:
        self.name = name
        self.hits: dict[str, int] = {}
        self.is_dead = False
        self.is_ready = False
        self.is_frozen = False
        self.late_ns = 0
        self.fruitless = 0
        self.instant_ns = -1
        self.instant_waits = 0
        self.pending: BaseException | None = None
        self.woken_by: Any = None
        self.memory: AbstractContextManager[None] | None = None
        self._green = greenlet(run, hub)
        self._green.gr_context = contextvars.copy_context()

    def resume(self) -> None:
        """Let it run until it waits."""
        error, self.pending = self.pending, None
        if error is None:
            self._green.switch()
        else:
            self._green.throw(error)

    @property
    def is_current(self) -> bool:
        """Whether it is the one that runs."""
        return getcurrent() is self._green

    def discard(self) -> None:
        """Unwind what is left of it, when the world has ended and sees nothing of it."""
        if not self._green.dead and bool(self._green):
            with contextlib.suppress(Exception):  # the process was dead long before
                self._green.throw(GreenletExit)


class Kernel:
    """Runs tasks in virtual time.

    Args:
        schedule: Where the run deviates from first-in-first-out.
        trace: Takes down every operation.

    Attributes:
        now_ns: The virtual time, in whole ns from the world's beginning.
        current: The task that runs, or None.
        is_closed: Whether the world has ended: operations of tasks that are unwound do nothing.
    """

    def __init__(self, schedule: Schedule, trace: Trace) -> None:
        self.environment = simpy.Environment(0)  # an int, so that every time is one
        self.schedule = schedule
        self.trace = trace
        self.now_ns = 0
        self.current: Task | None = None
        self.is_closed = False
        self.tasks: list[Task] = []
        self.on_operation: Callable[[Task, str, int, str], None] | None = None
        self._ready: deque[Task] = deque()
        self._frozen: list[Task] = []
        self._hub = getcurrent()
        self._next_collection = COLLECT_EVERY

    def spawn(self, name: str, run: Callable[[], None]) -> Task:
        """Make a task; it is ready at once."""
        task = Task(name, run, self._hub)
        self.tasks.append(task)
        self.make_ready(task)
        return task

    def make_ready(self, task: Task) -> None:
        """Let a task run when its turn comes."""
        if not task.is_ready and not task.is_dead:
            task.is_ready = True
            self._ready.append(task)

    def at(self, delay_ns: int, action: Callable[[], None]) -> Any:
        """Do something after so many ns; returns what `cancel` takes."""
        event = self.environment.timeout(max(int(delay_ns), 0))
        event.callbacks.append(lambda _: action())
        return event

    @staticmethod
    def cancel(event: Any) -> None:
        """Let nothing come of what `at` returned."""
        if event.callbacks:
            event.callbacks.clear()

    def operation(self, site: str, obj: str, detail: str = "") -> None:
        """Note that the running task is at an operation: here others may come first."""
        task = self.current
        if task is None:
            return
        if self.is_closed or task.is_dead:
            raise GreenletExit
        hit = task.hits[site] = task.hits.get(site, 0) + 1
        self.trace.add(self.now_ns, task.name, site, obj, detail)
        if self.on_operation is not None:
            self.on_operation(task, site, hit, obj)
        if self._ready and self.schedule.may_deviate:
            choice = self.schedule.preempt(task.name, site, hit, self._ready)
            if choice is not None:
                self._ready.rotate(-choice)
                first = self._ready.popleft()
                self._ready.rotate(choice)
                self._ready.appendleft(first)
                self.make_ready(task)
                self._switch(task)

    def freeze(self, tasks: Sequence[Task]) -> None:
        """Let tasks not run until they are thawed."""
        for task in tasks:
            task.is_frozen = True
        running = self.current
        if running is not None and running in tasks:
            self.make_ready(running)
            self._switch(running)

    def thaw(self, tasks: Sequence[Task]) -> None:
        """Let frozen tasks run again."""
        for task in tasks:
            task.is_frozen = False
            if task in self._frozen:
                self._frozen.remove(task)
                self.make_ready(task)

    def notify(self, thing: Waitable) -> None:
        """Something has become of a thing: let those who wait for it look again."""
        for task in thing.waiters:
            self.make_ready(task)

    def wait_until(
        self,
        is_there: Callable[[], bool],
        things: Iterable[Waitable],
        timeout_s: float | None,
    ) -> bool:
        """Let the running task wait until something is there; False if it was not in time.

        Args:
            is_there: Asked now, and again whenever something has become of one of the things.
            things: What it depends on.
            timeout_s: When to give up; None: never. 0 is a look, which is charged if it is in vain.
        """
        task = self.current
        assert task is not None
        if is_there():
            task.fruitless = 0
            self._see_that_time_goes_on(task)
            return True
        if timeout_s is not None and timeout_s <= 0:
            self.charge_poll()
            return is_there()
        timer = None
        is_late = False
        if timeout_s is not None:

            def expire() -> None:
                nonlocal is_late
                is_late = True
                self.make_ready(task)

            # No wait is shorter than a look: where a clock stands still, one would follow another.
            delay_ns = max(math.ceil(timeout_s * NS_PER_S), POLL_NS)
            timer = self.at(delay_ns + task.late_ns, expire)
        for thing in things:
            thing.waiters[task] = None
        try:
            while not is_late:
                self._switch(task)
                if is_there():
                    task.fruitless = 0
                    self._see_that_time_goes_on(task)
                    return True
        finally:
            if timer is not None:
                self.cancel(timer)
            for thing in things:
                thing.waiters.pop(task, None)
        return False

    def _see_that_time_goes_on(self, task: Task) -> None:
        """Count how often a task found at once what it waits for, with no time between."""
        if task.instant_ns != self.now_ns:
            task.instant_ns, task.instant_waits = self.now_ns, 0
        task.instant_waits += 1
        if task.instant_waits > INSTANT_LIMIT:
            raise WorldError(
                f"{task.name} has found {INSTANT_LIMIT} times in one instant what it waits for: it "
                "spins; let it take what it finds, or leave off waiting for it"
            )

    def pause(self) -> None:
        """Let the running task wait until somebody makes it ready."""
        task = self.current
        assert task is not None
        self._switch(task)

    def sleep(self, delay_ns: int) -> None:
        """Let the running task wait for so long."""
        task = self.current
        assert task is not None
        self.at(delay_ns, lambda: self.make_ready(task))
        self._switch(task)

    def charge_poll(self) -> None:
        """Charge the running task for having looked in vain: time goes on even while it spins."""
        task = self.current
        assert task is not None
        task.fruitless += 1
        if task.fruitless > SPIN_LIMIT:
            raise WorldError(
                f"{task.name} has looked {SPIN_LIMIT} times in a row without finding anything: it "
                "spins; let it wait for what it looks for"
            )
        self.sleep(POLL_NS)

    def _switch(self, task: Task) -> None:
        self._hub.switch()
        if self.is_closed or task.is_dead:
            raise GreenletExit

    def run(self, is_done: Callable[[], bool], until_ns: int | None = None) -> None:
        """Run until `is_done`, or until the virtual time is over.

        Raises:
            Deadlock: Nobody is ready and nothing is going to happen.
        """
        collects = gc.isenabled()
        gc.disable()  # what it finds, and the finalizers it runs, must not hang on other worlds
        try:
            self._run(is_done, until_ns)
        finally:
            if collects:
                gc.enable()

    def _run(self, is_done: Callable[[], bool], until_ns: int | None) -> None:
        while not is_done():
            if self.trace.count >= self._next_collection:
                self._next_collection += COLLECT_EVERY
                gc.collect(1)
            if self._ready:
                task = self._ready.popleft()
                task.is_ready = False
                if task.is_dead:
                    continue
                if task.is_frozen:
                    self._frozen.append(task)
                    continue
                self.current = task
                if task.memory is None:
                    task.resume()
                else:
                    with task.memory:
                        task.resume()
                self.current = None
                continue
            when = self.environment.peek()
            if when == float("inf"):
                raise Deadlock("nobody is ready, and nothing is going to happen")
            if until_ns is not None and when > until_ns:
                if until_ns > self.now_ns:
                    self.environment.run(until=until_ns)
                    self.now_ns = until_ns
                return
            self.now_ns = int(when)
            while self.environment.peek() == when:
                self.environment.step()

    def close(self) -> None:
        """End the world: unwind what is left of its tasks, unseen."""
        self.is_closed = True
        hook, sys.unraisablehook = sys.unraisablehook, _overhear
        try:
            for task in self.tasks:
                self.current = task
                with task.memory or contextlib.nullcontext():
                    task.discard()
        finally:
            self.current = None
            sys.unraisablehook = hook
            gc.unfreeze()

    def forget(self, size: int) -> None:
        """Let go of the tasks, once the world has ended; its memory has so many bytes."""
        self.tasks.clear()
        self._ready.clear()
        self._frozen.clear()
        self.environment = simpy.Environment(self.now_ns)
        # Python looks for garbage when much is made, but not while a world runs: so here.
        _leavings.worlds += 1
        _leavings.size += size
        if _leavings.worlds >= COLLECT_WORLDS or _leavings.size >= COLLECT_BYTES:
            _leavings.worlds = _leavings.size = 0
            gc.collect()


def _overhear(unraisable: Any) -> None:
    """Let a `__del__` of a process that is unwound come to nothing."""
    if unraisable.exc_type is not GreenletExit:
        sys.__unraisablehook__(unraisable)
