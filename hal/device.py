"""What every device has: an identity, settings, a way to be opened and closed, and a context."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from hal.clock import Clock, MachineClock
from hal.errors import SettingError, UnsupportedError
from hal.support import Support

SettingValue = int | float | bool | str


@dataclass(frozen=True)
class Identity:
    """Who a device is; written into the manifest of every recording.

    Attributes:
        vendor: The maker's name.
        model: The maker's name for this kind of device.
        serial: The maker's number of this very device; empty where it has none.
        driver: The name that the rig file gives to the driver.
        is_real: Whether there is matter behind it; False for a simulated or replayed device.
    """

    vendor: str
    model: str
    serial: str
    driver: str
    is_real: bool


@dataclass(frozen=True)
class Setting:
    """One setting of a device: its name (which ends in its unit), type and limits.

    Attributes:
        name: For example `exposure_us` or `framerate_hz`.
        kind: `int`, `float`, `bool` or `str`.
        unit: The unit in words, empty for a number without one.
        lower: Smallest value, or None.
        upper: Largest value, or None.
        choices: The values allowed, where they are few.
        is_read_only: Whether the device only reports it.
    """

    name: str
    kind: type
    unit: str = ""
    lower: float | None = None
    upper: float | None = None
    choices: tuple[SettingValue, ...] = ()
    is_read_only: bool = False

    def check(self, value: SettingValue) -> SettingValue:
        """Return `value` as this setting's type.

        Raises:
            SettingError: The setting is read-only, or the value is of the wrong type, outside the
                limits, or not one of the choices.
        """
        if self.is_read_only:
            raise SettingError(f"{self.name} is read-only: the device only reports it")
        converted = self._convert(value)
        if self.choices and converted not in self.choices:
            raise SettingError(f"{self.name} = {value!r}: choose one of {list(self.choices)}")
        if isinstance(converted, (int, float)) and not isinstance(converted, bool):
            low = -float("inf") if self.lower is None else self.lower
            high = float("inf") if self.upper is None else self.upper
            if not low <= converted <= high:
                raise SettingError(
                    f"{self.name} = {value!r} {self.unit}".rstrip()
                    + f": must lie between {low:g} and {high:g}"
                )
        return converted

    def _convert(self, value: SettingValue) -> SettingValue:
        try:
            if self.kind is bool:
                converted = {"true": True, "false": False, "1": True, "0": False}[
                    str(value).lower()
                ]
            else:
                converted = self.kind(value)
        except (TypeError, ValueError, KeyError, OverflowError):
            raise SettingError(f"{self.name} = {value!r}: expected {self.kind.__name__}") from None
        if self.kind is int and not isinstance(value, str) and converted != value:
            raise SettingError(f"{self.name} = {value!r}: expected a whole number")
        return converted


def _no_shared_memory(name: str) -> memoryview:
    raise UnsupportedError(f"no shared memory {name!r}: the driver did not declare it")


@dataclass(frozen=True)
class DeviceContext:
    """What a device is given by the system that it is part of.

    Attributes:
        clock: Where it reads the time.
        seed: The session's seed: all that a device draws at random follows from it.
        shared: Returns the zeroed memory of this name, the same for every device of the session.
            A driver class names what it needs, with sizes in bytes, in `Device.shared_memory`.
        warn: Tells the people at the rig something that is no failure.
        directory: Where a relative path in the options begins: the rig file's directory. None for
            the current one.
    """

    clock: Clock = field(default_factory=MachineClock)
    seed: int = 0
    shared: Callable[[str], memoryview] = _no_shared_memory
    warn: Callable[[str], None] = logging.getLogger("hal").warning
    directory: Path | None = None

    @classmethod
    def standalone(
        cls, *drivers: "type[Device]", clock: Clock | None = None, seed: int = 0
    ) -> "DeviceContext":
        """Return a context for devices of one process, as in a notebook or a test.

        Args:
            drivers: The classes whose shared memory it must offer.
            clock: Where the devices read the time; the machine's clock if None.
            seed: What all that they draw at random follows from.
        """
        memory = {
            name: memoryview(bytearray(size))
            for driver in drivers
            for name, size in driver.shared_memory.items()
        }
        return cls(clock=clock or MachineClock(), seed=seed, shared=memory.__getitem__)


class Device(ABC):
    """A camera or a motor. One plain class is one device; its options are its constructor's.

    One and the same thread makes all calls but the constructor's, and it need not be the main one.

    The constructor only stores its options. `open` connects, `close` lets go: both may be called
    any number of times, and `close` never raises because the device is already gone.

    Attributes:
        shared_memory: Names and sizes in bytes of the memory that the driver shares with the other
            devices of its session; see `DeviceContext.shared`.
        has_own_time: Whether it goes on by itself, as a machine does. A device of software alone,
            which knows no time but its context's clock, says False: nobody has to wait for it.
        support: The devices that it is for, what it needs, and what it was tried on; a driver
            that comes with this project says so.
        context: Set before `open` by whoever builds the device.
    """

    support: ClassVar[Support | None] = None
    shared_memory: ClassVar[Mapping[str, int]] = {}
    has_own_time: ClassVar[bool] = True
    context: DeviceContext = DeviceContext()

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Who this is; complete once the device is open."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether the device is connected and can be used."""

    @abstractmethod
    def open(self) -> None:
        """Connect to the device; does nothing when it is open."""

    @abstractmethod
    def close(self) -> None:
        """Stop what the device does and let go of it; does nothing when it is closed."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings of the open device."""
        return ()

    def get(self, name: str) -> SettingValue:
        """Return a setting's value as the device has it."""
        self.setting(name)
        raise UnsupportedError(f"{type(self).__name__} lists {name!r} but does not read it")

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting and return the value that the device took, read back from it."""
        self.setting(name).check(value)
        raise UnsupportedError(f"{type(self).__name__} lists {name!r} but does not write it")

    def setting(self, name: str) -> Setting:
        """Return the description of a setting.

        Raises:
            SettingError: There is no setting of this name.
        """
        for setting in self.settings:
            if setting.name == name:
                return setting
        names = ", ".join(s.name for s in self.settings) or "none"
        raise SettingError(f"no setting {name!r}; this device has: {names}")

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
