"""An axis of a Zaber device as a motor: microsteps in the device, nm or turns here."""

import math
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from hal.device import Identity, Setting, SettingValue
from hal.drivers.port import Port, checked_timeout_s
from hal.errors import (
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    MotionError,
    OptionError,
    ProtocolError,
    UnsupportedError,
)
from hal.motor import Axis, Motor
from hal.support import Support

if TYPE_CHECKING:
    from hal.drivers.zaber.line import Answer, Line

SPEED_UNITS = 1.6384
"""A speed of one microstep a second is so much in the protocol, by Zaber's manual."""

_NO_REFERENCE = "WR"
_FAULTS = {
    "FB": "the stream left its bounds",
    "FD": "the driver is disabled",
    "FE": "a limit was passed",
    "FF": "a critical fault of the system",
    "FN": "the peripheral does not suit",
    "FO": "the driver is disabled: overheated or overloaded",
    "FQ": "the encoder fails",
    "FR": "the driver is disabled: overdriven",
    "FS": "it stalled and was stopped",
    "FT": "the lockstep axes went apart",
    "FZ": "a fault of the system",
}


class ZaberStage(Motor):
    """One axis of a Zaber device. Its limits are read from the device, its step size is not.

    A stall, or any other fault that the device reports, is raised once, as a MotionError. A stage
    that does not know where it is moves only home.

    Args:
        port: `tcp://host:port`, or a serial port: `/dev/ttyUSB0`, `COM3`. A serial port that two
            stages share needs Zaber Launcher, through which the library opens it then.
        per_step: How far a microstep is, in the motor's unit.
        lower: Smallest position, if it shall be larger than the device's own.
        upper: Largest position, if it shall be smaller than the device's own.
        max_speed: Largest speed that the setting may have, in units a second.
        speed: Speed from the start, in units a second; None leaves the device's own.
        address: The device's number on its chain.
        axis_number: The axis' number on the device.
        can_home: Whether it has a home sensor or a stop to home against.
        baud_rate: Of a serial port.
        timeout_s: How long the device may take to answer; opening takes up to three times that
            long: to connect, to ask, and to look who is there instead.
        model: What the identity calls it; the device's number of its kind if empty.

    Attributes:
        port: The option; what it is whenever a connection is made, counts.

    Raises:
        OptionError: A number is out of its range.
    """

    driver: ClassVar[str]
    support = Support(
        "Zaber's stages with the ASCII protocol, like X-LSQ and X-NMS",
        "emulator",
        "our own fake of its protocol, over TCP and serial lines",
        library="zaber-motion",
        extra="zaber",
    )
    speed_unit: ClassVar[str]
    speed_name: ClassVar[str]

    def __init__(
        self,
        port: str,
        per_step: float,
        lower: float | None,
        upper: float | None,
        max_speed: float,
        speed: float | None,
        *,
        address: int,
        axis_number: int,
        can_home: bool,
        baud_rate: int,
        timeout_s: float,
        model: str,
    ) -> None:
        Port.parse(port)
        self.port = port
        for name, value in (("step size", per_step), ("largest speed", max_speed)):
            if not 0.0 < value < math.inf:
                raise OptionError(f"{name} = {value!r} {self.unit}: expected more than 0")
        if not (1 <= address <= 99 and 1 <= axis_number <= 9):
            raise OptionError(
                f"address = {address!r}, axis_number = {axis_number!r}: expected 1 to 99, 1 to 9"
            )
        self._per_step = float(per_step)
        self._lower, self._upper = lower, upper
        self._max_speed = float(max_speed)
        self._address, self._axis_number = address, axis_number
        self._can_home = can_home
        self._baud_rate = baud_rate
        self._timeout_s = checked_timeout_s(timeout_s)
        self._model, self._serial = model, ""
        self._is_real = True
        self._speed = None if speed is None else float(self._speed_setting.check(speed))
        self._steps = (0, 0)
        self._opened: Line | None = None

    @property
    def identity(self) -> Identity:
        """The number of its kind, and its own, as the device tells them."""
        return Identity("Zaber", self._model, self._serial, self.driver, self._is_real)

    @property
    def is_open(self) -> bool:
        """Whether it is connected, and the device has not hung up."""
        return self._opened is not None and self._opened.is_open

    def open(self) -> None:
        """Connect, ask for limits, and set the speed; after a lost connection, connect anew."""
        if self.is_open:
            return
        from hal.drivers.zaber.line import Line  # only now: see the package

        self._let_go()
        line = Line(
            Port.parse(self.port),
            baud_rate=self._baud_rate,
            address=self._address,
            axis=self._axis_number,
            timeout_s=self._timeout_s,
        )
        try:
            self._greet(line)
            self._opened = line
            if self._speed is not None:
                self.set(self.speed_name, self._speed)
        except BaseException:
            self._opened = None
            line.close()
            raise
        self._target = None  # it may have been moved by hand since it was last open

    def close(self) -> None:
        """Stop and hang up."""
        if self.is_open:
            with suppress(DeviceError):  # who does not answer is hung up on all the same
                self.halt()
        self._let_go()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The speed of the movements that begin from now on."""
        return (self._speed_setting,)

    def get(self, name: str) -> SettingValue:
        """Return the speed as the device has it."""
        self.setting(name)
        units = self._line.ask_number("get maxspeed", "reading the speed")
        return units / SPEED_UNITS * self._per_step

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change the speed; the device takes steps of 0.61 microsteps a second."""
        speed = float(self.setting(name).check(value))
        # Rounded down, it stays within the limit; the slack keeps what was read from the device.
        units = math.floor(speed / self._per_step * SPEED_UNITS + 1e-6)
        self._line.ask(f"set maxspeed {units}", f"setting {name} to {speed:g} {self.speed_unit}")
        return self.get(name)

    @property
    def axis(self) -> Axis:
        """The device's own range, made narrower by the options; in whole microsteps."""
        lowest, highest = self._steps
        return Axis(
            self.unit,
            lowest * self._per_step,
            highest * self._per_step,
            self._per_step,
            self._max_speed,
            self._can_home,
        )

    @property
    def is_moving(self) -> bool:
        """Whether the device says that it is busy.

        Raises:
            MotionError: It has stalled, or reports another fault.
        """
        return self._sound(self._line.ask("", "asking whether it moves")).is_busy

    def read_position(self) -> float:
        """Ask the device where it is, in the motor's unit."""
        return self._line.ask_number("get pos", "reading the position") * self._per_step

    def begin_move(self, target: float) -> None:
        """Start towards the microstep nearest to `target`.

        Raises:
            MotionError: It does not know where it is and must be homed, or reports a fault.
        """
        doing = f"moving to {target:g} {self.unit}"
        if _NO_REFERENCE in self._line.ask("warnings", doing).data.split():
            raise MotionError(
                f"{doing}: {self._line.name} has not been homed since it was switched on "
                f"({_NO_REFERENCE}), so its position means nothing; home it first"
            )
        lowest, highest = self._steps
        step = min(max(round(target / self._per_step), lowest), highest)
        self._sound(self._line.ask(f"move abs {step}", doing))

    def halt(self) -> None:
        """Brake."""
        self._line.ask("stop", "stopping")

    def begin_home(self) -> None:
        """Start the search for the home position.

        Raises:
            UnsupportedError: The option `can_home` is false.
        """
        if not self._can_home:
            raise UnsupportedError(f"{self._line.name} has no home position (option can_home)")
        self._sound(self._line.ask("home", "homing"))

    @property
    def _line(self) -> "Line":
        if self._opened is None:
            raise DisconnectedError(f"{self.driver} at {self.port} is not open: open it first")
        return self._opened

    @property
    def _speed_setting(self) -> Setting:
        slowest = 1.0 / SPEED_UNITS * self._per_step
        return Setting(self.speed_name, float, self.speed_unit, slowest, self._max_speed)

    def _let_go(self) -> None:
        line, self._opened = self._opened, None
        if line is not None:
            line.close()

    def _greet(self, line: "Line") -> None:
        """Learn who the device is and how far it goes."""
        try:
            kind = round(line.ask_number("get deviceid", "asking who it is"))
        except DeviceTimeoutError as error:
            there = ", ".join(map(str, line.found()))
            if not there:
                raise
            raise DisconnectedError(
                f"address = {self._address}: no device answers there at {self.port}; "
                f"these do: {there}"
            ) from error
        self._is_real = kind != 0  # Zaber gives 0 to no device
        self._model = self._model or f"device {kind}"
        self._serial = f"{line.ask_number('get system.serial', 'asking for its number'):.0f}"
        lowest = line.ask_number("get limit.min", "asking for the limits")
        highest = line.ask_number("get limit.max", "asking for the limits")
        self._steps = self._narrowed(lowest, highest)

    def _narrowed(self, lowest: float, highest: float) -> tuple[int, int]:
        slack = 1e-9  # the last digits of a quotient are not to cost a step
        if self._lower is not None:
            lowest = max(lowest, self._lower / self._per_step - slack)
        if self._upper is not None:
            highest = min(highest, self._upper / self._per_step + slack)
        steps = math.ceil(lowest), math.floor(highest)
        if not steps[0] < steps[1]:
            raise OptionError(
                f"no way is left between {lowest * self._per_step:g} and "
                f"{highest * self._per_step:g} {self.unit}: the lower and the upper limit must lie "
                "within the device's own"
            )
        return steps

    def _sound(self, answer: "Answer") -> "Answer":
        """Return an answer if no fault is flagged with it."""
        if not answer.flag.startswith("F"):
            return answer
        # Forget the fault, so that it is told once; one that lasts is flagged again.
        count, *flags = self._line.ask("warnings clear", "reading the warnings").data.split()
        if count != f"{len(flags):02d}":
            raise ProtocolError(f"{self._line.name} listed its warnings as {count} {flags}")
        told = [f"{flag} ({_FAULTS.get(flag, 'unknown')})" for flag in flags if flag[0] == "F"]
        raise MotionError(
            f"{self._line.name} reports {', '.join(told) or answer.flag}; see that its way is free"
        )
