"""Drivers as the conformance kit checks them: those of `hal`, and those written for MagScope."""

from collections.abc import Mapping
from typing import Any

from hal.clock import NS_PER_S
from hal.device import Device, DeviceContext
from hal.errors import OptionError
from hal.registry import check_options, load_driver
from hal.testing import Subject
from hal.testing.checks import Check, check, expect
from hal.testing.stand import Stand
from magscope.adapters import AdaptedCamera, AdaptedFocus, AdaptedHardware
from magscope.feeds import CameraBase
from magscope.hardware import FocusMotorBase, HardwareManagerBase
from magscope.singletons import forget_singletons

_UNNUMBERED = "a CameraBase does not number its frames"
_NEAR_S = 10.0


@check
def writes_rows_of_its_shape(stand: Stand) -> None:
    """A reading is rows with the columns of its buffer, the first the Unix time in s."""
    stand.device.open()
    device = stand.itself
    assert isinstance(device, AdaptedHardware)
    rows = device.read_rows()
    expect(len(rows) > 0, "fetch to write a row into the buffer", f"{len(rows)} rows")
    off_s = stand.clock.now_ns() / NS_PER_S - rows[-1, 0]
    wanted = "the Unix time in s in the first column"
    expect(abs(off_s) < _NEAR_S, wanted, f"{rows[-1, 0]:.16g}, {off_s:g} s before now")


def subject_of(
    driver: str,
    options: Mapping[str, Any] | None = None,
    *,
    seconds: float | None = None,
    leave_alone: frozenset[str] = frozenset(),
) -> Subject:
    """Return what is checked of a driver, whatever it was written for.

    Args:
        driver: A registered name, or `package.module:Class`.
        options: Keyword arguments of its constructor.
        seconds: How long sequences of calls may be drawn; see `Subject`.
        leave_alone: Names of settings that are never written.

    Raises:
        DriverError: There is no such driver, it is no device, or it does not take the options.
    """
    kind: type = load_driver(driver)
    if not issubclass(kind, (CameraBase, HardwareManagerBase)):
        return Subject.of(driver, options, seconds=seconds, leave_alone=leave_alone)
    options = dict(options or {})
    check_options(driver, kind, options)
    excused: dict[str, str] = {}
    more: tuple[Check, ...] = ()
    adapted: type[Device]
    if issubclass(kind, CameraBase):
        adapted, excused = AdaptedCamera, {"losses-show-as-gaps": _UNNUMBERED}

        def make(_: DeviceContext) -> Device:
            return AdaptedCamera(lambda: kind(**options), driver)

    else:
        manager = _manager(driver, kind, options)
        adapted = AdaptedFocus if isinstance(manager, FocusMotorBase) else AdaptedHardware
        more = (writes_rows_of_its_shape,)

        def make(_: DeviceContext) -> Device:
            if isinstance(manager, FocusMotorBase):
                return AdaptedFocus(manager, driver)
            return AdaptedHardware(manager, driver)

    return Subject(driver, adapted, make, True, seconds, leave_alone, excused, more)


def _manager(
    driver: str, kind: type[HardwareManagerBase], options: Mapping[str, Any]
) -> HardwareManagerBase:
    try:
        manager = kind(**options)
    except (TypeError, ValueError) as error:
        raise OptionError(f"driver {driver!r}: {type(error).__name__}: {error}") from error
    forget_singletons([manager])  # it is no part of a system
    return manager
