"""The contract of a motor: one axis that moves to a position and can always be stopped."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar

from hal.device import Device
from hal.errors import DisconnectedError, LimitError, UnsupportedError


@dataclass(frozen=True)
class Axis:
    """The range of a motor, in its unit (nm, or turns).

    Attributes:
        unit: `"nm"` or `"turn"`.
        lower: Smallest position.
        upper: Largest position.
        resolution: Smallest step that the motor can make; a movement ends within it.
        max_speed: Largest speed, in units a second.
        can_home: Whether `home` works.
    """

    unit: str
    lower: float
    upper: float
    resolution: float
    max_speed: float
    can_home: bool = False


class Motor(Device):
    """A motor with one axis. Derive from `LinearMotor`, `RotaryMotor` or `FocusMotor`.

    A driver implements `axis`, `read_position`, `is_moving`, `begin_move` and `halt`, all in the
    axis' own unit, and `begin_home` where there is a home. What is given here on top of them checks
    the limits and is what managers and people call.
    """

    unit: ClassVar[str] = ""
    _target: float | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Let `close` forget the target, whoever wrote it: the motor may be moved while closed."""
        super().__init_subclass__(**keywords)
        if not getattr(cls.close, "forgets_the_target", False):
            setattr(cls, "close", _forgetting(cls.close))  # noqa: B010 - no method is assigned to

    @property
    @abstractmethod
    def axis(self) -> Axis:
        """The range of the open motor."""

    @property
    @abstractmethod
    def is_moving(self) -> bool:
        """Whether the motor is on its way."""

    @abstractmethod
    def read_position(self) -> float:
        """Ask the device where it is, in the axis' unit."""

    @abstractmethod
    def begin_move(self, target: float) -> None:
        """Start a movement to `target`, which lies within the axis, and return at once.

        A movement that is under way is given the new target.
        """

    @abstractmethod
    def halt(self) -> None:
        """Stop as fast as is safe; does nothing when the motor stands."""

    def begin_home(self) -> None:
        """Start the search for the home position and return at once."""
        raise UnsupportedError(f"{self.identity.model} has no home position")

    @property
    def target(self) -> float:
        """Where the motor was last told to go, or stopped, or was found; in the axis' unit."""
        if self._target is None:
            self._target = self.read_position()
        return self._target

    def move_to(self, target: float) -> None:
        """Check the target against the axis and start the movement.

        Raises:
            LimitError: The target lies outside the axis; nothing moves.
            DisconnectedError: The motor is not open.
        """
        if not self.is_open:
            raise DisconnectedError(f"{type(self).__name__} is not open: open it before moving it")
        axis = self.axis
        if not axis.lower <= target <= axis.upper:  # also refuses NaN
            raise LimitError(
                f"target {target:g} {axis.unit} is outside the axis of {self.identity.model}: "
                f"{axis.lower:g} to {axis.upper:g} {axis.unit}"
            )
        self.begin_move(float(target))
        self._target = float(target)

    def stop(self) -> None:
        """Stop, and stay where it stopped."""
        self.halt()
        self._target = None

    def home(self) -> None:
        """Start the search for the home position."""
        self.begin_home()
        self._target = None


def _forgetting(close: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(close)  # an abstract one stays so
    def close_and_forget(self: Motor) -> None:
        try:
            close(self)
        finally:
            self._target = None

    close_and_forget.forgets_the_target = True  # type: ignore[attr-defined]
    return close_and_forget


class LinearMotor(Motor):
    """A motor whose axis is in nm, as the one that moves the magnets up and down."""

    unit: ClassVar[str] = "nm"

    @property
    def position_nm(self) -> float:
        """Where the motor is."""
        return self.read_position()

    @property
    def target_nm(self) -> float:
        """Where the motor is going."""
        return self.target

    def move_to_nm(self, target_nm: float) -> None:
        """Start a movement; raises LimitError outside the axis."""
        self.move_to(target_nm)


class FocusMotor(LinearMotor):
    """A linear motor that moves the focal plane: the Z lock and the Z-LUT sweep drive it."""


class RotaryMotor(Motor):
    """A motor whose axis is in turns, as the one that rotates the magnets."""

    unit: ClassVar[str] = "turn"

    @property
    def position_turns(self) -> float:
        """Where the motor is."""
        return self.read_position()

    @property
    def target_turns(self) -> float:
        """Where the motor is going."""
        return self.target

    def move_to_turns(self, target_turns: float) -> None:
        """Start a movement; raises LimitError outside the axis."""
        self.move_to(target_turns)
