"""What a manager says to the router, and what it hears from it."""

from collections import Counter, deque
from collections.abc import Callable

from magscope.channel import MAX_WAITING_FRAMES, Channel
from magscope.protocol import Frame, Kind, MessageError, pack, pack_message, unpack
from magscope.runtime import Endpoint, Helper, current
from magscope.utils import Message

REFUSED = "refused: more were sent at once than wait in line"


class Mail:
    """A manager's end of the pipe to the router; its helper may post, too.

    Args:
        sender: The manager's name.
        end: Of the pipe.
        helper: Whose turn it may be.
        at_end: Called when the router is gone, and all it had said is read; or when nothing can
            be said to it any more.

    Attributes:
        channel: To wait for.
    """

    def __init__(
        self, sender: str, end: Endpoint, helper: Helper, *, at_end: Callable[[], None]
    ) -> None:
        self.channel = Channel(end)
        self._sender = sender
        self._helper = helper
        self._at_end = at_end
        self._sent = 0
        self._refused: Counter[str] = Counter()  # what there was no room for, by what it is
        self._held: deque[Frame] = deque()  # what came before there was anything to obey it

    @property
    def held(self) -> int:
        """How many frames are held back."""
        return len(self._held)

    def post(self, frame: bytes, what: str = "other frames") -> bool:
        """Send a frame now or as soon as there is room; False if it was refused."""
        with self._helper.turn:
            if self.channel.post(frame):
                return True
            self._refused[what] += 1
            self._see_whether_it_is_broken()
            return False

    def send(self, message: Message, token: int) -> bool:
        """Send a message; False if it was refused, which is reported.

        What there is no room for is counted, and told with the others once there is room.
        """
        with self._helper.turn:
            self._sent += 1
            try:
                if self.post(pack_message(message, self._sender, self._sent, token), "messages"):
                    return True
            except ValueError as error:
                self.log("warning", f"message refused: {error}")
                return False
            current().note("warning", "message refused: the router is gone or takes no more")
            return False

    def log(self, level: str, text: str) -> None:
        """Tell the router something for its log."""
        current().note(level, text)
        self.post(pack(Kind.LOG, level, payload=text.encode()), "lines for the log")

    def unsent(self) -> tuple[Channel, ...]:
        """Send what waits for room; return what to wait for if there is not enough."""
        with self._helper.turn:
            if self.channel.wants_room and not self.channel.flush():
                return (self.channel,)
            self._see_whether_it_is_broken()
            if self._refused and not self.channel.is_broken:
                refused, self._refused = self._refused, Counter()
                counts = " and ".join(f"{count} {what}" for what, count in sorted(refused.items()))
                self.log("warning", f"{counts} {REFUSED}")
        return ()

    def _see_whether_it_is_broken(self) -> None:
        if self.channel.is_broken:  # whoever can not speak any more is of no use to anybody
            self._at_end()

    def receive(self) -> Frame | None:
        """Return the next frame that comes; None if there is none."""
        while True:
            try:
                raw = self.channel.receive()
                return None if raw is None else unpack(raw)
            except EOFError:
                self._at_end()
                return None
            except MessageError as error:
                self.log("warning", f"frame refused: {error}")

    def hold_back(self, frame: Frame) -> None:
        """Keep a frame for later, behind the others that are held back."""
        if len(self._held) < MAX_WAITING_FRAMES:
            self._held.append(frame)
        else:
            self._refused["frames that were held back"] += 1

    def drop(self) -> int:
        """Forget what is held back; return how many frames that were."""
        dropped = len(self._held)
        self._held.clear()
        return dropped

    def next(self) -> Frame | None:
        """Return the oldest frame that was held back, or else the next one that comes."""
        return self._held.popleft() if self._held else self.receive()
