"""A process of the system: `multiprocessing.Process`, started and ended by way of the seam."""

import multiprocessing
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from magscope.runtime.base import Endpoint


class ProcessControl(ABC):
    """A started process, for a runtime whose processes are not the operating system's."""

    pid: int

    @property
    @abstractmethod
    def exitcode(self) -> int | None:
        """How it ended: 0, a code, or minus a signal; None before that is known."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it still runs."""

    @abstractmethod
    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""

    @abstractmethod
    def terminate(self) -> None:
        """Ask it to end."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once."""


class RuntimeProcess(multiprocessing.Process):
    """A process that belongs to a session.

    It can be waited for (`runtime.wait([process])`), and it closes, in its own process, every pipe
    end that belongs to another one, so that each pipe ends when its owner does.

    Attributes:
        control: Set by a runtime whose processes are not the operating system's.
    """

    _session: str = ""
    _descriptor: int | None = None
    control: ProcessControl | None = None

    def own_ends(self) -> Sequence[Endpoint]:
        """Return the pipe ends that this process, once started, alone keeps open."""
        return ()

    def start(self) -> None:
        """Start the process in the current runtime's session."""
        from magscope.runtime import current

        current().start(self)

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        """Do its work, in its own process, and return the exit code.

        What is raised after that, while `multiprocessing` tidies up, would count as a failure: who
        is told to terminate by then, whose work is done, leaves.
        """
        from magscope.runtime import machine

        try:
            code = super()._bootstrap(parent_sentinel)  # type: ignore[misc]
        except SystemExit as told:
            code = told.code
        machine().leave()
        return code

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return super().is_alive() if self.control is None else self.control.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        from magscope.runtime import current

        if self.control is not None:
            self.control.join(timeout)
        elif timeout is None or self._descriptor is None:
            super().join(timeout)
        elif current().wait([self], timeout_s=timeout):  # its sentinel may be silent: see `watch`
            super().join()

    def terminate(self) -> None:
        """Ask it to end."""
        if self.control is None:
            super().terminate()
        else:
            self.control.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self.control is None:
            super().kill()
        else:
            self.control.kill()

    @property
    def pid(self) -> int | None:
        """Its number; None before it is started."""
        return self.ident if self.control is None else self.control.pid

    @property
    def exitcode(self) -> int | None:
        """How it ended: 0, a code, or minus a signal; None before that."""
        return super().exitcode if self.control is None else self.control.exitcode

    def watch(self, descriptor: int) -> None:
        """Take a descriptor that becomes ready when the process ends, instead of the sentinel.

        A forked process inherits its elder siblings' sentinels, and so a sentinel can stay silent
        after its process has died; what the kernel itself says of a process does not.
        """
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return what becomes ready when the process ends."""
        return self.sentinel if self._descriptor is None else self._descriptor

    def forget(self) -> None:
        """Let go of an ended process."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process has: nothing of how this one is held."""
        return {**self.__dict__, "control": None, "_descriptor": None}

    def __hash__(self) -> int:
        return id(self)
