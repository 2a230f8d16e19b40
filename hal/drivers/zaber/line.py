"""One axis of a Zaber device, asked in the words of Zaber's ASCII protocol.

Source: the public protocol manual of Zaber. Only plain commands are sent: without a database of
devices, which the library does not bring along, it can neither identify a device nor convert units.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from zaber_motion.ascii import Connection
from zaber_motion.exceptions import (
    ConnectionClosedException,
    ConnectionFailedException,
    MotionLibException,
    NoDeviceFoundException,
    RequestTimeoutException,
    SerialPortBusyException,
)

from hal.drivers.port import Port
from hal.errors import (
    BusyError,
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    LimitError,
    MotionError,
    OptionError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

_KIND_BY_REASON: dict[str, type[DeviceError]] = {
    "AGAIN": BusyError,
    "BADAXIS": OptionError,
    "BADCOMMAND": UnsupportedError,
    "BADMESSAGEID": ProtocolError,
    "DEVICEONLY": OptionError,
    "DRIVERDISABLED": MotionError,
    "FULL": BusyError,
    "PARKED": MotionError,
    "REMOTE": BusyError,
    "STATUSBUSY": BusyError,
}
_STATES = ("IDLE", "BUSY")


@dataclass(frozen=True)
class Answer:
    """What a device answered to a command that it took.

    Attributes:
        data: The data, `"0"` where there is none.
        is_busy: Whether the axis moves.
        flag: The gravest of the warnings in force, two letters, or `--`.
    """

    data: str
    is_busy: bool
    flag: str


class Line:
    """An open connection to one axis. The answers are matched by number and checked by checksum.

    The library drops a line that it can not read, or whose checksum is wrong, without a word, so
    garbage is not told from silence: both are a time-out.

    Args:
        port: Where the device is.
        baud_rate: Of a serial port.
        address: The device's number on its chain.
        axis: The axis' number.
        timeout_s: How long it may take to answer a command.

    Raises:
        DeviceTimeoutError: The host does not answer.
        DisconnectedError: There is nobody at the port.
        BusyError: Another program has the serial port.
    """

    def __init__(
        self, port: Port, *, baud_rate: int, address: int, axis: int, timeout_s: float
    ) -> None:
        self._port = port
        self._address = address
        self._axis = axis
        self._timeout_s = timeout_s
        with self._translated("connecting"):
            if port.host:
                self._knock()
                self._connection = Connection.open_tcp(port.host, port.number)
            else:
                self._connection = Connection.open_serial_port(port.text, baud_rate)
        self._connection.default_request_timeout = max(round(timeout_s * 1000), 1)
        self._connection.checksum_enabled = True

    @property
    def is_open(self) -> bool:
        """Whether nobody has hung up."""
        return self._connection.is_open

    def ask(self, command: str, doing: str) -> Answer:
        """Send a command and return the answer.

        Args:
            command: For example `"move abs 1000"`.
            doing: What is asked for, for the message of an error.

        Raises:
            DeviceError: There was no answer, or the device refused; the class says why.
        """
        with self._translated(doing):
            reply = self._connection.generic_command(
                command, self._address, self._axis, check_errors=False
            )
        if reply.reply_flag != "OK":
            raise self._refusal(command, doing, reply.data)
        if reply.status not in _STATES:  # the library passes on whatever stands there
            raise ProtocolError(
                f"{doing}: {self.name} told the state {reply.status!r}; expected IDLE or BUSY"
            )
        return Answer(reply.data, reply.status == "BUSY", reply.warning_flag)

    def ask_number(self, command: str, doing: str) -> float:
        """Send a command whose answer is one number, and return it.

        Raises:
            DeviceError: As `ask`; a ProtocolError if the answer is no number.
        """
        data = self.ask(command, doing).data
        try:
            return float(data)
        except ValueError:
            raise ProtocolError(
                f"{doing}: {self.name} answered {data!r} to {command!r}; expected a number"
            ) from None

    def found(self) -> list[int]:
        """Return the addresses of the devices on the chain; takes the time-out in any case."""
        with self._translated("looking for devices"):
            try:
                devices = self._connection.detect_devices(identify_devices=False)
            except NoDeviceFoundException:
                return []
        return [device.device_address for device in devices]

    def close(self) -> None:
        """Hang up; does nothing if the other side has."""
        with suppress(MotionLibException):
            self._connection.close()

    @property
    def name(self) -> str:
        """The device and its port, for messages."""
        return f"Zaber device {self._address} at {self._port.text}"

    def _knock(self) -> None:
        """See that somebody listens: the library would wait for minutes where nobody answers."""
        where = (self._port.host, self._port.number)
        try:
            socket.create_connection(where, self._timeout_s).close()
        except TimeoutError as error:
            raise DeviceTimeoutError(
                f"connecting: {self._port.text} does not answer within {self._timeout_s:g} s; "
                "is it on, and this its address?"
            ) from error
        except OSError as error:
            raise DisconnectedError(
                f"connecting: nobody listens at {self._port.text}: {error}; is it switched on?"
            ) from error

    def _refusal(self, command: str, doing: str, reason: str) -> DeviceError:
        kind = _KIND_BY_REASON.get(reason, DeviceError)
        if reason == "BADDATA":
            kind = SettingError if command.startswith("set ") else LimitError
        return kind(f"{doing}: {self.name} refused {command!r}: {reason}")

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RequestTimeoutException as error:
            if not self._connection.is_open:
                raise DisconnectedError(f"{doing}: {self.name} hung up; open it again") from error
            raise DeviceTimeoutError(
                f"{doing}: no valid answer from {self.name} within {self._timeout_s:g} s; "
                "is it switched on, at this address?"
            ) from error
        except (ConnectionClosedException, ConnectionFailedException) as error:
            raise DisconnectedError(
                f"{doing}: {self.name}: {error.message}; see that it is on, and open it again"
            ) from error
        except SerialPortBusyException as error:
            raise BusyError(
                f"{doing}: {self._port.text} is in use by another program: {error.message}"
            ) from error
        except MotionLibException as error:
            raise DeviceError(f"{doing}: {self.name}: {error}") from error
