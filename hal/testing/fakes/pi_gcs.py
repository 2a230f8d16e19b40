"""A fake of PI's General Command Set 2: a piezo controller with one axis, in micrometres.

Source: the public manuals of PI's controllers. Requests are lines, but for single characters below
32, which have no line feed. A controller answers questions only: what became of a command is asked
with `ERR?`, which tells the last error and forgets it.
"""

from collections.abc import Callable

from hal.errors import DeviceError, LimitError, MotionError, SettingError
from hal.motor import Motor
from hal.testing.fakes.dialect import Dialect, take_lines

NM_PER_UM = 1000.0

BAD_SYNTAX = 1
UNKNOWN_COMMAND = 2
SERVO_IS_OFF = 5
OUT_OF_LIMITS = 7
SPEED_OUT_OF_LIMITS = 8
WAS_STOPPED = 10
NO_SUCH_AXIS = 15
DOES_NOT_SETTLE = -1024

_IS_MOVING = b"\x05"
_IS_READY = b"\x07"
_STOP = b"\x18"
_SINGLE = (_IS_MOVING, _IS_READY, _STOP)


class _GcsError(Exception):
    """Why a request was not done, as GCS counts errors."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


class PiGcsDialect(Dialect):
    """A PI piezo controller of one axis, like the E-709.

    Args:
        motor: The mechanics, a linear motor.
        axis: The axis' name.
        serial: The controller's number.

    Attributes:
        error: What `ERR?` will answer next.
    """

    def __init__(self, motor: Motor, *, axis: str = "1", serial: str = "1") -> None:
        super().__init__(motor)
        self.error = 0
        self._axis = axis
        self._serial = serial
        self._servo = False
        self._commands: dict[str, Callable[[list[str]], str | None]] = {
            "*IDN?": lambda _: f"(c) magscope, fake E-709, {self._serial}, 1.0",
            "CSV?": lambda _: "2.0",
            "ERR?": self._tell_error,
            "HLP?": self._help,
            "MOV": self._move,
            "ONT?": lambda words: self._of_axis(words, str(int(self._is_on_target()))),
            "POS?": lambda words: self._of_axis(words, self._in_um(self.motor.read_position())),
            "SAI?": lambda _: self._axis,
            "STP": self._stop,
            "SVO": self._set_servo,
            "SVO?": lambda words: self._of_axis(words, str(int(self._servo))),
            "TMN?": lambda words: self._of_axis(words, self._in_um(self.motor.axis.lower)),
            "TMX?": lambda words: self._of_axis(words, self._in_um(self.motor.axis.upper)),
            "VEL": self._set_speed,
            "VEL?": lambda words: self._of_axis(words, self._in_um(self.speed)),
        }

    def take(self, received: bytearray) -> list[bytes]:
        """Take the whole lines, and the single characters before each."""
        requests = []
        while received and received[:1] in _SINGLE:
            requests.append(bytes(received[:1]))
            del received[:1]
        for line in take_lines(received):
            kept = line.lstrip(b"".join(_SINGLE))
            requests += [bytes([code]) for code in line[: len(line) - len(kept)]]
            requests.append(kept)
        return requests

    def answer(self, request: bytes) -> bytes:
        """Do what is asked; the answer is empty for a command, and for a question that failed."""
        try:
            told = self._run(request)
        except _GcsError as error:
            self.error = error.code
        except MotionError:
            self.error = DOES_NOT_SETTLE
            self._servo = False
        except LimitError:
            self.error = OUT_OF_LIMITS
        except SettingError:
            self.error = SPEED_OUT_OF_LIMITS
        except (ValueError, IndexError):
            self.error = BAD_SYNTAX
        except DeviceError:
            self.error = UNKNOWN_COMMAND
        else:
            return b"" if told is None else f"{told}\n".encode()
        return b""

    def refuse(self, request: bytes) -> bytes:
        """Refuse every command, as a controller whose servo is off; questions are answered."""
        if b"?" in request or request in _SINGLE:
            return self.answer(request)
        self.error = SERVO_IS_OFF
        return b""

    def _run(self, request: bytes) -> str | None:
        if request == _IS_MOVING:
            return str(int(self.motor.is_moving))
        if request == _IS_READY:
            return "\xb1"
        if request == _STOP:
            self._stop([])
        name, *words = request.decode("ascii", "replace").split() or [""]
        if name not in self._commands:
            raise _GcsError(UNKNOWN_COMMAND)
        return self._commands[name](words)

    def _tell_error(self, _words: list[str]) -> str:
        told, self.error = self.error, 0
        return str(told)

    def _help(self, _words: list[str]) -> str:
        # All lines of an answer but the last end in a space.
        lines = ["The following commands are valid:", "#5 moving?", "#7 ready?", "#24 stop"]
        return " \n".join([*lines, *sorted(self._commands), "end of help"])

    def _of_axis(self, words: list[str], value: str) -> str:
        if words and words != [self._axis]:
            raise _GcsError(NO_SUCH_AXIS)
        return f"{self._axis}={value}"

    def _value(self, words: list[str]) -> float:
        axis, value = words
        if axis != self._axis:
            raise _GcsError(NO_SUCH_AXIS)
        return float(value)

    def _is_on_target(self) -> bool:
        return self._servo and not self.motor.is_moving

    def _move(self, words: list[str]) -> None:
        target_um = self._value(words)
        if not self._servo:
            raise _GcsError(SERVO_IS_OFF)
        self.motor.move_to(target_um * NM_PER_UM)

    def _stop(self, _words: list[str]) -> None:
        self.motor.stop()  # and the controller takes this for an error
        raise _GcsError(WAS_STOPPED)

    def _set_servo(self, words: list[str]) -> None:
        self._servo = bool(self._value(words))

    def _set_speed(self, words: list[str]) -> None:
        self.speed = self._value(words) * NM_PER_UM

    @staticmethod
    def _in_um(value_nm: float) -> str:
        return f"{value_nm / NM_PER_UM:.7f}"
