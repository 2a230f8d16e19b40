"""The manager of one HAL motor: it moves it, watches it, and writes down where it is."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from hal.clock import NS_PER_S
from hal.device import SettingValue
from hal.errors import DeviceError, DriverError
from hal.motor import FocusMotor, Motor
from magscope.devices import DeviceHolder, DeviceSpec
from magscope.hardware import HardwareManagerBase
from magscope.link import GONE, Link
from magscope.processes import LATER
from magscope.runtime import current
from magscope.utils import registerwithscript

FOCUS = "focus"
IDLE_TELEMETRY_S = 1.0
PATIENCE_S = 0.1  # with who reads the telemetry
COLUMNS = ("timestamp_s", "position", "target", "is_at_target")


class MotorManager(HardwareManagerBase):
    """Runs a `hal.Motor`. Its rows are `[timestamp, position, target, is_at_target]`.

    Positions are in the motor's own unit, nm or turns. While it moves, its position is written
    `telemetry_hz` times a second; while it stands, once a second.

    Args:
        spec: What the rig file says of it; messages reach it under its role there.
    """

    _one_per_name: ClassVar[bool] = True
    buffer_shape = (10_000, len(COLUMNS))

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec.role)
        self._spec = spec
        self._holder = DeviceHolder(spec)
        self._motor: Motor
        self._link = Link("the motor", spec.reconnect, self)
        self._next_ns = 0
        self._is_written = True
        self._waiting: list[tuple[int, str]] = []
        self.unit: str = getattr(spec.load(), "unit", "")

    @property
    def driver(self) -> type:
        """The class of the motor."""
        return self._spec.load()

    def device_memory(self) -> dict[str, int]:
        """Return the names and sizes of the memory that the motor shares with other devices."""
        return self._holder.shared_memory()

    def connect(self) -> None:
        """Open the motor."""
        self._device_role = f"motor {self.name}"
        self._holder.join(self)
        self._motor = self._holder.open(FocusMotor if self.name == FOCUS else Motor)
        self._is_connected = True
        self._holder.report(self)

    def disconnect(self) -> None:
        """Stop the motor, unless the rig file says that it holds, and close it."""
        self._link.conclude()
        if self._is_connected:
            self._is_connected = False
            try:
                if not self._link.is_down:
                    self._stop()
            finally:
                self._holder.close()

    def seconds_to_next_loop(self) -> float:
        """Return when the position is to be written down next."""
        if self._link.is_down:
            return self._link.due_in_s
        return (self._next_ns - current().clock.monotonic_ns()) / NS_PER_S

    def do_main_loop(self) -> None:
        """Write the position down when it is time to."""
        if self._link.is_down:
            self._look_for_motor()
        elif current().clock.monotonic_ns() >= self._next_ns:
            try:
                self.fetch()
            except GONE as error:
                self._link.break_off(error)
                self._part_from_motor()
                self._arrive(f"{self.name} has gone")

    def fetch(self) -> None:
        """Write down where the motor is, and tell those who wait when it has arrived."""
        clock = current().clock
        is_moving = self._motor.is_moving
        row = [
            clock.now_ns() / NS_PER_S,
            self._motor.read_position(),
            self._motor.target,
            float(not is_moving),
        ]
        self._write_down(row)
        period_s = 1.0 / self._spec.telemetry_hz if is_moving else IDLE_TELEMETRY_S
        self._next_ns = clock.monotonic_ns() + int(period_s * NS_PER_S)
        if not is_moving:
            self._arrive()

    def _write_down(self, row: list[float]) -> None:
        """Leave a row out that can not be written: a motor waits for nobody who hangs."""
        if self._buffer is None:
            return
        is_written = self._buffer.offer(np.array([row]), PATIENCE_S)
        if self._is_written and not is_written:
            self.log("warning", "its telemetry has gaps: whoever reads it hangs")
        self._is_written = is_written

    def _part_from_motor(self) -> None:
        """Stop a motor that has gone, if it still hears that, and close it."""
        try:
            self._stop()
        except DeviceError as error:
            self.log("warning", f"the motor could not be told to stop: {error}")
        self._holder.let_go()

    def _stop(self) -> None:
        if self._spec.on_exit == "stop":
            self._motor.stop()
            current().note("device", f"{self.name} is stopped")

    def _look_for_motor(self) -> None:
        if self._link.look(self._reopen):
            self._next_ns = 0

    def _reopen(self) -> None:
        self._holder.connect()
        self._holder.report(self)  # which asks it: it may have gone again by now

    def _arrive(self, problem: str = "") -> None:
        waiting, self._waiting = self._waiting, []
        for token, sender in waiting:
            self.done(token, problem, to=sender)

    @registerwithscript("move_motor")
    def move_motor(self, motor: str, position: float, speed: float | None = None) -> Any:
        """Move to a position in the motor's unit; done when it has arrived.

        Args:
            motor: The motor's name, by which the message has found its way.
            position: The target, in nm or turns.
            speed: Largest speed in units a second, where the motor has such a setting.
        """
        self._link.check()
        if speed is not None:
            self._motor.set(self._speed_setting(), speed)
        return self._start(self._within(position))

    @registerwithscript("move_motor_by")
    def move_motor_by(self, motor: str, distance: float) -> Any:
        """Move by a distance from the present target, in the motor's unit."""
        self._link.check()
        return self._start(self._within(self._motor.target + distance))

    @registerwithscript("home_motor")
    def home_motor(self, motor: str) -> Any:
        """Search for the home position; done when the motor stands there."""
        self._link.check()
        self._motor.home()
        return self._started()

    @registerwithscript("stop_motor")
    def stop_motor(self, motor: str) -> None:
        """Stop the motor where it is."""
        self._link.check()
        self._motor.stop()
        self._arrive("the motor was stopped")
        self._next_ns = 0

    @registerwithscript("set_motor_setting")
    def set_motor_setting(self, motor: str, name: str, value: SettingValue) -> None:
        """Change a setting of the motor."""
        self._link.check()
        self._motor.set(name, value)
        self._holder.report(self)

    @registerwithscript("reconnect_motor")
    def reconnect_motor(self, motor: str) -> None:
        """Look now for a motor that has gone; does nothing while it is there."""
        if self._link.is_down:
            self._link.ask()
            self._look_for_motor()

    def move_absolute(self, z: float) -> Any:
        """Move to a position; the name that focus motors have always had."""
        self._link.check()
        return self._start(self._within(z))

    def _start(self, target: float) -> Any:
        self._motor.move_to(target)
        return self._started()

    def _started(self) -> Any:
        if self.token:
            self._waiting.append((self.token, self.caller))
        self._next_ns = 0
        return LATER

    def _within(self, target: float) -> float:
        axis = self._motor.axis
        return min(max(target, axis.lower), axis.upper) if self._spec.clip else target

    def _speed_setting(self) -> str:
        for setting in self._motor.settings:
            if setting.name.startswith("speed"):
                return setting.name
        raise DeviceError(f"{self.name} has no speed that can be set")


def motor_managers(specs: Iterable[DeviceSpec]) -> list[HardwareManagerBase]:
    """Return a manager for each motor of the rig file.

    Raises:
        DriverError: A driver is missing, broken, or no motor's.
    """
    managers: list[HardwareManagerBase] = []
    for spec in specs:
        driver = spec.load()
        if issubclass(driver, Motor):
            managers.append(MotorManager(spec))
        elif issubclass(driver, HardwareManagerBase):
            manager = driver(**spec.options)
            manager.name = spec.role
            managers.append(manager)
        else:
            raise DriverError(f"motor {spec.role}: driver {spec.driver!r} is no motor")
    return managers
