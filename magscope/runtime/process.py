"""A process of the system: `multiprocessing.Process` whose start and bootstrap go by the seam."""

import multiprocessing
import os
from collections.abc import Sequence

from magscope.runtime.base import Endpoint


class RuntimeProcess(multiprocessing.Process):
    """A process that belongs to a session.

    It can be waited for (`runtime.wait([process])`), and it closes, in its own process, every pipe
    end that belongs to another one, so that each pipe ends when its owner does.
    """

    _session: str = ""
    _descriptor: int | None = None

    def own_ends(self) -> Sequence[Endpoint]:
        """Return the pipe ends that this process, once started, alone keeps open."""
        return ()

    def start(self) -> None:
        """Start the process in the current runtime's session."""
        from magscope.runtime import current

        current().start(self)

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

    def __hash__(self) -> int:
        return id(self)
