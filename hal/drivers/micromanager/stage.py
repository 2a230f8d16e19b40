"""Micro-Manager's single-axis stages, as the magnets' height and as the focus."""

from collections.abc import Mapping

import pymmcore_nano as mm

from hal.device import SettingValue
from hal.drivers.micromanager.device import MicroManagerDevice
from hal.drivers.micromanager.errors import translated
from hal.errors import OptionError, UnsupportedError
from hal.motor import Axis, FocusMotor, LinearMotor
from hal.support import Support

_NM_PER_UM = 1000.0
_DEMO_STAGE = ("DemoCamera", "DStage")
_DEMO_LIMIT_NM = 300_000.0


class MicroManagerStage(MicroManagerDevice, LinearMotor):
    """A stage of Micro-Manager with one axis; without options the demonstration stage.

    Micro-Manager tells neither the limits of a stage nor its speed, so they are options.

    Args:
        adapter: See `MicroManagerDevice`.
        device: See `MicroManagerDevice`.
        adapter_path: See `MicroManagerDevice`.
        configuration: See `MicroManagerDevice`.
        properties: See `MicroManagerDevice`.
        lower_nm: Smallest position; needed for every stage but the demonstration one (-300 um).
        upper_nm: Largest position; needed for every stage but the demonstration one (300 um).
        resolution_nm: Smallest step, as its maker states it.
        max_speed_nm_per_s: Largest speed, as its maker states it.
        can_home: Whether the stage has a home position; the demonstration stage has none.
    """

    driver = "micromanager.stage"
    support = Support(
        "stages with one axis that Micro-Manager has an adapter for",
        "emulator",
        "Micro-Manager's demonstration stage",
        library="pymmcore-nano",
        extra="micromanager",
    )
    device_type = mm.DeviceType.StageDevice
    hidden_properties = frozenset({mm.g_Keyword_Position})  # would move past the limits

    def __init__(
        self,
        *,
        adapter: str = "DemoCamera",
        device: str = "DStage",
        adapter_path: str | None = None,
        configuration: str | None = None,
        properties: Mapping[str, SettingValue] | None = None,
        lower_nm: float | None = None,
        upper_nm: float | None = None,
        resolution_nm: float = 1.0,
        max_speed_nm_per_s: float = 1e6,
        can_home: bool = False,
    ) -> None:
        super().__init__(
            adapter=adapter,
            device=device,
            adapter_path=adapter_path,
            configuration=configuration,
            properties=properties,
        )
        if (adapter, device) == _DEMO_STAGE and not configuration:
            lower_nm = -_DEMO_LIMIT_NM if lower_nm is None else lower_nm
            upper_nm = _DEMO_LIMIT_NM if upper_nm is None else upper_nm
        if lower_nm is None or upper_nm is None:
            raise OptionError(
                "lower_nm and upper_nm are needed: Micro-Manager does not tell the limits of "
                f"{device}; give those between which it may move safely"
            )
        if not lower_nm < upper_nm:
            raise OptionError(f"lower_nm = {lower_nm:g} must be less than upper_nm = {upper_nm:g}")
        self._axis = Axis(
            "nm", float(lower_nm), float(upper_nm), resolution_nm, max_speed_nm_per_s, can_home
        )

    @property
    def axis(self) -> Axis:
        """The range given by the options."""
        return self._axis

    @property
    def is_moving(self) -> bool:
        """Whether the device says that it is busy."""
        core = self._core
        with translated("asking whether the stage moves"):
            return core.deviceBusy(self._label)

    def read_position(self) -> float:
        """Ask the device where it is, in nm."""
        core = self._core
        with translated("reading the position"):
            return core.getPosition(self._label) * _NM_PER_UM

    def begin_move(self, target: float) -> None:
        """Start a movement to `target` nm and return at once."""
        core = self._core
        with translated(f"moving to {target:g} nm"):
            core.setPosition(self._label, target / _NM_PER_UM)

    def halt(self) -> None:
        """Stop, where the device can; a stage that can not and stands is left alone.

        Raises:
            UnsupportedError: The stage moves, and its adapter can not stop it.
        """
        core = self._core
        try:
            with translated("stopping the stage"):
                core.stop(self._label)
        except UnsupportedError:
            if self.is_moving:
                raise

    def begin_home(self) -> None:
        """Start the search for the home position.

        Raises:
            UnsupportedError: The option `can_home` is not set, or the device has no home.
        """
        core = self._core
        if not self._axis.can_home:
            raise UnsupportedError(f"{self._device} has no home position (option can_home)")
        with translated("homing the stage"):
            core.home(self._label)

    def _set_up(self, core: mm.CMMCore) -> None:  # noqa: ARG002
        self._target = None  # it may have been moved by hand since it was last open

    def _tear_down(self, core: mm.CMMCore) -> None:
        core.stop(self._label)


class MicroManagerFocus(MicroManagerStage, FocusMotor):
    """A stage of Micro-Manager that moves the focal plane; without options the demonstration one.

    Its options are those of `MicroManagerStage`.
    """

    driver = "micromanager.focus"
