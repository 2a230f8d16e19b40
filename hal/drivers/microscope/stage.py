"""Axes of python-microscope's stages as motors, whose own unit is scaled to nm or turns."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import microscope.abc

from hal.drivers.microscope.device import MicroscopeDevice
from hal.drivers.microscope.errors import translated
from hal.drivers.microscope.making import shut_down
from hal.drivers.microscope.mover import Mover
from hal.errors import OptionError, UnsupportedError
from hal.motor import Axis, FocusMotor, LinearMotor, Motor, RotaryMotor
from hal.support import Support

# A movement is stopped within so long, by default.
_STEP_S = 0.5


class MicroscopeMotor(MicroscopeDevice, Motor):
    """One axis of a stage. Derived classes give the unit and the names of the options."""

    wanted = (microscope.abc.Stage, microscope.abc.StageAxis)
    support = Support(
        "axes of python-microscope's stages, and of those that other packages derive from it",
        "emulator",
        "python-microscope's own stage for trying out",
        library="microscope",
        extra="microscope",
    )

    def __init__(
        self,
        device: str | type,
        per_unit: float,
        lower: float | None,
        upper: float | None,
        resolution: float | None,
        max_speed: float,
        step: float | None,
        *,
        axis: str,
        may_move_on_open: bool,
        options: Mapping[str, Any] | None,
        member: str,
        properties: Mapping[str, Any] | None,
        timeout_s: float,
    ) -> None:
        super().__init__(
            device, options=options, member=member, properties=properties, timeout_s=timeout_s
        )
        if per_unit == 0 or not math.isfinite(per_unit):
            raise OptionError(f"{self.unit} of the stage's unit = {per_unit!r}: expected a scale")
        self._per_unit = float(per_unit)
        self._lower, self._upper = lower, upper
        self._resolution = abs(self._per_unit) if resolution is None else float(resolution)
        self._max_speed = float(max_speed)
        self._step = self._max_speed * _STEP_S if step is None else float(step)
        for name, value in (
            ("resolution", self._resolution),
            ("max_speed", self._max_speed),
            ("step", self._step),
        ):
            if not 0 < value < math.inf:
                raise OptionError(f"{name} = {value!r} {self.unit}: expected more than 0")
        self._axis_name = axis
        self._may_move_on_open = may_move_on_open
        self._axis = Axis(self.unit, 0.0, 0.0, self._resolution, self._max_speed)
        self._mover: Mover | None = None

    @property
    def axis(self) -> Axis:
        """The stage's own range, made narrower by the options."""
        self._device  # noqa: B018  raises when closed
        return self._axis

    @property
    def is_moving(self) -> bool:
        """Whether a movement is under way.

        Raises:
            MotionError: The last movement did not arrive.
            DeviceError: It failed in another way.
        """
        return self._moving.is_moving

    def read_position(self) -> float:
        """Ask the stage where it is; during a movement, tell where it was after its last step."""
        return self._moving.position() * self._per_unit

    def begin_move(self, target: float) -> None:
        """Start a movement to `target`, in steps, and return at once."""
        self._moving.go(target / self._per_unit)

    def halt(self) -> None:
        """Make no more steps, and wait for the one that is under way.

        Raises:
            UnsupportedError: The step takes longer than `timeout_s`: the library can not stop it.
        """
        if not self._moving.stop(self._timeout_s):
            raise UnsupportedError(
                f"{self._name} still moves after {self._timeout_s:g} s, and python-microscope has "
                f"no call that stops a stage: give a smaller step than {self._step:g} {self.unit}"
            )

    @property
    def _moving(self) -> Mover:
        self._device  # noqa: B018  raises when closed
        assert self._mover is not None
        return self._mover

    def _set_up(self, device: Any) -> None:
        self._target = None  # it may have been moved by hand since it was last open
        if isinstance(device, microscope.abc.Stage):
            self._require_consent(device)
            self._enable(device)
            device = self._chosen(device)
        self._axis = self._narrowed(device)
        scale = abs(self._per_unit)
        self._mover = Mover(
            device,
            self.context.clock,
            self._step / scale,
            self._resolution / scale * (1 + 1e-9),
            self._timeout_s,
        )

    def _tear_down(self, device: Any) -> None:  # noqa: ARG002
        if self._mover is not None:
            self.halt()

    def _last_errand(self, device: Any, root: Any) -> Callable[[], None]:  # noqa: ARG002
        mover, self._mover = self._mover, None

        def end() -> None:
            if mover is not None:
                mover.end()
                mover.wait()
            shut_down(root)

        return end

    def _require_consent(self, stage: Any) -> None:
        with translated("asking whether the stage moves when it is enabled"):
            may_move = stage.may_move_on_enable()
        if may_move and not self._may_move_on_open:
            raise OptionError(
                f"{self._name} may move to its limits when it is opened, to find its home: clear "
                "its way, and set the option may_move_on_open = true"
            )

    def _chosen(self, stage: Any) -> Any:
        with translated("asking for the axes"):
            axes = dict(stage.axes)
        name = self._axis_name or (next(iter(axes)) if len(axes) == 1 else "")
        if name not in axes:
            known = ", ".join(map(repr, axes)) or "none"
            raise OptionError(f"axis = {self._axis_name!r}: {self._name} has the axes {known}")
        return axes[name]

    def _narrowed(self, axis: Any) -> Axis:
        with translated("asking for the limits"):
            ends = sorted(float(end) * self._per_unit for end in axis.limits)
        lower = ends[0] if self._lower is None else max(ends[0], self._lower)
        upper = ends[1] if self._upper is None else min(ends[1], self._upper)
        if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
            raise OptionError(
                f"no range is left between {lower:g} and {upper:g} {self.unit}: the stage tells "
                f"{ends[0]:g} to {ends[1]:g} {self.unit}; give a lower and an upper limit within"
            )
        return Axis(self.unit, lower, upper, self._resolution, self._max_speed)


class MicroscopeStage(MicroscopeMotor, LinearMotor):
    """An axis of a stage of python-microscope, or of any package that derives one from its classes.

    The library says neither in which unit an axis counts nor how fast it is, so both are options.
    It has no call that stops an axis: movements are made in steps, and stopped between two.

    Args:
        device: A Stage or a bare StageAxis; see `MicroscopeDevice`.
        nm_per_unit: How many nm the stage's unit is: 1000 for a stage that counts in um, the length
            of a microstep for one that counts these; negative to turn the direction round.
        axis: The stage's name of the axis; may be left out if it has one.
        lower_nm: Smallest position, if it shall be larger than the stage's own.
        upper_nm: Largest position, if it shall be smaller than the stage's own.
        resolution_nm: Smallest step, as its maker states it; one of the stage's units if None.
        max_speed_nm_per_s: Largest speed, as its maker states it.
        step_nm: The longest step of a movement; half a second at the largest speed if None.
        may_move_on_open: Whether it may move to its limits when it is opened, as some do to find
            their home.
        options: See `MicroscopeDevice`.
        member: See `MicroscopeDevice`.
        properties: See `MicroscopeDevice`.
        timeout_s: How long it may stand before it has arrived, and any call may take.
    """

    driver = "microscope.stage"

    def __init__(
        self,
        device: str | type,
        nm_per_unit: float,
        *,
        axis: str = "",
        lower_nm: float | None = None,
        upper_nm: float | None = None,
        resolution_nm: float | None = None,
        max_speed_nm_per_s: float = 1e6,
        step_nm: float | None = None,
        may_move_on_open: bool = False,
        options: Mapping[str, Any] | None = None,
        member: str = "",
        properties: Mapping[str, Any] | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        super().__init__(
            device,
            nm_per_unit,
            lower_nm,
            upper_nm,
            resolution_nm,
            max_speed_nm_per_s,
            step_nm,
            axis=axis,
            may_move_on_open=may_move_on_open,
            options=options,
            member=member,
            properties=properties,
            timeout_s=timeout_s,
        )


class MicroscopeFocus(MicroscopeStage, FocusMotor):
    """An axis of a stage of python-microscope that moves the focal plane.

    Its options are those of `MicroscopeStage`.
    """

    driver = "microscope.focus"


class MicroscopeRotary(MicroscopeMotor, RotaryMotor):
    """An axis of a stage of python-microscope that turns.

    Args:
        device: See `MicroscopeStage`.
        turns_per_unit: How many turns the stage's unit is: 1/360 for one that counts degrees.
        axis: See `MicroscopeStage`.
        lower_turns: Smallest position, if it shall be larger than the stage's own.
        upper_turns: Largest position, if it shall be smaller than the stage's own.
        resolution_turns: Smallest step; one of the stage's units if None.
        max_speed_turns_per_s: Largest speed, as its maker states it.
        step_turns: The longest step of a movement; half a second at the largest speed if None.
        may_move_on_open: See `MicroscopeStage`.
        options: See `MicroscopeDevice`.
        member: See `MicroscopeDevice`.
        properties: See `MicroscopeDevice`.
        timeout_s: See `MicroscopeStage`.
    """

    driver = "microscope.rotary"

    def __init__(
        self,
        device: str | type,
        turns_per_unit: float,
        *,
        axis: str = "",
        lower_turns: float | None = None,
        upper_turns: float | None = None,
        resolution_turns: float | None = None,
        max_speed_turns_per_s: float = 1.0,
        step_turns: float | None = None,
        may_move_on_open: bool = False,
        options: Mapping[str, Any] | None = None,
        member: str = "",
        properties: Mapping[str, Any] | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        super().__init__(
            device,
            turns_per_unit,
            lower_turns,
            upper_turns,
            resolution_turns,
            max_speed_turns_per_s,
            step_turns,
            axis=axis,
            may_move_on_open=may_move_on_open,
            options=options,
            member=member,
            properties=properties,
            timeout_s=timeout_s,
        )
