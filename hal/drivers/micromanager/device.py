"""What Micro-Manager's cameras and stages share: loading, properties, and letting go."""

import importlib
import math
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pymmcore_nano as mm

from hal.device import Device, Identity, Setting, SettingValue
from hal.drivers.micromanager.errors import translated
from hal.errors import DisconnectedError, DriverError, OptionError, SettingError

# Adapters that Micro-Manager ships to be tried without hardware.
_WITHOUT_MATTER = frozenset({"DemoCamera", "NotificationTester", "SequenceTester"})

_KINDS = {mm.PropertyType.Integer: int, mm.PropertyType.Float: float}


class MicroManagerDevice(Device):
    """One device in a Micro-Manager core of its own.

    Every write is read back: Micro-Manager ignores many a refused value in silence.

    Args:
        adapter: The name of the device adapter, for example `"DemoCamera"`.
        device: The adapter's name for the device; with `configuration`, the label given there.
        adapter_path: The directory of the adapters; that of `mm-test-adapters` if None.
        configuration: A Micro-Manager configuration file (`.cfg`) that loads the device, with the
            hubs and serial ports that it needs, instead of `adapter`.
        properties: Values by the names of Micro-Manager, written before the device is used; those
            that have to be, before it is initialised.
    """

    driver: ClassVar[str]
    device_type: ClassVar[mm.DeviceType]
    hidden_properties: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        adapter: str,
        device: str,
        adapter_path: str | None = None,
        configuration: str | None = None,
        properties: Mapping[str, SettingValue] | None = None,
    ) -> None:
        self._adapter = adapter
        self._device = device
        self._adapter_path = adapter_path
        self._configuration = configuration
        self._properties = dict(properties or {})
        self._label = device if configuration else "device"
        self._loaded: mm.CMMCore | None = None

    @property
    def identity(self) -> Identity:
        """The adapter, the device, and the number that the device reports for itself."""
        serial = ""
        if self._loaded is not None and self._loaded.hasProperty(self._label, "CameraID"):
            serial = self._loaded.getProperty(self._label, "CameraID")
        return Identity(
            vendor=f"Micro-Manager {self._adapter}",
            model=self._device,
            serial=serial,
            driver=self.driver,
            is_real=self._adapter not in _WITHOUT_MATTER,
        )

    @property
    def is_open(self) -> bool:
        """Whether the device is loaded and initialised."""
        return self._loaded is not None

    def open(self) -> None:
        """Load and initialise the device in a core of its own, and write the options to it."""
        if self._loaded is not None:
            return
        core = mm.CMMCore()
        core.enableStderrLog(False)
        try:
            self._load(core)
            self._loaded = core
            self._set_up(core)
        except BaseException:
            self._loaded = None
            with suppress(mm.CMMError):
                core.unloadAllDevices()
            raise

    def close(self) -> None:
        """Stop the device and unload it."""
        core, self._loaded = self._loaded, None
        if core is not None:
            with suppress(mm.CMMError):
                self._tear_down(core)
            with suppress(mm.CMMError):
                core.unloadAllDevices()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every property of the device, by the name that Micro-Manager gives to it."""
        return self._property_settings(self._core)

    def get(self, name: str) -> SettingValue:
        """Return a property as the device has it."""
        return self._read(self._core, self.setting(name))

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Write a property and return what the device took.

        Raises:
            SettingError: The name is unknown, the value outside the limits or the choices, or the
                device ignored it.
        """
        setting = self.setting(name)
        return self._write(self._core, setting, setting.check(value))

    @property
    def _core(self) -> mm.CMMCore:
        if self._loaded is None:
            raise DisconnectedError(f"{self.driver} {self._device!r} is not open: open it first")
        return self._loaded

    @abstractmethod
    def _set_up(self, core: mm.CMMCore) -> None:
        """Write the options to the device that was just initialised."""

    @abstractmethod
    def _tear_down(self, core: mm.CMMCore) -> None:
        """Stop what the device does, before it is unloaded."""

    def _load(self, core: mm.CMMCore) -> None:
        path = self._adapter_path or default_adapter_path()
        if not Path(path).is_dir():
            raise OptionError(
                f"adapter_path = {path!r}: no such directory; "
                "give the one that holds Micro-Manager's device adapters"
            )
        core.setDeviceAdapterSearchPaths([path])
        if self._configuration:
            self._load_configuration(core, self._configuration)
        else:
            self._load_one(core, path)
        found = core.getDeviceType(self._label)
        if found is not self.device_type:
            raise OptionError(
                f"device = {self._device!r} is a {found.name}; "
                f"{self.driver} needs a {self.device_type.name}"
            )
        for name, value in self._properties.items():
            self._require_property(core, name)
            if self._configuration or not self._is_pre_init(core, name):
                self._write_named(core, name, value)

    def _load_one(self, core: mm.CMMCore, path: str) -> None:
        adapters = core.getDeviceAdapterNames()
        if self._adapter not in adapters:
            raise OptionError(
                f"adapter = {self._adapter!r}: choose one of {', '.join(sorted(adapters))} "
                f"(the adapters in {path})"
            )
        try:
            devices = core.getAvailableDevices(self._adapter)
        except mm.CMMError as error:
            raise DriverError(
                f"adapter {self._adapter!r} in {path} can not be loaded; it must be built for "
                f"device interface {mm.DEVICE_INTERFACE_VERSION}: {' '.join(str(error).split())}"
            ) from error
        if self._device not in devices:
            raise OptionError(f"device = {self._device!r}: choose one of {', '.join(devices)}")
        with translated(f"loading {self._device}"):
            core.loadDevice(self._label, self._adapter, self._device)
            for name, value in self._properties.items():
                # Before it is initialised a device need not list all of its properties.
                if core.hasProperty(self._label, name) and self._is_pre_init(core, name):
                    self._write_named(core, name, value)
            core.initializeDevice(self._label)

    def _load_configuration(self, core: mm.CMMCore, configuration: str) -> None:
        if not Path(configuration).is_file():
            raise OptionError(f"configuration = {configuration!r}: no such file")
        with translated(f"loading {configuration}"):
            core.loadSystemConfiguration(configuration)
        if self._label not in core.getLoadedDevices():
            labels = ", ".join(core.getLoadedDevicesOfType(self.device_type)) or "none"
            raise OptionError(
                f"device = {self._label!r} is not in {configuration}; choose: {labels}"
            )
        self._adapter = core.getDeviceLibrary(self._label)

    def _property_settings(self, core: mm.CMMCore) -> tuple[Setting, ...]:
        names = core.getDevicePropertyNames(self._label)
        return tuple(self._describe(core, n) for n in names if n not in self.hidden_properties)

    def _require_property(self, core: mm.CMMCore, name: str) -> None:
        if not core.hasProperty(self._label, name):
            names = ", ".join(core.getDevicePropertyNames(self._label))
            raise SettingError(f"properties: no property {name!r}; {self._device} has: {names}")

    def _is_pre_init(self, core: mm.CMMCore, name: str) -> bool:
        return core.isPropertyPreInit(self._label, name)

    def _write_named(self, core: mm.CMMCore, name: str, value: SettingValue) -> SettingValue:
        self._require_property(core, name)
        setting = self._describe(core, name)
        return self._write(core, setting, setting.check(value))

    def _describe(self, core: mm.CMMCore, name: str) -> Setting:
        kind = _KINDS.get(core.getPropertyType(self._label, name), str)
        lower = upper = None
        if core.hasPropertyLimits(self._label, name):
            lower = core.getPropertyLowerLimit(self._label, name)
            upper = core.getPropertyUpperLimit(self._label, name)
        ready = core.getDeviceInitializationState(self._label)
        is_fixed = (
            ready is mm.DeviceInitializationState.InitializedSuccessfully
            and self._is_pre_init(core, name)
        )
        return Setting(
            name,
            kind,
            lower=lower,
            upper=upper,
            choices=tuple(sorted(map(kind, core.getAllowedPropertyValues(self._label, name)))),
            is_read_only=is_fixed or core.isPropertyReadOnly(self._label, name),
        )

    def _read(self, core: mm.CMMCore, setting: Setting) -> SettingValue:
        with translated(f"reading {setting.name}"):
            text = core.getProperty(self._label, setting.name)
        value: SettingValue = setting.kind(text)
        return value

    def _write(self, core: mm.CMMCore, setting: Setting, asked: SettingValue) -> SettingValue:
        before = self._read(core, setting)
        with translated(f"setting {setting.name} to {asked!r}"):
            core.setProperty(self._label, setting.name, str(asked))
        taken = self._read(core, setting)
        refuse_if_ignored(setting.name, before, asked, taken)
        return taken


def refuse_if_ignored(
    name: str, before: SettingValue, asked: SettingValue, taken: SettingValue
) -> None:
    """Raise SettingError unless a device took a value, or a number near to it that it can do."""
    if taken == asked:
        return
    if isinstance(asked, (int, float)) and isinstance(taken, (int, float)):
        # Micro-Manager writes four decimals.
        is_near = math.isclose(taken, asked, rel_tol=1e-3, abs_tol=1e-4)
        if is_near or taken != before:
            return
    raise SettingError(f"{name} = {asked!r}: the device ignored it and has {taken!r}")


def default_adapter_path() -> str:
    """Return where `mm-test-adapters` keeps its adapters."""
    try:
        package = importlib.import_module("mm_test_adapters")
    except ImportError:
        raise OptionError(
            "adapter_path is needed: the directory that holds Micro-Manager's device adapters"
        ) from None
    path: str = package.device_adapter_path()
    return path
