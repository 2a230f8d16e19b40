"""The router: it forwards frames between managers, unopened, and never waits for any of them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from magscope.channel import Channel
from magscope.processes import ManagerProcessBase
from magscope.protocol import Envelope, Frame, Kind, MessageError, envelope, pack_message, unpack
from magscope.runtime import current
from magscope.utils import Message

ROUTER = "MagScope"
REMEMBERED = 10_000


class Undelivered(NamedTuple):
    """A message that did not reach somebody, and why."""

    sender: str
    number: int
    to: str
    meth: str
    reason: str


@dataclass(eq=False)
class Peer:
    """A manager as the router knows it.

    Attributes:
        channel: The router's end of its pipe.
        state: `starting`, `running`, `quitting` or `gone`.
        force: `terminated` or `killed`, once the router has had to.
        is_dismissed: Whether it was told to terminate while it was still starting: a clean end.
        ended_ns: Monotonic time of its end.
        last_words: Its traceback, if it sent one.
    """

    manager: ManagerProcessBase
    channel: Channel
    state: str = "starting"
    force: str = ""
    is_dismissed: bool = False
    exit_code: int | None = None
    ended_ns: int | None = None
    last_words: str = ""
    addresses: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        classes = type(self.manager).__mro__
        bases = classes[: classes.index(ManagerProcessBase) + 1]
        self.addresses = frozenset({self.manager.name, *(cls.__name__ for cls in bases)})

    @property
    def name(self) -> str:
        """The manager's name."""
        return self.manager.name

    @property
    def listens(self) -> bool:
        """Whether messages to it are still obeyed."""
        return self.state in ("starting", "running")


class Router:
    """Forwards messages and counts what could not be delivered.

    Args:
        on_control: Called with the peer and the frame for all that is not a message.
        on_own: Called with the header and the frame for a message to the router itself, and for
            a broadcast request to quit.
        warn: Called with a line to be logged.

    Attributes:
        peers: Every manager, by name.
        routed: Messages that came in.
        undelivered: The newest of those that did not arrive, with the reason.
        undelivered_count: How many did not arrive.
    """

    def __init__(
        self,
        on_control: Callable[[Peer, Frame], None],
        on_own: Callable[[Envelope, Frame], None],
        warn: Callable[[str], None],
    ) -> None:
        self.peers: dict[str, Peer] = {}
        self.routed = 0
        self.undelivered: deque[Undelivered] = deque(maxlen=REMEMBERED)
        self.undelivered_count = 0
        self._warned: set[tuple[str, str]] = set()
        self._on_control = on_control
        self._on_own = on_own
        self._warn = warn
        self._sent = 0

    def add(self, peer: Peer) -> None:
        """Serve one more manager."""
        self.peers[peer.name] = peer

    def readable(self) -> Sequence[Channel]:
        """Return the pipes to read from."""
        return [peer.channel for peer in self.peers.values() if not peer.channel.is_broken]

    def writable(self) -> Sequence[Channel]:
        """Return the pipes in which something waits for room."""
        waiting = [peer.channel for peer in self.peers.values() if peer.channel.wants_room]
        return [channel for channel in waiting if not channel.flush()]

    def serve(self, ready: set) -> None:
        """Take in what the ready pipes hold and forward it."""
        for peer in self.peers.values():
            if peer.channel in ready:
                self.take_in(peer)

    def take_in(self, peer: Peer) -> None:
        """Take in all that one manager's pipe holds now, in turns with the others if it is much."""
        for _ in range(REMEMBERED):
            try:
                raw = peer.channel.receive()
            except EOFError:
                self.drop(peer, "is gone")
                return
            if raw is None:
                return
            try:
                frame = unpack(raw)
                if frame.kind is Kind.MESSAGE:
                    self.routed += 1
                    self.forward(envelope(frame), frame.raw, frame)
                else:
                    self._on_control(peer, frame)
            except MessageError as error:
                self._warn(f"{peer.name} sent {error}")
            except (ValueError, LookupError, TypeError) as error:  # of whoever reads the news
                self._warn(f"{peer.name} sent news that can not be understood: {error!r}")

    def send(self, message: Message) -> None:
        """Send a message from the router itself."""
        self._sent += 1
        raw = pack_message(message, ROUTER, self._sent)
        frame = unpack(raw)
        self.forward(envelope(frame), raw, frame)

    def forward(self, head: Envelope, raw: bytes, frame: Frame) -> None:
        """Deliver a message to everybody whom it names."""
        is_broadcast = head.to == ManagerProcessBase.__name__
        if head.to == ROUTER or (is_broadcast and head.meth == "quit"):
            self._on_own(head, frame)
            return
        named = False
        for peer in self.peers.values():
            if head.to in peer.addresses:
                named = True
                if peer.listens:
                    self._post(peer, head, raw)
                elif not is_broadcast:
                    self._report(head, peer.name, f"is {peer.state}")
        if not named:
            known = ", ".join(self.peers)
            self._report(head, head.to, f"is unknown; there are {known}")

    def drop(self, peer: Peer, reason: str) -> None:
        """Give up a manager's pipe, and report every message that waited for it."""
        for raw in peer.channel.break_off():
            if raw.startswith(Kind.MESSAGE.value):
                self._report(envelope(unpack(raw)), peer.name, reason)

    def stalled(self) -> Iterator[Peer]:
        """Yield the managers that do not take what is sent to them."""
        return (peer for peer in self.peers.values() if peer.channel.waiting)

    def _post(self, peer: Peer, head: Envelope, raw: bytes) -> None:
        was_broken = peer.channel.is_broken
        if not peer.channel.post(raw):
            full = "does not take its messages, and its queue is full"
            broken = was_broken or peer.channel.is_broken
            self._report(head, peer.name, "is gone" if broken else full)

    def _report(self, head: Envelope, to: str, reason: str) -> None:
        self.undelivered_count += 1
        self.undelivered.append(Undelivered(head.sender, head.number, to, head.meth, reason))
        current().note(
            "undelivered", f"{head.meth} {head.number} from {head.sender} to {to}: {reason}"
        )
        if (to, reason) not in self._warned and len(self._warned) < REMEMBERED:
            self._warned.add((to, reason))
            self._warn(f"{head.meth} from {head.sender} not delivered: {to} {reason}")
