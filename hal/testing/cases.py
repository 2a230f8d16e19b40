"""The checks as classes for a driver author's own pytest."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, ClassVar

from hal.device import Device
from hal.testing.catalogue import CHECKS
from hal.testing.checks import Check, NotApplicableError
from hal.testing.stand import Subject


class DeviceTests:
    """Checks of a driver, one test method each; derive from `CameraTests` or `MotorTests`.

    A check that means nothing for the device, as one of settings where there are none, passes.

    Attributes:
        driver: A registered name, `package.module:Class`, or the class itself.
        options: Keyword arguments of its constructor.
        seconds: How long sequences of calls may be drawn; see `Subject`.
        leave_alone: Names of settings that are never written.
    """

    driver: str | type[Device] = ""
    options: Mapping[str, Any] = MappingProxyType({})
    seconds: float | None = None
    leave_alone: frozenset[str] = frozenset()
    kind: ClassVar[str] = "device"

    def subject(self) -> Subject:
        """Return the driver that is checked."""
        subject = Subject.of(
            self.driver, self.options, seconds=self.seconds, leave_alone=self.leave_alone
        )
        assert subject.kind == self.kind, f"{subject.name} is a {subject.kind}, no {self.kind}"
        return subject


class CameraTests(DeviceTests):
    """What every camera does.

    In a test module of yours::

    from hal.testing import CameraTests

    class TestMyCamera(CameraTests):
        driver = "mylab.camera:MyCamera"
        options = {"port": "COM3"}
    """

    kind = "camera"


class MotorTests(DeviceTests):
    """What every motor does; it is moved over its whole axis. See `CameraTests`."""

    kind = "motor"


def _as_test(check: Check) -> Callable[[DeviceTests], None]:
    def test(self: DeviceTests) -> None:
        with suppress(NotApplicableError):  # there is nothing that could be wrong
            check.run(self.subject())

    test.__name__ = f"test_{check.name.replace('-', '_')}"
    test.__doc__ = f"{check.says}."
    return test


for _kind in (CameraTests, MotorTests):
    for _check in CHECKS[_kind.kind]:
        _test = _as_test(_check)
        setattr(_kind, _test.__name__, _test)
