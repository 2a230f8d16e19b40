"""A fake of Zaber's ASCII protocol: one device with one axis.

Source: the public protocol manual of Zaber. A request is `/device axis id command:checksum`, and a
reply `@device axis id OK|RJ IDLE|BUSY flag data:checksum`; the checksum is two hexadecimal digits
that make the sum of the bytes after the first zero in its lowest eight bits.
"""

import math
from collections.abc import Callable

from hal.errors import DeviceError, LimitError, MotionError, SettingError
from hal.motor import Motor
from hal.testing.fakes.dialect import Dialect, take_lines

MAX_PACKET = 80
SPEED_UNITS = 1.6384
"""A speed of one microstep a second is so much in the protocol."""


class _RejectedError(Exception):
    """The reason of a reply that says RJ."""


class ZaberDialect(Dialect):
    """A Zaber stage of one axis.

    A stepper counts its own steps: when it stands where it was told to go, it reports just that.

    Args:
        motor: The mechanics.
        per_step: How far a microstep is, in the motor's unit.
        address: The device's number on its chain.
        serial: The device's own number.
        is_homed: Whether it knows where it is when it is switched on; otherwise it warns with WR
            until it was homed.

    Attributes:
        flags: The warnings in force, the first of which every reply shows. A test may add some.
    """

    def __init__(
        self,
        motor: Motor,
        per_step: float,
        *,
        address: int = 1,
        serial: int = 1,
        is_homed: bool = True,
    ) -> None:
        super().__init__(motor)
        self.flags: list[str] = [] if is_homed else ["WR"]
        self._per_step = per_step
        self._address = address
        self._serial = serial
        self._goal: int | None = None
        self._is_homing = False
        self._commands: dict[str, Callable[[list[str]], str]] = {
            "": lambda _: "0",
            "get": self._get,
            "home": self._home,
            "move": self._move,
            "set": self._set,
            "stop": self._stop,
            "warnings": self._warnings,
        }

    def take(self, received: bytearray) -> list[bytes]:
        """Take the whole lines."""
        return take_lines(received)

    def answer(self, request: bytes) -> bytes:
        """Do what a line asks; a line for another device, or a damaged one, has no answer."""
        return self._reply(request, self._run)

    def refuse(self, request: bytes) -> bytes:
        """Reject a line as a device does that can not be moved now."""
        return self._reply(request, lambda _: _reject("STATUSBUSY"))

    def _reply(self, request: bytes, run: Callable[[list[str]], str]) -> bytes:
        body = undamaged(request)
        if body is None:
            return b""
        words = body.split()
        numbers: list[str] = []
        while words and len(numbers) < 3 and words[0].isdigit():
            numbers.append(words.pop(0))
        if numbers and int(numbers[0]) not in (0, self._address):
            return b""
        axis = int(numbers[1]) if len(numbers) > 1 else 0
        message_id = f" {numbers[2]}" if len(numbers) > 2 else ""
        verdict = "OK"
        try:
            self._look()
            data = run(words) if axis <= 1 else _reject("BADAXIS")
        except _RejectedError as reason:
            verdict, data = "RJ", str(reason)
        state = "BUSY" if self._look() else "IDLE"
        flag = self.flags[0] if self.flags else "--"
        reply = f"{self._address:02d} {axis}{message_id} {verdict} {state} {flag} {data}"
        return f"@{reply}:{checksum(reply)}\r\n".encode()

    def _run(self, words: list[str]) -> str:
        name = words[0] if words else ""
        if name not in self._commands:
            _reject("BADCOMMAND")
        try:
            return self._commands[name](words[1:])
        except MotionError:
            self._fault("FS")
            raise _RejectedError("DRIVERDISABLED") from None
        except (LimitError, SettingError, ValueError, IndexError):
            raise _RejectedError("BADDATA") from None
        except DeviceError:
            raise _RejectedError("BADCOMMAND") from None

    def _look(self) -> bool:
        """Notice what has happened to the mechanics, and return whether they move."""
        try:
            is_moving = self.motor.is_moving
        except MotionError:
            self._fault("FS")
            self.motor.stop()
            is_moving = False
        if self._is_homing and not is_moving:
            self._is_homing = False
            self.flags = [flag for flag in self.flags if flag != "WR"]
        return is_moving

    def _fault(self, flag: str) -> None:
        self._goal = None
        if flag not in self.flags:
            self.flags.insert(0, flag)

    def _limits(self) -> tuple[int, int]:
        # The last digits of a quotient may round a whole number of steps down.
        axis, slack = self.motor.axis, 1e-9
        low = math.ceil(axis.lower / self._per_step - slack)
        return low, math.floor(axis.upper / self._per_step + slack)

    def _position(self) -> int:
        found = self.motor.read_position()
        if self._goal is not None and not self._look():
            missed = abs(found - self._goal * self._per_step)
            if missed <= self.motor.axis.resolution:
                return self._goal
        return round(found / self._per_step)

    def _get(self, words: list[str]) -> str:
        (name,) = words
        low, high = self._limits()
        values: dict[str, Callable[[], object]] = {
            "comm.packet.size.max": lambda: MAX_PACKET,
            "deviceid": lambda: 0,  # Zaber gives this number to no device
            "limit.max": lambda: high,
            "limit.min": lambda: low,
            "maxspeed": lambda: round(self.speed / self._per_step * SPEED_UNITS),
            "pos": self._position,
            "system.serial": lambda: self._serial,
            "version": lambda: "7.40",
        }
        if name not in values:
            raise _RejectedError("BADCOMMAND")
        return str(values[name]())

    def _set(self, words: list[str]) -> str:
        name, value = words
        if name != "maxspeed":
            raise _RejectedError("BADCOMMAND")
        self.speed = int(value) / SPEED_UNITS * self._per_step
        return "0"

    def _move(self, words: list[str]) -> str:
        low, high = self._limits()
        kind, *numbers = words
        if kind == "vel":
            speed = float(numbers[0])
            self.speed = abs(speed) / SPEED_UNITS * self._per_step
            return self._go(high if speed > 0 else low)
        if kind == "abs":
            return self._go(int(numbers[0]))
        if kind == "rel":
            start = self._position() if self._goal is None else self._goal
            return self._go(start + int(numbers[0]))
        if kind in ("min", "max"):
            return self._go(low if kind == "min" else high)
        raise _RejectedError("BADCOMMAND")

    def _go(self, goal: int) -> str:
        low, high = self._limits()
        if not low <= goal <= high:
            raise _RejectedError("BADDATA")
        self.flags = [flag for flag in self.flags if flag != "FS"]  # it tries again
        self.motor.move_to(goal * self._per_step)
        self._goal = goal
        return "0"

    def _home(self, _words: list[str]) -> str:
        self.motor.home()
        self._goal = None
        self._is_homing = True
        return "0"

    def _stop(self, _words: list[str]) -> str:
        self.motor.stop()
        self._goal = None
        return "0"

    def _warnings(self, words: list[str]) -> str:
        told = " ".join([f"{len(self.flags):02d}", *self.flags])
        if words == ["clear"]:
            self.flags = [flag for flag in self.flags if flag == "WR"]  # only homing ends that one
        return told


def _reject(reason: str) -> str:
    raise _RejectedError(reason)


def checksum(body: str) -> str:
    """Return the two digits that follow a message without its first character."""
    return f"{-sum(body.encode()) % 256:02X}"


def undamaged(line: bytes) -> str | None:
    """Return a request without its first character and its checksum; None if it is damaged."""
    text = line.decode("ascii", "replace")
    if not text.startswith("/"):
        return None
    body, colon, digits = text[1:].partition(":")
    return None if colon and digits.strip() != checksum(body) else body
