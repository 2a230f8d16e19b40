"""The captures of motors, played as motors."""

from dataclasses import replace
from os import PathLike
from typing import ClassVar

from hal.clock import NS_PER_S
from hal.drivers.replay.captured import CapturedDevice
from hal.errors import UnsupportedError
from hal.motor import Axis, FocusMotor, LinearMotor, Motor, RotaryMotor
from hal.recording.following import Pace, Policy
from hal.recording.reading import Call


class CapturedMotor(CapturedDevice, Motor):
    """Answers a command as the captured motor did: refuses it, or moves in the same time.

    A movement that was not captured is made at the axis' full speed, in a straight line, or at once
    at the pace `fast`; the next captured command leads back to what was captured.

    Args:
        path: The capture, `<role>.capture`; relative to the rig file.
        pace: `real`: a movement takes the time that it took, on the context's clock. `fast`: it is
            over at once.
        on_divergence: What becomes of a call that is not the captured one. `report` tells of the
            first and goes on. `stop` raises a DivergenceError.

    Raises:
        OptionError: `pace` or `on_divergence` is another word.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        pace: Pace = "real",
        on_divergence: Policy = "report",
    ) -> None:
        super().__init__(path, pace=pace, on_divergence=on_divergence)
        self._free: tuple[float, float, int] | None = None  # from, to, since when in ns

    def open(self) -> None:
        """Read the capture, or go on with it."""
        if not self._is_open:
            self._target = self._free = None
        super().open()

    @property
    def axis(self) -> Axis:
        """The range of the captured motor; it has a home if it was sent there."""
        axis = self._described.axis
        assert axis is not None  # a motor has one
        was_home = self._opened.has("home") or self._opened.has("begin_home")
        return replace(axis, can_home=axis.can_home and was_home)

    @property
    def is_moving(self) -> bool:
        """Whether the motor was on its way."""
        following = self._following
        if self._free is not None:
            return self._free_position(*self._free) != self._free[1]
        call = following.look("is_moving", or_later=False)
        return False if call is None else bool(call.answer)

    def read_position(self) -> float:
        """Return where the motor was."""
        following = self._following
        if self._free is not None:
            return self._free_position(*self._free)
        call = following.look("read_position")
        if call is None:  # nobody ever asked the captured one
            return min(max(0.0, self.axis.lower), self.axis.upper)
        return float(call.answer)

    @property
    def target(self) -> float:
        """Where the motor was going."""
        following = self._following
        if self._free is None and following.has("target"):
            call = following.look("target", or_later=False)
            if call is not None:
                return float(call.answer)
        return super().target

    def move_to(self, target: float) -> None:
        """Start a movement, or be refused, as the captured motor was.

        Raises:
            LimitError: The target lies outside the axis.
        """
        if not self._is_the_captured("move_to", target):
            super().move_to(target)
        self._target = float(target)

    def stop(self) -> None:
        """Stop, and stay where it stopped."""
        if not self._is_the_captured("stop"):
            self._stay()
        self._target = None

    def home(self) -> None:
        """Start the search for the home position, or be refused, as the captured motor was."""
        if not self._is_the_captured("home"):
            self._cannot_home()
        self._target = None

    def begin_move(self, target: float) -> None:
        """Start a movement to a target within the axis."""
        if not self._is_the_captured("begin_move", target):
            self._free = (self.read_position(), float(target), self.context.clock.monotonic_ns())

    def halt(self) -> None:
        """Stop where it is."""
        if not self._is_the_captured("halt"):
            self._stay()

    def begin_home(self) -> None:
        """Start the search for the home position."""
        if not self._is_the_captured("begin_home"):
            self._cannot_home()

    def _is_the_captured(self, name: str, *args: float) -> bool:
        call: Call | None = self._following.command(name, *args)
        if call is not None:
            self._free = None
        return call is not None

    def _stay(self) -> None:
        here = self.read_position()
        self._free = (here, here, self.context.clock.monotonic_ns())

    def _cannot_home(self) -> None:
        raise UnsupportedError(
            f"{self.identity.model} was not sent home here while {self._path} was captured: "
            "its home position is not known"
        )

    def _free_position(self, origin: float, target: float, since_ns: int) -> float:
        if self._pace == "fast":
            return target
        passed_s = (self.context.clock.monotonic_ns() - since_ns) / NS_PER_S
        reach = passed_s * self.axis.max_speed
        return min(max(target, origin - reach), origin + reach)


class ReplayMotor(CapturedMotor, LinearMotor):
    """Plays the capture of a linear motor; see `CapturedMotor` for the options."""

    driver: ClassVar[str] = "replay.motor"
    captured_kinds: ClassVar[tuple[str, ...]] = ("linear", "focus")


class ReplayFocus(CapturedMotor, FocusMotor):
    """Plays the capture of a focus motor, or of a linear one; see `CapturedMotor`."""

    driver: ClassVar[str] = "replay.focus"
    captured_kinds: ClassVar[tuple[str, ...]] = ("focus", "linear")


class ReplayRotary(CapturedMotor, RotaryMotor):
    """Plays the capture of a rotary motor; see `CapturedMotor` for the options."""

    driver: ClassVar[str] = "replay.rotary"
    captured_kinds: ClassVar[tuple[str, ...]] = ("rotary",)
