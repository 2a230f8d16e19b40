"""The seam between managers and the world they run in: one interface, several implementations.

Whatever a manager, a worker, a buffer or the router needs from outside its own code (time,
processes, pipes, locks, shared memory) it asks of `magscope.runtime.current()`. `OsRuntime` gives
it the operating system's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hal.clock import Clock
from hal.device import Device
from magscope.runtime.files import Disk

if TYPE_CHECKING:
    from magscope.runtime.process import RuntimeProcess

MAX_FRAME_BYTES = 16 * 1024 * 1024

Result = TypeVar("Result")


class Endpoint(ABC):
    """One end of a duplex pipe that carries whole frames of bytes and never blocks."""

    @abstractmethod
    def send(self, frame: bytes) -> bool:
        """Take a frame for sending; False if an earlier one has not left yet.

        Raises:
            ValueError: The frame is larger than `MAX_FRAME_BYTES`.
            BrokenPipeError: The other end is closed.
        """

    @abstractmethod
    def flush(self) -> bool:
        """Send on what was taken; True when nothing remains to be sent."""

    @abstractmethod
    def receive(self) -> bytes | None:
        """Return the next whole frame, or None if none is there: then wait before asking again.

        Raises:
            EOFError: The other end is closed and no whole frame is left.
        """

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """Whether a whole frame has been taken from the pipe already."""

    @property
    @abstractmethod
    def is_flushed(self) -> bool:
        """Whether all that was taken for sending has left, as far as is known."""

    @abstractmethod
    def close(self) -> None:
        """Close this end; idempotent."""


class Bell(ABC):
    """Wakes one process. Rings that nobody heard yet count as one; ringing never blocks."""

    @abstractmethod
    def ring(self) -> None:
        """Wake the process that waits for this bell, now or when it next waits."""

    @abstractmethod
    def clear(self) -> None:
        """Take note: call it before looking at what the bell stands for."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the bell; idempotent."""


class Lock(AbstractContextManager, ABC):
    """Excludes other processes and threads; given back when its holder dies."""

    @abstractmethod
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; False if it was not to be had (in time)."""

    @abstractmethod
    def release(self) -> None:
        """Give the lock back."""

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Value(ABC):
    """One number in shared memory, read and written whole."""

    value: Any

    @abstractmethod
    def get_lock(self) -> Lock:
        """Return the lock that guards a read followed by a write."""


class Event(ABC):
    """A flag that one process sets and others see."""

    @abstractmethod
    def is_set(self) -> bool:
        """Whether it is set."""

    @abstractmethod
    def set(self) -> None:
        """Set it."""

    @abstractmethod
    def clear(self) -> None:
        """Unset it."""


class Words(Protocol):
    """Whole numbers in shared memory, each with one writer at a time."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, number: int, /) -> None: ...

    def release(self) -> None:
        """Let go of the memory; the words must not be used afterwards."""


class SharedMemory(ABC):
    """A named block of memory that the processes of one session share."""

    name: str
    buf: memoryview

    def words(self, names: Sequence[str]) -> Words:
        """Return the block's first words of 64 bits, one for each name, as whole numbers.

        A word is stored by one instruction, and never seen half written.
        """
        return self.buf[: 8 * len(names)].cast("q")

    @abstractmethod
    def close(self) -> None:
        """Let go of the block; idempotent. It stays until it is unlinked."""

    @abstractmethod
    def unlink(self) -> None:
        """Remove the block's name; idempotent. Who has it attached keeps it."""


_NOTHING = nullcontext()


class Helper:
    """Does for a process what may take long, so that the process can look after other things.

    This one does it where it is asked to: for a process that uses nothing that may take long.

    Attributes:
        turn: Keeps the helper and the process from doing the same thing at once.
    """

    turn: AbstractContextManager[Any] = _NOTHING

    @property
    def is_at_work(self) -> bool:
        """Whether it has not yet come to the end of what it was asked to do last."""
        return False

    @property
    def is_caller(self) -> bool:
        """Whether it is the helper itself that asks."""
        return False

    def do(
        self,
        work: Callable[[], Result],
        meanwhile: Callable[[Bell], None],  # noqa: ARG002 - there is none
    ) -> Result:
        """Do something, and return what it returns or raise what it raises.

        What is asked of it while it is at work is done after that.

        Args:
            work: What there is to do.
            meanwhile: Called over and over, once it takes longer than a moment. It waits for the
                bell, which rings when the work is done, and for what else there is. What it raises
                comes out of here, and nobody hears any more what becomes of the work.
        """
        return work()

    def leave(self) -> None:
        """Let go of the helper. If it is still at work, the process ends here and now, with 1."""


class Foreign(ABC):
    """A process that somebody else started, known by its id."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Whether that very process still runs."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once; does nothing when it is gone."""


class Runtime(ABC):
    """Everything that managers and the router need from outside their own code.

    Attributes:
        name: What it is called in the manifest of a recording.
        disk: Is told of operations on recorded files.
    """

    clock: Clock
    name: str = ""
    disk: Disk = Disk()

    def note(self, topic: str, text: str) -> None:  # noqa: B027 - most keep no trace
        """Hear what is going on, for a runtime that keeps a trace of it."""

    @property
    @abstractmethod
    def session(self) -> str:
        """The id of the session, which its shared names carry."""

    @abstractmethod
    def begin_session(self) -> str:
        """Start a new session in this process, sweep what dead ones left, and return its id."""

    @abstractmethod
    def end_session(self) -> None:
        """Remove every shared name of the session, if it is this process' own, or nobody's."""

    @abstractmethod
    def singletons(self) -> dict[Any, Any]:
        """Return the one instances of the singleton classes that live here."""

    @abstractmethod
    def pipe(self) -> tuple[Endpoint, Endpoint]:
        """Return the two ends of a new pipe."""

    @abstractmethod
    def bell(self) -> Bell:
        """Return a new bell."""

    @abstractmethod
    def lock(self) -> Lock:
        """Return a new lock."""

    @abstractmethod
    def value(self, typecode: str, initial: float = 0) -> Value:
        """Return a new number in shared memory; `typecode` is `q` (int64) or `d` (float64)."""

    @abstractmethod
    def event(self) -> Event:
        """Return a new event, not set."""

    @abstractmethod
    def shared_memory(self, name: str, size: int | None = None) -> SharedMemory:
        """Create the session's block of this name, zeroed; or attach to it if `size` is None.

        Raises:
            FileExistsError: There is one, to be created.
            FileNotFoundError: There is none, to be attached.
        """

    @abstractmethod
    def wait(
        self,
        readable: Iterable[Any],
        writable: Sequence[Any] = (),
        timeout_s: float | None = None,
    ) -> set[Any]:
        """Wait until something happens, and return all that is ready; empty after the time-out.

        Args:
            readable: Endpoints with a frame or at their end, bells that rang, processes that ended.
            writable: Endpoints that can send on.
            timeout_s: When to give up; None waits for ever.
        """

    @property
    @abstractmethod
    def children_inherit(self) -> bool:
        """Whether a process starts with the modules that its parent has loaded."""

    @abstractmethod
    def start(self, process: "RuntimeProcess") -> None:
        """Start a process; the ends in `process.own_ends()` are then closed on this side."""

    @abstractmethod
    def enter(self, process: "RuntimeProcess") -> None:
        """Settle in, in the new process: join its session, close what belongs to others."""

    def device(self, role: str, device: Device) -> Device:  # noqa: ARG002 - most use it as it is
        """Return the device as this runtime has it used.

        Args:
            role: `camera`, or the motor's name.
            device: Made, and not yet open.
        """
        return device

    def loading(self) -> AbstractContextManager[None]:
        """Return a context in which a request to terminate ends the process at once.

        For while libraries are loaded, and there is nothing to be tidied up: an exception there
        could be swallowed, or come out as another one.
        """
        return _NOTHING

    def uninterrupted(self) -> AbstractContextManager[Any]:
        """Return a context in which a request to terminate is not heard before its end.

        For while what is done and what is known of it must not come apart.
        """
        return _NOTHING

    def helper(self) -> Helper:
        """Return a helper for this process, which has settled in."""
        return Helper()

    @abstractmethod
    def foreign(self, pid: int) -> Foreign:
        """Return a handle on a process of this session that another process started."""

    @abstractmethod
    def interrupts(self, stop: Callable[[], None]) -> AbstractContextManager:
        """Return a context in which Ctrl-C, or a request to terminate, calls `stop`."""

    @abstractmethod
    def owner_is_gone(self) -> bool:
        """Whether the process that began this session has died without ending it."""
