"""What is the matter with a device, and what goes wrong with cameras and motors alike."""

from collections.abc import Callable
from typing import Any, TypeVar

from hal.device import Device, Identity, Setting, SettingValue
from hal.errors import DeviceTimeoutError, DisconnectedError, SettingError
from sim.faults import instruments
from sim.faults.instruments import DeviceFault

Kind = TypeVar("Kind", bound=DeviceFault)


class Trouble:
    """What is the matter with one device now.

    Args:
        wait: Lets the calling thread wait until what it is given is true; asked again whenever a
            fault is over.

    Attributes:
        has_device: Whether there is a device that asks.
    """

    def __init__(self, wait: Callable[[Callable[[], bool]], object]) -> None:
        self.has_device = False
        self._wait = wait
        self._now: dict[DeviceFault, None] = {}

    def begin(self, fault: DeviceFault) -> None:
        """A fault has struck."""
        self._now[fault] = None

    def end(self, fault: DeviceFault) -> None:
        """A fault is over."""
        self._now.pop(fault, None)

    def heal(self) -> None:
        """Every fault is over."""
        self._now.clear()

    def find(self, kind: type[Kind]) -> Kind | None:
        """Return a fault of this kind that there is."""
        for fault in self._now:
            if isinstance(fault, kind):
                return fault
        return None

    def take(self, kind: type[Kind]) -> Kind | None:
        """Return a fault of this kind, which is over with that."""
        fault = self.find(kind)
        if fault is not None:
            self.end(fault)
        return fault

    def wait_while(self, *kinds: type[DeviceFault]) -> None:
        """Wait until there is no fault of these kinds."""
        if any(isinstance(fault, kinds) for fault in self._now):
            self._wait(lambda: not any(isinstance(fault, kinds) for fault in self._now))


class FaultyDevice(Device):
    """What goes wrong with cameras and motors alike.

    Args:
        inner: The device.
        trouble: What is the matter with it.
        visit: Told of each operation by its site, before it is done.
    """

    def __init__(self, inner: Any, trouble: Trouble, visit: Callable[[str], None]) -> None:
        self._inner = inner
        self._trouble = trouble
        self._visit = visit
        self._is_lost = False
        self.context = inner.context
        trouble.has_device = True

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def identity(self) -> Identity:
        """Who the device is."""
        identity: Identity = self._inner.identity
        return identity

    @property
    def is_open(self) -> bool:
        """Whether the device is connected."""
        return bool(self._inner.is_open) and not self._is_gone()

    def open(self) -> None:
        """Connect; what was gone is there again if nothing is the matter with it any more."""
        self._visit("device.open")
        if self._is_lost:
            self._is_lost = False
            self._inner.close()
        self._answer()
        self._inner.open()

    def close(self) -> None:
        """Let go of the device."""
        self._return()
        self._inner.close()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings of the device."""
        settings: tuple[Setting, ...] = self._inner.settings
        return settings

    def get(self, name: str) -> SettingValue:
        """Return a setting's value."""
        self._answer()
        value: SettingValue = self._inner.get(name)
        return value

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting, unless the device refuses it."""
        self._visit("device.set")
        self._answer()
        if self._trouble.take(instruments.CameraRefuse):
            raise SettingError(f"{name} = {value!r}: the device refuses it")
        taken: SettingValue = self._inner.set(name, value)
        return taken

    def _is_gone(self) -> bool:
        gone = self._trouble.find(instruments.CameraDisconnect) or self._trouble.find(
            instruments.MotorDisconnect
        )
        self._is_lost = self._is_lost or gone is not None
        return self._is_lost

    def _return(self) -> None:
        """Let a call return: late, or never."""
        self._trouble.wait_while(instruments.CameraBlocks, instruments.MotorBlocks)

    def _answer(self) -> None:
        """Let the device answer: late, or not at all."""
        self._return()
        if self._is_gone():
            raise DisconnectedError(f"{self._inner.identity.model} is gone: connect it again")
        if slow := self._trouble.find(instruments.MotorSlow):
            self.context.clock.sleep_s(slow.late_s)
        if self._trouble.take(instruments.CameraTimeout):
            raise DeviceTimeoutError(f"{self._inner.identity.model} does not answer")
