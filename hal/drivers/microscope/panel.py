"""The settings of one device of python-microscope: all that it can tell, each write read back."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import microscope.abc

from hal.device import Setting, SettingValue
from hal.drivers.microscope.errors import translated
from hal.drivers.microscope.settings import Described, refuse_if_ignored
from hal.errors import DeviceError, OptionError, SettingError


class Panel:
    """The settings of a device that was made.

    Args:
        device: The library's device; what is none, as a bare axis, has no settings.
        hidden: Names of settings that the driver gives in another way.
        warn: Is told which settings can not be read, and why.

    Attributes:
        names: Names of the settings that the device can describe and tell.
    """

    def __init__(self, device: Any, hidden: frozenset[str], warn: Callable[[str], None]) -> None:
        self._device, self._hidden = device, hidden
        self.names: tuple[str, ...] = ()
        if not isinstance(device, microscope.abc.Device):
            return
        names, mute = [], []
        with translated("asking for the settings"):
            known = [name for name in device.get_all_settings() if name not in hidden]
        for name in known:
            try:
                self._read(self._described(name))
            except DeviceError as error:
                mute.append(f"{name} ({error})")
            else:
                names.append(name)
        if mute:
            warn(f"{type(device).__name__}: settings that can not be read: {'; '.join(mute)}")
        self.names = tuple(names)

    def setting(self, name: str) -> Setting:
        """Return the description of one of the settings."""
        return self._described(name).setting

    def read(self, name: str) -> SettingValue:
        """Return the value of one of the settings as the device has it."""
        return self._read(self._described(name))

    def write(self, name: str, value: SettingValue) -> SettingValue:
        """Write one of the settings and return what the device took.

        Raises:
            SettingError: The value is refused, or the device has another one afterwards; it is then
                put back.
        """
        described = self._described(name)
        asked = described.setting.check(value)
        before = self._read(described)
        wire = described.write(asked)
        try:
            with translated(f"setting {name} to {asked!r}", SettingError):
                self._device.set_setting(name, wire)
            taken = self._read(described)
            refuse_if_ignored(name, before, asked, taken)
        except DeviceError:
            self.put_back(name, before)
            raise
        return taken

    def put_back(self, name: str, value: SettingValue) -> None:
        """Write the value that a setting had, as well as that can be done."""
        with suppress(Exception):  # what was refused is what matters
            self._device.set_setting(name, self._described(name).write(value))

    def write_all(self, properties: Mapping[str, Any]) -> None:
        """Write values by the library's names, of settings that can only be written too.

        Raises:
            OptionError: A name is unknown, or stands for something that has an option of its own.
            SettingError: A value is refused.
        """
        for name, value in properties.items():
            if name in self.names:
                self.write(name, value)
            elif name in self._hidden:
                raise OptionError(f"properties: {name!r} has an option of its own: use that")
            elif not self._knows(name):
                known = ", ".join(self.names) or "none"
                raise OptionError(f"properties: no setting {name!r}; this device has: {known}")
            else:
                with translated(f"properties: setting {name!r} to {value!r}", SettingError):
                    self._device.set_setting(name, value)

    def _knows(self, name: str) -> bool:
        return isinstance(self._device, microscope.abc.Device) and (
            name in self._device.get_all_settings()
        )

    def _described(self, name: str) -> Described:
        with translated(f"reading {name}"):
            value = self._device.get_setting(name)
            return Described.of(name, self._device.describe_setting(name), value)

    def _read(self, described: Described) -> SettingValue:
        name = described.setting.name
        with translated(f"reading {name}"):
            return described.read(self._device.get_setting(name))
