"""Where a controller is reached: the option `port` of drivers that speak to one over a line."""

from dataclasses import dataclass
from typing import Self

from hal.errors import OptionError

_SCHEME = "tcp://"


@dataclass(frozen=True)
class Port:
    """A TCP port or a serial one.

    Attributes:
        text: As it was given.
        host: The host; empty for a serial port.
        number: The TCP port.
    """

    text: str
    host: str = ""
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `tcp://host:port`, or the name of a serial port: `/dev/ttyUSB0`, `COM3`.

        Raises:
            OptionError: It is neither.
        """
        if not text.startswith(_SCHEME):
            if not text or "://" in text:
                raise OptionError(
                    f"port = {text!r}: expected tcp://host:port, or a serial port as /dev/ttyUSB0"
                )
            return cls(text)
        host, _, number = text.removeprefix(_SCHEME).rpartition(":")
        if not host or not number.isdigit() or not 0 < int(number) < 65536:
            raise OptionError(
                f"port = {text!r}: expected tcp://host:port, as tcp://127.0.0.1:55550"
            )
        return cls(text, host, int(number))


def checked_timeout_s(timeout_s: float) -> float:
    """Return the option `timeout_s` as a number of seconds, at least a millisecond.

    Raises:
        OptionError: It is less, or no time at all.
    """
    if not 0.001 <= timeout_s < float("inf"):
        raise OptionError(f"timeout_s = {timeout_s!r}: expected seconds, 0.001 or more")
    return float(timeout_s)
