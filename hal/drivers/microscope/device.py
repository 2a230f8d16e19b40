"""What the library's cameras and stages share: making one, its settings, and letting go of it."""

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

import microscope.abc

from hal.device import Device, Identity, Setting, SettingValue
from hal.drivers.microscope.errand import Errand
from hal.drivers.microscope.errors import Overheard, translated
from hal.drivers.microscope.making import class_at, made, member_of, shut_down
from hal.drivers.microscope.panel import Panel
from hal.drivers.port import checked_timeout_s
from hal.errors import DeviceError, DisconnectedError, OptionError

_WITHOUT_MATTER = ("microscope.simulators", "microscope.testsuite")


class MicroscopeDevice(Device):
    """One device of python-microscope, made anew each time that it is opened.

    The library's devices can not be used again once they were shut down.

    Args:
        device: The class, `package.module:Class`, of the library or of any other package; a
            controller's with `member`.
        options: Keywords of its constructor. A table of `lower` and `upper` becomes the library's
            AxisLimits, one of `left`, `top`, `width` and `height` an ROI, one of `h` and `v` a
            Binning.
        member: The controller's name for the device, as `"1"`; empty without a controller.
        properties: Values by the library's names of settings, written when the device is opened:
            what shall be different from the start, what changes the shape of frames, and what can
            only be written, which is given as the library wants it.
        timeout_s: How long the device may take for what should take no time.
    """

    driver: ClassVar[str]
    wanted: ClassVar[tuple[type, ...]]
    hidden_settings: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        device: str | type,
        *,
        options: Mapping[str, Any] | None,
        member: str,
        properties: Mapping[str, Any] | None,
        timeout_s: float,
    ) -> None:
        if isinstance(device, str) and not all(device.partition(":")):
            raise OptionError(
                f"device = {device!r}: expected package.module:Class, as "
                "microscope.simulators:SimulatedCamera"
            )
        self._kind = device
        self._name = device if isinstance(device, str) else f"{device.__module__}:{device.__name__}"
        self._options, self._properties = dict(options or {}), dict(properties or {})
        self._member = member
        self._timeout_s = checked_timeout_s(timeout_s)
        self._root: Any = None
        self._made: Any = None
        self._panel = Panel(None, frozenset(), self.context.warn)
        self._serial, self._is_real = "", True

    @property
    def identity(self) -> Identity:
        """The module and class of the device, and the number that it tells, if it does."""
        module, _, model = self._name.partition(":")
        if self._member:
            model = f"{model} {self._member}"
        vendor = f"python-microscope {module}"
        return Identity(vendor, model, self._serial, self.driver, self._is_real)

    @property
    def is_open(self) -> bool:
        """Whether the device was made and not shut down."""
        return self._made is not None

    def open(self) -> None:
        """Make the device, which connects it, and write the properties to it.

        Raises:
            OptionError: There is no such class, it is none that this driver can use, or it does not
                take the options.
            DeviceError: It can not be connected; the class says why.
        """
        if self._made is not None:
            return
        self._root = made(class_at(self._kind), self._options)
        try:
            device = member_of(self._root, self._member, self._name)
            self._require_kind(device)
            self._made = device
            self._learn(device)
            self._panel = Panel(device, self.hidden_settings, self.context.warn)
            self._panel.write_all(self._properties)
            self._set_up(device)
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Stop the device and shut it down; what takes longer than `timeout_s` goes on alone."""
        if self._made is not None:
            self._let_go()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every setting that the device can tell, by the library's names."""
        self._device  # noqa: B018  raises when closed
        return tuple(self._panel.setting(name) for name in self._panel.names)

    def setting(self, name: str) -> Setting:
        """Return the description of a setting, without asking for all of them.

        Raises:
            SettingError: There is no setting of this name.
        """
        if self._made is not None and name in self._panel.names:
            return self._panel.setting(name)
        return super().setting(name)

    def get(self, name: str) -> SettingValue:
        """Return a setting as the device has it."""
        self._device  # noqa: B018  raises when closed
        self.setting(name)
        return self._panel.read(name)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Write a setting and return what the device took.

        Raises:
            SettingError: The name is unknown, the value is refused, or the device has another one
                afterwards; it is then put back.
        """
        self._device  # noqa: B018  raises when closed
        self.setting(name)
        return self._panel.write(name, value)

    @property
    def _device(self) -> Any:
        if self._made is None:
            raise DisconnectedError(f"{self.driver} {self._name} is not open: open it first")
        return self._made

    @abstractmethod
    def _set_up(self, device: Any) -> None:
        """Make the device that was just connected ready for use."""

    @abstractmethod
    def _tear_down(self, device: Any) -> None:
        """Stop what the device does, before it is shut down."""

    def _last_errand(self, device: Any, root: Any) -> Callable[[], None]:  # noqa: ARG002
        """Return what shuts the device down; it is done in a thread, however long it takes."""
        return lambda: shut_down(root)

    def _require_kind(self, device: Any) -> None:
        if not isinstance(device, self.wanted):
            kinds = " or a ".join(f"microscope.abc.{kind.__name__}" for kind in self.wanted)
            raise OptionError(
                f"device = {self._name!r} is a {type(device).__name__}: {self.driver} needs a "
                f"{kinds}"
            )

    def _learn(self, device: Any) -> None:
        """Find out who the device is."""
        modules = [base.__module__ for base in type(device).__mro__]
        self._is_real = not any(module.startswith(_WITHOUT_MATTER) for module in modules)
        self._serial = ""
        if isinstance(device, microscope.abc.FloatingDeviceMixin):
            with suppress(Exception):  # it does without a number
                self._serial = str(device.get_id())

    def _let_go(self) -> None:
        device, root = self._made, self._root
        try:
            if device is not None:
                self._tear_down(device)
        except DeviceError as error:
            self.context.warn(f"{self._name} could not be stopped before it was closed: {error}")
        finally:
            self._made = self._root = None
        errand = Errand(self._last_errand(device, root), f"shutting down {self._name}")
        try:
            if not errand.wait(self._timeout_s):
                self.context.warn(
                    f"{self._name} has not shut down within {self._timeout_s:g} s: it goes on alone"
                )
        except DeviceError as error:
            self.context.warn(str(error))

    def _enable(self, device: Any) -> None:
        """Enable a device; of a stage the library keeps it to itself if that fails.

        Raises:
            DeviceError: It is not enabled afterwards.
        """
        doing = f"enabling {self._name}"
        heard = Overheard()
        heard.threads.add(threading.get_ident())
        with translated(doing):
            if isinstance(device, microscope.abc.DataDevice):
                device.enable()
            else:
                with heard.closely():
                    device.enable()
            says = device.get_is_enabled()
            if says or says is None:  # None: its class does not say
                return
            for error in heard.everywhere():
                raise error
        raise DeviceError(f"{doing}: it says that it is not enabled, and not why: see its log")
