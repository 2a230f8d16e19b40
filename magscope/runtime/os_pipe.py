"""Pipes that never block, bells, and waiting for several things at once."""

import contextlib
import math
import os
import select
import signal
import sys
import threading
import weakref
from collections.abc import Iterable, Sequence
from multiprocessing import connection, get_context
from typing import Any

from magscope.runtime.base import Bell, Endpoint
from magscope.runtime.framing import FramedEndpoint, check_size

if sys.platform == "win32":
    import _winapi

    class OsEndpoint(Endpoint):
        """An end of a named pipe in message mode, with one overlapped write under way at most."""

        def __init__(self, end: Any) -> None:
            self._end = end
            self._pending: Any = None

        def send(self, frame: bytes) -> bool:
            """Take a frame for sending; False if an earlier one has not left yet."""
            check_size(frame)
            if not self.flush():
                return False
            self._pending, _ = _winapi.WriteFile(self._end.fileno(), frame, overlapped=True)
            self.flush()
            return True

        def flush(self) -> bool:
            """Return True when nothing remains to be sent."""
            if self._pending is None:
                return True
            state = _winapi.WaitForSingleObject(self._pending.event, 0)
            if state == _winapi.WAIT_TIMEOUT:
                return False
            self._pending.GetOverlappedResult(True)
            self._pending = None
            return True

        def receive(self) -> bytes | None:
            """Return the next whole frame, or None if none is there."""
            try:
                return self._end.recv_bytes() if self._end.poll(0) else None
            except OSError as error:
                raise EOFError from error

        @property
        def is_ready(self) -> bool:
            """Whether a frame was taken from the pipe already: never, here."""
            return False

        @property
        def is_flushed(self) -> bool:
            """Whether no write is under way."""
            return self._pending is None

        def fileno(self) -> int:
            """Return the handle to wait for."""
            return self._end.fileno()

        def close(self) -> None:
            """Close this end."""
            with contextlib.suppress(OSError):
                self._end.close()

        def __reduce__(self) -> tuple:
            return OsEndpoint, (self._end,)

    class OsBell(Bell):
        """A semaphore that counts to one; waiting for its handle takes it."""

        def __init__(self, semaphore: Any = None) -> None:
            self._semaphore = semaphore
            if semaphore is None:
                self._semaphore = get_context().BoundedSemaphore(1)
                self._semaphore.acquire()

        def ring(self) -> None:
            """Wake the process that waits for this bell."""
            with contextlib.suppress(ValueError):  # it has rung already
                self._semaphore.release()

        def clear(self) -> None:
            """Take note."""
            self._semaphore.acquire(block=False)

        def fileno(self) -> int:
            """Return the handle to wait for."""
            return self._semaphore._semlock.handle  # noqa: SLF001

        def close(self) -> None:
            """Do nothing: the system counts the handles."""

        def __reduce__(self) -> tuple:
            return OsBell, (self._semaphore,)

    def wait(readable: Iterable[Any], writable: Sequence[Any], timeout_s: float | None) -> set[Any]:
        """Wait for pipes and handles."""
        by_object = {_pipe_or_handle(source): source for source in readable}
        for source in writable:
            pending = getattr(source, "end", source)._pending  # noqa: SLF001
            if pending is not None:
                by_object[pending.event] = source
        ready = connection.wait(list(by_object), timeout_s)
        return {by_object[found] for found in ready}

    def _pipe_or_handle(source: Any) -> Any:
        """Return what the system waits for: a pipe is readable when its connection says so."""
        end = getattr(source, "end", source)
        return end._end if isinstance(end, OsEndpoint) else source.fileno()  # noqa: SLF001

else:

    class OsEndpoint(FramedEndpoint):
        """An end of a pair of stream sockets."""

        def __init__(self, end: Any) -> None:
            super().__init__()
            self._end = end
            self._descriptor: int = end.fileno()
            os.set_blocking(self._descriptor, False)

        def _write(self, data: memoryview) -> int:
            return os.write(self._descriptor, data)

        def _read(self, count: int) -> bytes:
            return os.read(self._descriptor, count)

        def fileno(self) -> int:
            """Return the descriptor to wait for."""
            return self._descriptor

        def _close(self) -> None:
            self._descriptor = -1  # the number may soon be another pipe's
            with contextlib.suppress(OSError):
                self._end.close()

        def __reduce__(self) -> tuple:
            return OsEndpoint, (self._end,)

    class OsBell(Bell):
        """A pipe with a byte in it: full means that it has rung already."""

        def __init__(self, ends: tuple[Any, Any] | None = None) -> None:
            self._ends = ends or get_context().Pipe(duplex=False)
            self._reader, self._writer = (end.fileno() for end in self._ends)
            os.set_blocking(self._reader, False)
            os.set_blocking(self._writer, False)

        def ring(self) -> None:
            """Wake the process that waits for this bell."""
            with contextlib.suppress(OSError):  # it has rung already, or is closed
                os.write(self._writer, b"!")

        def clear(self) -> None:
            """Take note."""
            with contextlib.suppress(OSError):
                while len(os.read(self._reader, 4096)) == 4096:
                    pass

        def fileno(self) -> int:
            """Return the descriptor to wait for."""
            return self._reader

        @property
        def mark(self) -> int:
            """The descriptor into which a byte is a ring."""
            return self._writer

        def close(self) -> None:
            """Close both ends."""
            self._reader = self._writer = -1
            for end in self._ends:
                end.close()

        def __reduce__(self) -> tuple:
            return OsBell, (self._ends,)

    def wait(readable: Iterable[Any], writable: Sequence[Any], timeout_s: float | None) -> set[Any]:
        """Wait for descriptors."""
        readable = list(readable)
        timeout_s = None if timeout_s is None else max(timeout_s, 0.0)
        try:  # the one call that keeps time to microseconds
            readers, writers, _ = select.select(readable, writable, (), timeout_s)
        except ValueError:  # a descriptor above 1023, in a process that has opened very much
            return _poll(readable, writable, timeout_s)
        return {*readers, *writers}

    def _poll(
        readable: Sequence[Any], writable: Sequence[Any], timeout_s: float | None
    ) -> set[Any]:
        poller = select.poll()
        by_descriptor: dict[int, list[Any]] = {}
        for sources, mask in ((readable, select.POLLIN), (writable, select.POLLOUT)):
            for source in sources:
                by_descriptor.setdefault(source.fileno(), []).append((source, mask))
        for descriptor, wanted in by_descriptor.items():
            poller.register(descriptor, sum(mask for _, mask in wanted))
        events = poller.poll(None if timeout_s is None else math.ceil(timeout_s * 1000))
        failed = select.POLLHUP | select.POLLERR
        return {
            source
            for descriptor, event in events
            for source, mask in by_descriptor[descriptor]
            if event & (mask | failed)
        }


class Waker:
    """What wakes this process' main thread from a wait when a signal comes.

    A signal that comes in the instant before a system call does not interrupt it, and its handler
    would have to wait until the call returns. The system's own mark of a signal is waited for, too.
    """

    def __init__(self) -> None:
        self._bell: OsBell | None = None
        self._main = 0

    def listen(self) -> None:
        """Begin, in the main thread; in a forked child once more. Windows has no such signals."""
        if sys.platform != "win32":
            self._bell, self._main = OsBell(), threading.get_ident()
            signal.set_wakeup_fd(self._bell.mark, warn_on_full_buffer=False)

    @property
    def listens(self) -> bool:
        """Whether a signal wakes this thread."""
        return self._bell is not None and threading.get_ident() == self._main

    def wait(
        self, readable: Sequence[Any], writable: Sequence[Any], timeout_s: float | None
    ) -> set[Any]:
        """Wait for pipes and handles, or, in the main thread, for a signal."""
        if self._bell is None or not self.listens:
            return wait(readable, writable, timeout_s)
        ready = wait((*readable, self._bell), writable, timeout_s)
        if self._bell in ready:
            ready.discard(self._bell)
            self._bell.clear()
        return ready


class Ends:
    """The pipe ends that this process has open, so that a forked child can close what is not its.

    Without this, a pipe whose owner died would stay open in every process forked after it.
    """

    def __init__(self) -> None:
        self._open: weakref.WeakSet[OsEndpoint] = weakref.WeakSet()

    def add(self, end: OsEndpoint) -> None:
        """Remember an open end."""
        self._open.add(end)

    def close_all_but(self, kept: Sequence[Endpoint]) -> None:
        """Close every other end."""
        keep = {id(end) for end in kept}
        for end in list(self._open):
            if id(end) not in keep:
                end.close()
