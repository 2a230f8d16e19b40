"""Pipe ends and managers without processes."""

from collections import deque

from magscope.processes import ManagerProcessBase
from magscope.runtime import Endpoint


class FakeEnd(Endpoint):
    """One end of a pipe with room for so many frames; what was sent stands in `sent`."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.sent: list[bytes] = []
        self.inbox: deque[bytes] = deque()
        self.is_cut = False
        self._pending: bytes | None = None

    def send(self, frame: bytes) -> bool:
        if not self.flush():
            return False
        if self.is_cut:
            raise BrokenPipeError
        self._pending = frame
        self.flush()
        return True

    def flush(self) -> bool:
        if self._pending is None:
            return True
        if self.is_cut:
            self._pending = None
            raise BrokenPipeError
        if len(self.sent) >= self.room:
            return False
        self.sent.append(self._pending)
        self._pending = None
        return True

    def receive(self) -> bytes | None:
        if self.inbox:
            return self.inbox.popleft()
        if self.is_cut:
            raise EOFError
        return None

    @property
    def is_flushed(self) -> bool:
        return self._pending is None

    @property
    def is_ready(self) -> bool:
        return bool(self.inbox)

    def close(self) -> None:
        self.is_cut = True


class FakeManager(ManagerProcessBase):
    """A manager that is never started; what was done to its process is noted."""

    _one_per_name = True

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.signals: list[str] = []

    def setup(self) -> None:
        pass

    def do_main_loop(self) -> None:
        pass

    def is_alive(self) -> bool:
        return True

    def terminate(self) -> None:
        self.signals.append("terminate")

    def kill(self) -> None:
        self.signals.append("kill")


class Producer(FakeManager):
    quit_phase = 0


class Processor(FakeManager):
    quit_phase = 1


class Keeper(FakeManager):
    quit_phase = 2
