"""The runtime of the rig: processes, pipes, locks and memory of the operating system."""

import atexit
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any

from hal.clock import NS_PER_S, MachineClock
from magscope.runtime import os_pipe, os_session
from magscope.runtime.base import (
    Bell,
    Endpoint,
    Event,
    Foreign,
    Helper,
    Lock,
    Runtime,
    SharedMemory,
    Value,
)
from magscope.runtime.os_helper import OsHelper
from magscope.runtime.os_memory import OsSharedMemory
from magscope.runtime.os_pipe import OsBell, OsEndpoint
from magscope.runtime.os_sync import WORDS, OsEvent, OsLock, OsValue, Turns, Words
from magscope.runtime.process import RuntimeProcess

_ENVIRONMENT = "MAGSCOPE_SESSION"
_HELD_BACK = (signal.SIGTERM, signal.SIGINT)


class SessionFiles:
    """The lock file and the words of one session, as this process has them open."""

    def __init__(self, session: str, *, create: bool) -> None:
        if create:
            self.locks = os_session.claim(session)
        else:
            self.locks = os_session.LockFile(os_session.lock_path(session))
        self.turns = Turns(self.locks)
        self.words = Words(session, create=create)


class OsClock(MachineClock):
    """The machine's clocks, whose sleep a signal always ends: see `Waker`."""

    def __init__(self, waker: os_pipe.Waker) -> None:
        self._waker = waker

    def sleep_s(self, seconds: float) -> None:
        """Block this process for so many seconds, or until it is told to terminate."""
        if not self._waker.listens:
            super().sleep_s(seconds)
            return
        end_ns = self.monotonic_ns() + round(seconds * NS_PER_S)
        while (left_ns := end_ns - self.monotonic_ns()) > 0:
            self._waker.wait((), (), left_ns / NS_PER_S)


class OsForeign(Foreign):
    """A process of the system by its id and its time of birth, so that no other is meant."""

    def __init__(self, pid: int) -> None:
        import psutil  # only the router needs it, and it is slow to load

        self._psutil = psutil
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None

    def is_alive(self) -> bool:
        """Whether that very process still runs; a zombie does not."""
        try:
            return (
                self._process is not None
                and self._process.is_running()
                and self._process.status() != self._psutil.STATUS_ZOMBIE
            )
        except self._psutil.NoSuchProcess:
            return False

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self.is_alive():
            try:
                self._process.kill()
            except self._psutil.NoSuchProcess:
                self._process = None


class OsRuntime(Runtime):
    """See `Runtime`. One for each process; `magscope.runtime.current()` returns it."""

    name = "operating system"

    def __init__(self) -> None:
        self._files: dict[str, SessionFiles] = {}
        self._owned: set[str] = set()
        self._requests = _Requests()
        self._session = ""
        self._count = itertools.count(1)
        self._next_word = itertools.count()
        self._next_lock = itertools.count(1)
        self._numbering_pid = 0
        self._ends = os_pipe.Ends()
        self._waker = os_pipe.Waker()
        self.clock = OsClock(self._waker)
        self._singletons: dict[Any, Any] = {}
        atexit.register(self._leave_nothing, os.getpid())
        if sys.platform != "win32":
            os.register_at_fork(after_in_child=_hear_signals)

    @property
    def session(self) -> str:
        """The id of the session: the one joined, or one of this process' own, made when needed.

        A child that was started with plain `multiprocessing` belongs to its parent's session.
        """
        if not self._session:
            parent = multiprocessing.parent_process()
            inherited = os.environ.get(_ENVIRONMENT, "")
            if parent is not None and inherited:
                self._session = inherited
            elif parent is not None and os_session.lock_path(f"{parent.pid:x}-0").exists():
                self._session = f"{parent.pid:x}-0"
            else:
                self._own(f"{os.getpid():x}-0")
        return self._session

    def begin_session(self) -> str:
        """Start a new session in this process, and sweep what dead ones left."""
        return self._own(f"{os.getpid():x}-{next(self._count)}")

    def end_session(self) -> None:
        """Remove every shared name of the session, if it is this process' own, or nobody's."""
        if self.owner_is_gone():
            os_session.remove_session(self._session)
        if self._session in self._owned:
            self._owned.discard(self._session)
            os_session.remove_session(self._session)
            files = self._files.pop(self._session)
            files.words.close()
            files.locks.close()
        self._session = ""
        os.environ.pop(_ENVIRONMENT, None)

    def _own(self, session: str) -> str:
        os_session.sweep(self._session or None)
        self._session = session
        self._files[session] = SessionFiles(session, create=True)
        self._owned.add(session)
        self._next_word = itertools.count()
        self._next_lock = itertools.count(1)
        self._numbering_pid = os.getpid()
        os.environ[_ENVIRONMENT] = session
        return session

    def _leave_nothing(self, pid: int) -> None:
        if pid == os.getpid():
            for session in self._owned:
                os_session.remove_session(session)

    def files(self, session: str) -> SessionFiles:
        """Return a session's lock file and words, opened once in each process."""
        if session not in self._files:
            self._files[session] = SessionFiles(session, create=False)
        return self._files[session]

    def singletons(self) -> dict[Any, Any]:
        """Return the one instances of the singleton classes in this process."""
        return self._singletons

    def pipe(self) -> tuple[Endpoint, Endpoint]:
        """Return the two ends of a new pipe."""
        first, second = (OsEndpoint(end) for end in multiprocessing.Pipe(duplex=True))
        self._ends.add(first)
        self._ends.add(second)
        return first, second

    def bell(self) -> Bell:
        """Return a new bell."""
        return OsBell()

    def lock(self) -> Lock:
        """Return a new lock."""
        session = self.session
        if os.getpid() != self._numbering_pid:
            raise RuntimeError(
                "only the process that began the session makes its locks and values: make them "
                "before the others are started, and hand them over"
            )
        return OsLock(session, next(self._next_lock))

    def value(self, typecode: str, initial: float = 0) -> Value:
        """Return a new number in shared memory."""
        session = self.session
        index = next(self._next_word)
        if index >= WORDS:
            raise MemoryError(f"a session has {WORDS} shared values, and all are taken")
        word = OsValue(session, index, typecode, self.lock())
        word.value = initial
        return word

    def event(self) -> Event:
        """Return a new event, not set."""
        return OsEvent(self.value("q"))  # type: ignore[arg-type]

    def shared_memory(self, name: str, size: int | None = None) -> SharedMemory:
        """Create the session's block of this name, or attach to it."""
        return OsSharedMemory(self.session, name, size)

    def wait(
        self, readable: Iterable[Any], writable: Sequence[Any] = (), timeout_s: float | None = None
    ) -> set[Any]:
        """Wait until something happens, and return all that is ready."""
        readable = list(readable)
        buffered = {s for s in readable if getattr(s, "is_ready", False)}
        ready = self._waker.wait(readable, writable, 0.0 if buffered else timeout_s)
        return ready | buffered

    @property
    def children_inherit(self) -> bool:
        """Whether a process starts with the modules that its parent has loaded: if it is forked."""
        return multiprocessing.get_start_method() == "fork"

    def start(self, process: RuntimeProcess) -> None:
        """Start a process and close, on this side, the pipe ends that are its own."""
        process._session = self.session  # noqa: SLF001 - the seam's two halves
        with _undisturbed() if self.children_inherit else nullcontext():
            multiprocessing.Process.start(process)
        if sys.platform == "linux" and process.pid is not None:
            process.watch(os.pidfd_open(process.pid))
        for end in process.own_ends():
            end.close()

    def enter(self, process: RuntimeProcess) -> None:
        """Settle in, in the new process.

        Ctrl-C reaches every process of a terminal, but the router alone decides what it means. A
        request to terminate ends the process in order, with its devices closed.
        """
        self._session = process._session  # noqa: SLF001
        os.environ[_ENVIRONMENT] = self._session
        self._owned.clear()
        self._singletons.clear()
        kept = process.own_ends()
        self._ends.close_all_but(kept)
        for end in kept:
            if isinstance(end, OsEndpoint):
                self._ends.add(end)
        self._waker.listen()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._requests.handler())

    def leave(self) -> None:
        """Have done, in a process that has settled in: a request to terminate ends it at once."""
        signal.signal(signal.SIGTERM, _leave_at_once)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Let a request to terminate end the process at once."""
        before = signal.signal(signal.SIGTERM, _leave_at_once)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Return a context in which a request to terminate is not heard before its end."""
        return self._requests

    def helper(self) -> Helper:
        """Return a helper, which is a thread."""
        return OsHelper()

    def foreign(self, pid: int) -> Foreign:
        """Return a handle on a process that another process started."""
        return OsForeign(pid)

    @contextmanager
    def interrupts(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop` on Ctrl-C and on a request to terminate, where this thread gets signals."""
        pid = os.getpid()

        def handle(number: int, _frame: FrameType | None) -> None:
            if os.getpid() == pid:
                stop()
            elif number != signal.SIGINT:  # a child that was forked, and has not settled in yet
                os._exit(128 + number)

        names = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        previous = {}
        try:
            for number in numbers:
                previous[number] = signal.signal(number, handle)
        except ValueError:  # not the main thread: the caller has `stop`
            previous = {}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def owner_is_gone(self) -> bool:
        """Whether the process that began this session has died without ending it."""
        if self._session in self._owned:
            return False
        if not os_session.lock_path(self._session).exists():
            return True  # another survivor has swept it
        files = self.files(self._session)
        if files.locks.acquire(0, block=False):
            files.locks.release(0)
            return True
        return False


class _Requests:
    """Requests to terminate this process: each raises SystemExit, where that does no harm.

    While the context is entered, one that comes waits for its end. Signals interrupt the main
    thread alone, and so others may enter it without effect.
    """

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._depth = 0
        self._waits = False

    def handler(self) -> Callable[[int, FrameType | None], None]:
        """Return a handler that ends this process in order.

        A child that was forked has it until it settles in, and has nothing that must be tidied up.
        """
        pid = os.getpid()
        self._main, self._depth, self._waits = threading.get_ident(), 0, False

        def leave(_number: int, _frame: FrameType | None) -> None:
            if os.getpid() != pid:
                os._exit(128 + signal.SIGTERM)
            if self._depth:
                self._waits = True
            else:
                sys.exit(128 + signal.SIGTERM)

        return leave

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        if threading.get_ident() != self._main:
            return
        self._depth -= 1
        if self._waits and not self._depth:
            self._waits = False
            sys.exit(128 + signal.SIGTERM)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold signals back while a process is forked.

    Libraries hook into a fork. What a handler raises in such a hook goes nowhere: a request to
    terminate would be lost, and a lock of the library's might be left locked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield  # in the forked child, this has no end: see `_hear_signals`
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hear_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)


def _leave_at_once(*_: object) -> None:
    os._exit(128 + signal.SIGTERM)


def session_files(session: str) -> SessionFiles:
    """Return a session's lock file and words in this process."""
    from magscope.runtime import machine

    return machine().files(session)
