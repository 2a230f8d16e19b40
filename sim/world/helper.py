"""A thread of a process of a world, which does for it what may take long."""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit

from magscope.runtime.base import Bell, Helper, Result
from magscope.runtime.os_helper import MOMENT_S
from sim.world.kernel import Kernel, Task, Waitable
from sim.world.pipes import VirtualBell

if TYPE_CHECKING:
    from sim.world.machine import Machine
    from sim.world.process import VirtualProcess


class _Job(Waitable):
    """Something to do, and what has become of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None
        self.is_done = False
        self.is_long = False

    def run(self) -> None:
        try:
            self._result = self._work()
        except GreenletExit:  # its process has ended
            raise
        except BaseException as error:  # it is for whoever has asked
            self._error = error
        self.is_done = True

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class Turn(Waitable):
    """What one thread of a process has at a time; it may take it again."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self._kernel = kernel
        self._holder: Task | None = None
        self._depth = 0

    def __enter__(self) -> None:
        task = self._kernel.current
        if self._holder is not None and self._holder is not task:
            self._kernel.wait_until(lambda: self._holder is None, (self,), None)
        self._holder = task
        self._depth += 1

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._holder = None
            self._kernel.notify(self)


class VirtualHelper(Helper):
    """See `Helper`: what `OsHelper` is, in a world."""

    def __init__(self, machine: "Machine", process: "VirtualProcess") -> None:
        self._machine = machine
        self._process = process
        self._bell = VirtualBell(machine, machine.named("bell"))
        self._jobs: deque[_Job] = deque()
        self._last: _Job | None = None
        self.turn = Turn(machine.kernel)
        self._task = machine.add_thread(process, self._run)

    def _run(self) -> None:
        kernel = self._machine.kernel
        while True:
            while self._jobs:
                job = self._jobs.popleft()
                job.run()
                kernel.notify(job)
                if job.is_long:
                    self._bell.sound()
                del job  # with it goes what the work has returned
            kernel.pause()

    @property
    def is_at_work(self) -> bool:
        """Whether it has not yet come to the end of what it was asked to do last."""
        return self._last is not None and not self._last.is_done

    @property
    def is_caller(self) -> bool:
        """Whether it is the helper itself that asks."""
        return self._task.is_current

    def do(self, work: Callable[[], Result], meanwhile: Callable[[Bell], None]) -> Result:
        """Do something, and return what it returns or raise what it raises."""
        if self.is_caller:
            return work()
        kernel = self._machine.kernel
        self._last = job = _Job(work)
        self._jobs.append(job)
        kernel.make_ready(self._task)
        if not kernel.wait_until(lambda: job.is_done, (job,), MOMENT_S):
            job.is_long = True
            while not job.is_done:
                meanwhile(self._bell)
        result: Result = job.outcome()
        return result

    def leave(self) -> None:
        """Let go of the helper; if it is still at work, end the process."""
        if self.is_at_work:
            self._machine.end(self._process, 1)
            raise GreenletExit
        self._machine.end_thread(self._task)
