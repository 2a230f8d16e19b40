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
from hal.support import Support


class CapturedMotor(CapturedDevice, Motor):
    """Answers a command as the captured motor did, and moves in the same time.

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

    has_own_time = False
    support = Support("captures of motors, played as motors", "no device")

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
        return replace(axis, can_home=axis.can_home and self._opened.has("begin_home"))

    @property
    def is_moving(self) -> bool:
        """Whether the motor was on its way."""
        following = self._following
        if self._free is not None:
            return self._free_position(*self._free) != self._free[1]
        call = following.look("is_moving", or_later=False)
        # A motor that was on its way when the capture was cut off must arrive some time.
        return call is not None and bool(call.answer) and not following.is_over

    def read_position(self) -> float:
        """Return where the motor was."""
        following = self._following
        if self._free is not None:
            return self._free_position(*self._free)
        call = following.look("read_position")
        if call is None:  # nobody ever asked the captured one
            return min(max(0.0, self.axis.lower), self.axis.upper)
        return float(call.answer)

    def begin_move(self, target: float) -> None:
        """Start a movement to a target within the axis."""
        if not self._is_the_captured("begin_move", target):
            self._free = (self.read_position(), float(target), self.context.clock.monotonic_ns())

    def halt(self) -> None:
        """Stop where it is."""
        if not self._is_the_captured("halt"):
            here = self.read_position()
            self._free = (here, here, self.context.clock.monotonic_ns())

    def begin_home(self) -> None:
        """Start the search for the home position."""
        if not self._is_the_captured("begin_home"):
            raise UnsupportedError(
                f"{self.identity.model} was not sent home here while {self._path} was captured: "
                "its home position is not known"
            )

    def _is_the_captured(self, name: str, *args: float) -> bool:
        call: Call | None = self._following.command(name, *args)
        if call is not None:
            self._free = None
        return call is not None

    def _free_position(self, origin: float, target: float, since_ns: int) -> float:
        if self._pace == "fast":
            return target
        passed_s = (self.context.clock.monotonic_ns() - since_ns) / NS_PER_S
        reach = passed_s * self.axis.max_speed
        return min(max(target, origin - reach), origin + reach)


class ReplayMotor(CapturedMotor, LinearMotor):
    """Plays the capture of a linear motor.

    See `CapturedMotor`.
    """

    driver: ClassVar[str] = "replay.motor"
    captured_kinds: ClassVar[tuple[str, ...]] = ("linear", "focus")


class ReplayFocus(CapturedMotor, FocusMotor):
    """Plays the capture of a focus motor, or of a linear one.

    See `CapturedMotor`.
    """

    driver: ClassVar[str] = "replay.focus"
    captured_kinds: ClassVar[tuple[str, ...]] = ("focus", "linear")


class ReplayRotary(CapturedMotor, RotaryMotor):
    """Plays the capture of a rotary motor.

    See `CapturedMotor`.
    """

    driver: ClassVar[str] = "replay.rotary"
    captured_kinds: ClassVar[tuple[str, ...]] = ("rotary",)
