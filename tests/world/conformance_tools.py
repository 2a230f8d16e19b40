"""Runs one scenario over OS processes or in a world; spawned children import this by name."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from typing import Any

import psutil

from hal.clock import NS_PER_S
from magscope.runtime import Endpoint, Runtime, RuntimeProcess, current, machine
from magscope.runtime.os_memory import PREFIX
from magscope.runtime.os_session import _names
from sim.world import schedules
from sim.world.kernel import Kernel
from sim.world.machine import Machine
from sim.world.process import VirtualProcess
from sim.world.trace import Trace

Scenario = Callable[[Runtime], None]
LONG_S = 20.0


class Child(RuntimeProcess):
    """Does one task in a process of the session, and keeps only its own ends open."""

    def __init__(
        self,
        task: Callable[..., Any],
        *args: Any,
        ends: Sequence[Endpoint] = (),
        daemon: bool | None = None,
    ) -> None:
        super().__init__(name=task.__name__, daemon=daemon)
        self.task, self.args, self.ends = task, args, ends

    def own_ends(self) -> Sequence[Endpoint]:
        return self.ends

    def run(self) -> None:
        current().enter(self)
        self.task(*self.args, *self.ends)


class Lodger(Child):
    """Does its task without settling in, like a process that is still starting."""

    def run(self) -> None:
        self.task(*self.args, *self.ends)


def begin(task: Callable[..., Any], *args: Any, **options: Any) -> Child:
    """Start a child that does `task`."""
    child = Child(task, *args, **options)
    child.start()
    return child


def receive(end: Endpoint) -> bytes:
    """Return the next frame, waiting for it."""
    while (frame := end.receive()) is None:
        assert current().wait([end], timeout_s=LONG_S), "no frame came"
    return frame


def send(end: Endpoint, frame: bytes) -> None:
    """Send a frame whole, waiting for room."""
    while not end.send(frame):
        assert current().wait((), [end], LONG_S), "there was no room"
    while not end.flush():
        assert current().wait((), [end], LONG_S), "there was no room"


def hears_the_end(end: Endpoint) -> bool:
    """Whether nothing but the end of file comes, waiting for it."""
    try:
        receive(end)
    except EOFError:
        return True
    return False


def raises(kind: type[BaseException], do: Callable[[], Any]) -> bool:
    """Whether `do` raises this, and not another error."""
    try:
        do()
    except kind:
        return True
    return False


def until(condition: Callable[[], Any]) -> None:
    """Come back as soon as the condition holds; it is looked at every ms."""
    end_ns = current().clock.monotonic_ns() + int(LONG_S * NS_PER_S)
    while not condition():
        assert current().clock.monotonic_ns() < end_ns, f"{condition} did not come true"
        current().wait([], timeout_s=0.001)


def until_it_waits_for_a_lock(child: RuntimeProcess) -> None:
    """Come back when a child has come to a lock that it can not have."""
    if child.control is not None:  # in a world it has, as nobody runs meanwhile
        return
    process = psutil.Process(child.pid)
    until(lambda: process.status() == psutil.STATUS_SLEEPING)


def hang(*_: Any) -> None:
    """Do nothing, for ever."""
    while True:
        current().wait([], timeout_s=3600.0)


def end_of(child: RuntimeProcess) -> int | None:
    """Return how a child ends, waiting for it."""
    child.join(LONG_S)
    return child.exitcode


def kill(child: RuntimeProcess) -> None:
    """End a process as a crash does, and wait until it is gone."""
    child.kill()
    assert end_of(child) == -9


def over_os_processes(scenario: Scenario, start_method: str = "fork") -> None:
    """Do a scenario in this process, its children being processes of the operating system."""
    runtime, method = machine(), multiprocessing.get_start_method()
    singletons = dict(runtime.singletons())
    multiprocessing.set_start_method(start_method, force=True)
    runtime.begin_session()
    try:
        scenario(runtime)
    finally:
        strays = multiprocessing.active_children()
        for stray in strays:
            stray.kill()
            stray.join()
        runtime.end_session()
        runtime.singletons().clear()
        runtime.singletons().update(singletons)
        multiprocessing.set_start_method(method, force=True)
    assert not strays, f"the scenario left processes: {strays}"
    assert not [n for n in _names() if n.startswith(f"{PREFIX}{os.getpid():x}-")]


def in_a_world(
    scenario: Scenario, start_method: str = "fork", schedule: str = "fifo", seed: int = 0
) -> Machine:
    """Do a scenario as the first process of a world; return its machine when all have ended."""
    trace = Trace()
    kernel = Kernel(schedules.Recorder(schedules.make(schedule, seed)), trace)
    computer = Machine(kernel, start_method=start_method)
    failures: list[BaseException] = []

    def live(own: VirtualProcess) -> None:
        runtime = current()
        runtime.begin_session()
        try:
            scenario(runtime)
        except Exception as error:
            failures.append(error)
        strays = [p for p in computer.processes.values() if p.parent is own and p.exitcode is None]
        for stray in strays:
            computer.end(stray, -9)
        runtime.end_session()
        if strays and not failures:
            failures.append(AssertionError(f"the scenario left {[p.name for p in strays]}"))

    computer.launch("first", live)
    try:
        kernel.run(lambda: all(p.exitcode is not None for p in computer.processes.values()))
    finally:
        kernel.close()
    if failures:
        raise failures[0]
    assert not computer.memory
    return computer
