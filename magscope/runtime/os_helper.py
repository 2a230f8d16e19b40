"""A thread that does for its process what may take long, such as a driver's calls."""

import contextvars
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from magscope.runtime.base import Bell, Helper, Result
from magscope.runtime.os_pipe import OsBell

MOMENT_S = 0.05


class _Job:
    """Something to do, and what has become of it."""

    def __init__(self, work: Callable[[], Any], bell: Bell) -> None:
        self._work = work
        self._bell = bell
        self._result: Any = None
        self._error: BaseException | None = None
        self.is_done = threading.Event()
        self.is_long = False

    def run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # it is for whoever has asked
            self._error = error
        self.is_done.set()
        if self.is_long:
            self._bell.ring()

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class OsHelper(Helper):
    """See `Helper`. Whatever it does, one and the same thread does it."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._bell = OsBell()
        self._last: _Job | None = None
        self.turn = threading.RLock()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="helper", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # with it goes what the work has returned

    @property
    def is_at_work(self) -> bool:
        """Whether it has not yet come to the end of what it was asked to do last."""
        return self._last is not None and not self._last.is_done.is_set()

    @property
    def is_caller(self) -> bool:
        """Whether it is the helper itself that asks."""
        return threading.current_thread() is self._thread

    def do(self, work: Callable[[], Result], meanwhile: Callable[[Bell], None]) -> Result:
        """Do something, and return what it returns or raise what it raises."""
        if self.is_caller:
            return work()
        self._last = job = _Job(work, self._bell)
        self._jobs.put(job)
        if not job.is_done.wait(MOMENT_S):
            job.is_long = True
            while not job.is_done.is_set():
                meanwhile(self._bell)
        result: Result = job.outcome()
        return result

    def leave(self) -> None:
        """Let the thread end; if it is still at work, end the process."""
        if self.is_at_work:
            os._exit(1)  # a thread can not be ended, and the system's libraries would wait for it
        self._jobs.put(None)
        self._thread.join()
        self._bell.close()
