"""The line to a PI controller, in place of pipython's own.

pipython's gateways spin while they wait, take the end of a connection for silence, spin for ever
when they flush a connection that has ended, do not close the socket of a controller that is gone,
take an answer that came too late for that to the next question, and share one list of callbacks
between all connections, old ones included. This one waits for what comes until the time is over,
and skips what is stale. What goes wrong is raised as it is, through pipython, to the driver.
"""

import socket
from abc import abstractmethod
from typing import Any

import serial
from pipython.pidevice.interfaces.pigateway import PI_CONTROLLER_CODEPAGE, PIGateway

from hal.clock import NS_PER_S, Clock
from hal.drivers.port import Port
from hal.errors import BusyError, DeviceTimeoutError, DisconnectedError, ProtocolError

_CHUNK = 4096
_WHO = "*IDN?\n"
_LAST_ERROR = "ERR?\n"
_FIELDS = 4


class Gateway(PIGateway):
    """A connection on which each question has `timeout_s` to be answered in full.

    Args:
        name: Where it leads, for messages.
        timeout_s: How long an answer may take, from the question to its last character.
        clock: What it is measured with.
    """

    def __init__(self, name: str, timeout_s: float, clock: Clock) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._clock = clock
        self._deadline_ns = 0

    @abstractmethod
    def _write(self, data: bytes) -> None: ...

    @abstractmethod
    def _wait(self, seconds: float) -> bytes:
        """Return what comes within so many seconds; nothing if nothing does."""

    @abstractmethod
    def close(self) -> None:
        """Hang up."""

    def synchronise(self) -> str:
        """Ask who the controller is, skip what comes before the answer, and return it.

        After a time-out the late answer may still be on its way, and on a serial line nothing but
        its content tells it from the next one. An error that somebody before has left behind is
        asked for, too: it would be taken for that of the first command.

        Raises:
            DeviceTimeoutError: Nobody answers.
            DisconnectedError: The other side hung up.
            ProtocolError: What came was no answer to this.
        """
        self.send(_WHO)
        received = ""
        while True:
            try:
                received += self.read()
            except DeviceTimeoutError as error:
                if received:
                    raise ProtocolError(
                        f"{self._name} answered {received[:60]!r} to '*IDN?'; expected maker, "
                        "model, number and version, with commas between: is it a PI controller?"
                    ) from error
                raise
            for line in received.splitlines(keepends=True):
                if line.endswith("\n") and len(line.split(",")) >= _FIELDS:
                    self._forget_error()
                    return line.strip()

    def _forget_error(self) -> None:
        self.send(_LAST_ERROR)
        received = ""
        while not received.endswith("\n"):
            received += self.read()

    def send(self, msg: str) -> None:
        """Send a command; the time for its answer begins."""
        self._deadline_ns = self._clock.monotonic_ns() + round(self._timeout_s * NS_PER_S)
        try:
            self._write(msg.encode(PI_CONTROLLER_CODEPAGE))
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:  # pyserial's errors are OSErrors, too
            raise self._gone(str(error)) from error

    def read(self) -> str:
        """Return what has come of the answer, as soon as something has.

        Raises:
            DeviceTimeoutError: The time is over.
            DisconnectedError: The other side hung up.
        """
        left_ns = self._deadline_ns - self._clock.monotonic_ns()
        if left_ns <= 0:
            raise self._late()
        try:
            data = self._wait(left_ns / NS_PER_S)
        except OSError as error:
            raise self._gone(str(error)) from error
        if not data:
            raise self._late()
        return data.decode(PI_CONTROLLER_CODEPAGE, errors="replace")

    def _late(self) -> DeviceTimeoutError:
        return DeviceTimeoutError(
            f"no whole answer from {self._name} within {self._timeout_s:g} s; is it switched on?"
        )

    def _gone(self, why: str) -> DisconnectedError:
        return DisconnectedError(f"{self._name}: {why or 'it hung up'}; open it again")

    # What is left is what pipython asks of a gateway.

    def __str__(self) -> str:
        return self._name

    @classmethod
    def register_connection_status_changed_callback(cls, callback: Any) -> None:
        """Register nothing: a gateway connects once, before pipython sees it."""

    @classmethod
    def unregister_connection_status_changed_callback(cls, callback: Any) -> None:
        """Remove nothing."""

    @property
    def timeout(self) -> float:
        """The time for an answer, in ms."""
        return self._timeout_s * 1000

    def settimeout(self, value: float) -> None:
        """Change it, in ms."""
        self._timeout_s = value / 1000

    @property
    def connected(self) -> bool:
        """True: there is none that is not."""
        return True

    @property
    def connectionid(self) -> int:
        """0, as in pipython's own."""
        return 0

    def flush(self) -> None:
        """Nothing to be done: `synchronise` skips what is stale."""

    def unload(self) -> None:
        """Hang up."""
        self.close()


class TcpGateway(Gateway):
    """A controller behind a TCP port."""

    def __init__(self, port: Port, timeout_s: float, clock: Clock) -> None:
        super().__init__(f"PI controller at {port.text}", timeout_s, clock)
        try:
            self._socket = socket.create_connection((port.host, port.number), timeout_s)
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:
            raise self._gone(str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _write(self, data: bytes) -> None:
        self._socket.settimeout(self._timeout_s)
        self._socket.sendall(data)

    def _wait(self, seconds: float) -> bytes:
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionError("it hung up")
        return data

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class SerialGateway(Gateway):
    """A controller behind a serial port."""

    def __init__(self, port: Port, timeout_s: float, clock: Clock, baud_rate: int) -> None:
        super().__init__(f"PI controller at {port.text}", timeout_s, clock)
        try:
            self._serial = serial.Serial(
                port.text, baud_rate, write_timeout=timeout_s, exclusive=True
            )
        except serial.SerialException as error:
            if "lock" in str(error):
                raise BusyError(f"{port.text} is in use by another program: {error}") from error
            raise self._gone(str(error)) from error

    def _write(self, data: bytes) -> None:
        self._serial.write(data)

    def _wait(self, seconds: float) -> bytes:
        self._serial.timeout = seconds
        data = self._serial.read(1)
        waiting = self._serial.in_waiting
        return bytes(data + self._serial.read(waiting)) if data and waiting else bytes(data)

    def close(self) -> None:
        """Hang up."""
        self._serial.close()
