"""Where a device stands while it is checked: its clock, its calls, and ways to wait for it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any, TypeVar, cast

from hal.camera import Camera
from hal.clock import NS_PER_S, Clock, MachineClock
from hal.device import Device, DeviceContext
from hal.errors import DriverError
from hal.motor import Motor
from hal.registry import create, load_driver
from hal.testing.checks import Check, CheckFailedError, NotApplicableError, expect
from hal.testing.clock import ManualClock
from hal.testing.watching import Calls, Watched

PATIENCE_S = 20.0
# Who has waited long already need not look as often.
_COARSER = 1 / 200
Found = TypeVar("Found")


@dataclass(frozen=True)
class Subject:
    """The driver that is checked.

    Attributes:
        name: What the rig file calls it, or `module:Class`.
        driver: Its class.
        make: Makes a device that is closed.
        has_own_time: Whether the device goes on by itself; if not, a manual clock moves it.
        seconds: How long sequences of calls may be drawn; None for 20 s, or for as long as it takes
            where no time has to pass.
        leave_alone: Names of settings that are never written.
        excused: Names of checks that mean nothing for this driver, with the reason.
        more: Checks of this driver beside those of its kind.
        standing: Where its device stands now, or stood last.
        is_over: Set when nothing more is to be asked of any device.
    """

    name: str
    driver: type[Device]
    make: Callable[[DeviceContext], Device]
    has_own_time: bool
    seconds: float | None = None
    leave_alone: frozenset[str] = frozenset()
    excused: Mapping[str, str] = field(default_factory=dict)
    more: tuple[Check, ...] = ()
    standing: "list[Stand]" = field(default_factory=list)
    is_over: Event = field(default_factory=Event)

    @classmethod
    def of(
        cls,
        driver: str | type[Device],
        options: Mapping[str, Any] | None = None,
        *,
        seconds: float | None = None,
        leave_alone: frozenset[str] = frozenset(),
    ) -> "Subject":
        """Return what is checked of a driver.

        Args:
            driver: A registered name, `package.module:Class`, or a class.
            options: Keyword arguments of its constructor.
            seconds: How long sequences of calls may be drawn; see above.
            leave_alone: Names of settings that are never written.

        Raises:
            DriverError: There is no such driver, it is no device, or it does not take the options.
        """
        options = dict(options or {})
        name = driver if isinstance(driver, str) else f"{driver.__module__}:{driver.__qualname__}"
        kind = load_driver(driver) if isinstance(driver, str) else driver
        if not issubclass(kind, Device):
            raise DriverError(
                f"driver {name!r} is no device: derive it from hal.Camera, hal.LinearMotor, "
                "hal.RotaryMotor or hal.FocusMotor"
            )

        def make(context: DeviceContext) -> Device:
            if isinstance(driver, str):
                return create(driver, options, context)
            device = kind(**options)
            device.context = context
            return device

        device = make(DeviceContext.standalone(kind))
        return cls(name, kind, make, lives_by_itself(device), seconds, leave_alone)

    @property
    def kind(self) -> str:
        """`camera`, `motor` or `device`."""
        if issubclass(self.driver, Camera):
            return "camera"
        return "motor" if issubclass(self.driver, Motor) else "device"

    def let_go(self) -> None:
        """Close the device that stands there, if it can be: a motor must not go on alone."""
        self.is_over.set()
        for stand in self.standing:
            with suppress(Exception):  # there is nobody left to tell
                stand.itself.close()

    @contextmanager
    def stand(self) -> Iterator["Stand"]:
        """Make a device, and close it afterwards.

        Raises:
            CheckFailedError: A check failed, or the device raised what was not expected; with the
                calls that led there.
        """
        clock: Clock = MachineClock() if self.has_own_time else ManualClock()
        context = DeviceContext.standalone(self.driver, clock=clock, seed=3)
        stand = Stand(self, self.make(context), clock)
        self.standing[:] = [stand]
        try:
            yield stand
            if not self.is_over.is_set():
                stand.device.close()
        except NotApplicableError:
            stand.device.close()
            raise
        except (Exception, SystemExit) as error:
            failed = stand.failed(error)
            with suppress(Exception):  # what went wrong first is what matters
                stand.device.close()
            raise failed from error


class Stand:
    """A device under test.

    Attributes:
        subject: The driver.
        itself: The device.
        device: The device, whose calls are written down.
        clock: Its clock.
        calls: What was asked of it.
    """

    def __init__(self, subject: Subject, device: Device, clock: Clock) -> None:
        self.subject, self.itself, self.clock = subject, device, clock
        self.calls = Calls(subject.is_over)
        self.device = cast("Device", Watched(device, self.calls, subject.kind))

    @property
    def camera(self) -> Camera:
        """The device as a camera."""
        return cast("Camera", self.device)

    @property
    def motor(self) -> Motor:
        """The device as a motor."""
        return cast("Motor", self.device)

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        self.calls.add(f"clock.sleep_s({seconds:.6g})")
        self.clock.sleep_s(seconds)

    def until(
        self,
        condition: Callable[[], Found],
        expected: str,
        *,
        pause_s: float = 0.001,
        patience_s: float = PATIENCE_S,
    ) -> Found:
        """Wait until a condition holds and return what it gave.

        Raises:
            CheckFailedError: It does not within `patience_s` of the device's clock.
        """
        began_ns = self.clock.monotonic_ns()
        while not (found := condition()):
            waited_s = (self.clock.monotonic_ns() - began_ns) / NS_PER_S
            in_time = waited_s < patience_s
            expect(in_time, f"{expected} within {patience_s:g} s", "it has not come to that")
            self.clock.sleep_s(max(pause_s, waited_s * _COARSER))
        return found

    def failed(self, error: BaseException) -> CheckFailedError:
        """Return an error as one of a check, with the calls that led to it."""
        if isinstance(error, CheckFailedError):
            error.calls = error.calls or self.calls.lines()
            return error
        expected = "no error, or a DeviceError where the contract names one"
        return CheckFailedError(
            expected,
            f"{type(error).__name__}: {' '.join(str(error).split())}",
            self.calls.lines(),
            is_final=self.calls.last == "open" and not self.itself.is_open,
        )


def lives_by_itself(device: Device) -> bool:
    """Return whether a device goes on while its context's clock stands still."""
    if type(device).has_own_time:
        return True
    with suppress(Exception):  # who it is need not be known before it is open
        return device.identity.is_real
    return False
