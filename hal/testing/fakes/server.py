"""The server of a fake: one thread that speaks over TCP or a pseudo-terminal, or misbehaves."""

import os
import random
import selectors
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from hal.clock import NS_PER_S
from hal.errors import OptionError
from hal.testing.fakes.dialect import Dialect

HOST = "127.0.0.1"
_CHUNK = 4096


class Mood(StrEnum):
    """How a fake treats requests."""

    GOOD = "good"
    SLOW = "slow"
    SILENT = "silent"
    GARBAGE = "garbage"
    REFUSE = "refuse"
    HANG_UP = "hang-up"


@dataclass(frozen=True)
class Misbehaviour:
    """What a fake does wrong.

    Attributes:
        mood: The kind.
        after: So many requests are still answered as they should be.
        delay_s: How late a slow fake answers, in seconds.
    """

    mood: Mood = Mood.GOOD
    after: int = 0
    delay_s: float = 2.0


class _Peer:
    """One who is connected: a socket, or the one end of a pseudo-terminal that is ours."""

    def __init__(self, fd: int, connection: socket.socket | None = None) -> None:
        self.fd = fd
        self.connection = connection
        self.received = bytearray()

    def read(self) -> bytes:
        """Return what has come; nothing at the end of the connection."""
        try:
            return os.read(self.fd, _CHUNK) if self.connection is None else self._receive()
        except ConnectionError:
            return b""

    def _receive(self) -> bytes:
        assert self.connection is not None
        return self.connection.recv(_CHUNK)

    def write(self, data: bytes) -> None:
        """Send an answer."""
        if self.connection is None:
            os.write(self.fd, data)
        elif self.connection.fileno() >= 0:
            # Who has left meanwhile misses it; the selector notices the end next.
            with suppress(ConnectionError):
                self.connection.sendall(data)


class FakeServer:
    """A fake that runs in a thread of this process, as a context manager.

    The motor is opened before `start` returns, and then belongs to the thread until `close`.

    Args:
        dialect: The protocol, with its motor.
        port: The TCP port on 127.0.0.1; 0 takes a free one.
        pty: Speak over a pseudo-terminal instead (not on Windows).
        misbehaviour: What it does wrong from the start.

    Attributes:
        address: What a driver takes as its `port`: `tcp://127.0.0.1:PORT`, or the terminal's path.
        misbehaviour: What it does wrong; may be changed at any time.
        requests: How many requests it has dealt with.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        port: int = 0,
        pty: bool = False,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self.dialect = dialect
        self.address = ""
        self.misbehaviour = misbehaviour or Misbehaviour()
        self.requests = 0
        self._port = port
        self._pty = pty
        self._random = random.Random(dialect.motor.context.seed)  # noqa: S311 - no secrets
        self._late: list[tuple[int, _Peer, bytes]] = []
        self._fds: list[int] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Open the motor and begin to answer.

        Raises:
            OptionError: The port can not be had.
        """
        self._listener = None if self._pty else self._listen()
        self.dialect.motor.open()
        self._selector = selectors.DefaultSelector()
        self._ours, self._theirs = socket.socketpair()
        self._selector.register(self._theirs, selectors.EVENT_READ, "end")
        if self._listener is None:
            self._open_terminal()
        else:
            self.address = "tcp://{}:{}".format(*self._listener.getsockname())
            self._selector.register(self._listener, selectors.EVENT_READ, "listener")
        self._thread = threading.Thread(target=self._serve, name="fake", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until it is closed by another thread."""
        self._thread.join()

    def close(self) -> None:
        """Hang up on everybody, and close the motor."""
        self._ours.send(b"!")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Peer):
                self._forget(key.data)
        self._selector.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        for end in (self._ours, self._theirs, self._listener):
            if end is not None:
                end.close()
        self.dialect.motor.close()

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server((HOST, self._port))
        except (OSError, OverflowError) as error:
            raise OptionError(
                f"port {self._port} on {HOST}: {error}; 0 takes a free one"
            ) from error

    def _open_terminal(self) -> None:
        import tty  # there is none on Windows

        ours, theirs = os.openpty()
        tty.setraw(theirs)
        # Both ends stay open here: ours would fail to be read while nobody has the other one open.
        self._fds = [ours, theirs]
        self.address = os.ttyname(theirs)
        self._selector.register(ours, selectors.EVENT_READ, _Peer(ours))

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select(self._wait_s()):
                if key.data == "end":
                    return
                if key.data == "listener":
                    self._accept()
                else:
                    self._hear(key.data)
            self._send_late()

    def _wait_s(self) -> float | None:
        if not self._late:
            return None
        return max(self._late[0][0] - self._now_ns(), 0) / NS_PER_S

    def _now_ns(self) -> int:
        return self.dialect.motor.context.clock.monotonic_ns()

    def _send_late(self) -> None:
        while self._late and self._late[0][0] <= self._now_ns():
            _, peer, answer = self._late.pop(0)
            peer.write(answer)

    def _accept(self) -> None:
        assert self._listener is not None
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = _Peer(connection.fileno(), connection)
        self._selector.register(connection, selectors.EVENT_READ, peer)

    def _forget(self, peer: _Peer) -> None:
        self._selector.unregister(peer.connection or peer.fd)
        if peer.connection is not None:
            peer.connection.close()

    def _hear(self, peer: _Peer) -> None:
        data = peer.read()
        if not data:
            self._forget(peer)
            return
        peer.received += data
        for request in self.dialect.take(peer.received):
            stays = self._respond(peer, request)
            self.requests += 1
            if not stays:
                self._forget(peer)
                return

    def _respond(self, peer: _Peer, request: bytes) -> bool:
        """Answer a request in the present mood; return False to hang up."""
        wrong = self.misbehaviour
        mood = wrong.mood
        if mood is not Mood.GOOD and wrong.after > 0:
            self.misbehaviour = Misbehaviour(mood, wrong.after - 1, wrong.delay_s)
            mood = Mood.GOOD
        if mood is Mood.SILENT:
            return True
        if mood is Mood.HANG_UP:
            return (
                peer.connection is None
            )  # a cable that is pulled out of a port looks like silence
        if mood is Mood.REFUSE:
            self._send(peer, self.dialect.refuse(request), 0.0)
            return True
        answer = self.dialect.answer(request)
        if mood is Mood.GARBAGE:
            answer = self._random.randbytes(24).replace(b"\n", b"?") + b"\n"
        self._send(peer, answer, wrong.delay_s if mood is Mood.SLOW else 0.0)
        return True

    def _send(self, peer: _Peer, answer: bytes, delay_s: float) -> None:
        due_ns = self._now_ns() + round(delay_s * NS_PER_S)
        # A controller answers one after the other: a late answer holds up those that follow.
        earlier = [late_ns for late_ns, other, _ in self._late if other is peer]
        if delay_s or earlier:
            self._late.append((max([due_ns, *earlier]), peer, answer))
            self._late.sort(key=lambda entry: entry[0])
        else:
            peer.write(answer)
