"""A motor that goes wrong: it stands in front of one, and uses it."""

from collections.abc import Callable

from hal.errors import LimitError, MotionError
from hal.motor import Axis, FocusMotor, LinearMotor, Motor, RotaryMotor
from sim.faults import instruments
from sim.faults.devices.device import FaultyDevice, Trouble


class FaultyMotor(FaultyDevice, Motor):
    """A motor that stalls, overshoots, loses steps, runs into a switch, or is gone."""

    def __init__(self, inner: Motor, trouble: Trouble, visit: Callable[[str], None]) -> None:
        super().__init__(inner, trouble, visit)
        self._behind = 0.0
        self._back: float | None = None

    def open(self) -> None:
        """Connect."""
        super().open()
        self._target = None

    @property
    def axis(self) -> Axis:
        """The range of the motor."""
        axis: Axis = self._inner.axis
        return axis

    @property
    def is_moving(self) -> bool:
        """Whether the motor says that it is on its way."""
        self._visit("device.moving")
        self._answer()
        is_moving = bool(self._inner.is_moving)
        if is_moving and self._trouble.take(instruments.MotorStall):
            self._inner.halt()
            raise MotionError(f"{self._inner.identity.model} stalls: see what is in its way")
        if is_moving and self._trouble.take(instruments.MotorLimit):
            self._inner.halt()
            raise LimitError(f"{self._inner.identity.model} has run into a limit switch")
        if not is_moving and self._back is not None:
            self._inner.begin_move(self._back)
            self._back = None
            return True
        return is_moving or self._trouble.find(instruments.MotorStuck) is not None

    def read_position(self) -> float:
        """Return where the motor takes itself to be."""
        self._visit("device.position")
        self._answer()
        axis = self.axis
        return min(max(float(self._inner.read_position()) + self._behind, axis.lower), axis.upper)

    def begin_move(self, target: float) -> None:
        """Start a movement, which may go wrong."""
        self._visit("device.move")
        self._answer()
        if lost := self._trouble.take(instruments.MotorLostSteps):
            self._behind += lost.by
        self._back = None
        wanted = self._within(target - self._behind)
        if over := self._trouble.take(instruments.MotorOvershoot):
            self._back, wanted = wanted, self._within(wanted + over.by)
        self._inner.begin_move(wanted)

    def halt(self) -> None:
        """Stop."""
        self._visit("device.halt")
        self._answer()
        self._back = None
        self._inner.halt()

    def begin_home(self) -> None:
        """Start the search for the home position."""
        self._visit("device.move")
        self._answer()
        self._behind, self._back = 0.0, None
        self._inner.begin_home()

    def _within(self, position: float) -> float:
        axis = self.axis
        return min(max(position, axis.lower), axis.upper)


class FaultyLinearMotor(FaultyMotor, LinearMotor):
    """A linear motor that goes wrong."""


class FaultyFocusMotor(FaultyMotor, FocusMotor):
    """A focus motor that goes wrong."""


class FaultyRotaryMotor(FaultyMotor, RotaryMotor):
    """A rotary motor that goes wrong."""
