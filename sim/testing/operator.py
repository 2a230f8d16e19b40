"""A manager that sends messages for somebody outside the system, in a world as in processes."""

import pickle
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from magscope.channel import Channel
from magscope.processes import HEARTBEAT_S, ManagerProcessBase
from magscope.report import Snapshot
from magscope.runtime import Endpoint, current
from magscope.scope import MagScope
from magscope.utils import Message

LOOK_S = 0.02
MARK = b"O"  # what begins as a pickle is taken for a worker's result, by those who watch the pipes


class Operator(ManagerProcessBase):
    """Sends what comes out of its pipe.

    Args:
        end: Its end of the pipe to whoever it works for.
    """

    def __init__(self, end: Endpoint) -> None:
        super().__init__()
        self._end = end
        self._orders: Channel

    def own_ends(self) -> Sequence[Endpoint]:
        """Return the pipe ends that this process alone keeps open."""
        return (*super().own_ends(), self._end)

    def _warm_up(self) -> None:
        self._orders = Channel(self._end)

    def setup(self) -> None:
        """Have nothing to prepare."""

    def wait_sources(self) -> Sequence[Any]:
        """Wake for an order."""
        return () if self._orders.is_broken else (self._orders,)

    def seconds_to_next_loop(self) -> float:
        """Have nothing to do by itself."""
        return HEARTBEAT_S

    def do_main_loop(self) -> None:
        """Send what was ordered."""
        try:
            while not self._orders.is_broken and (raw := self._orders.receive()) is not None:
                self.send_ipc(pickle.loads(raw[1:]))
        except EOFError:  # the router has closed its end: it is about to end
            self._orders.break_off()


class Desk:
    """The router's side: it sees each snapshot, and passes on what is to be sent.

    Args:
        scope: The system, before it starts.
        see: Called with a snapshot every `LOOK_S` seconds, in the router's process.
    """

    def __init__(self, scope: MagScope, see: Callable[[Snapshot], None]) -> None:
        mine, its = current().pipe()
        self._channel = Channel(mine)
        self._see = see
        self._waiting: deque[Message] = deque()
        scope.add_manager(Operator(its))
        scope.observe(self._look, LOOK_S)

    def send(self, message: Message) -> None:
        """Send a message at the next look."""
        self._waiting.append(message)

    def _look(self, snapshot: Snapshot) -> None:
        self._see(snapshot)
        while self._waiting:
            self._channel.post(MARK + pickle.dumps(self._waiting.popleft()))
        self._channel.flush()
