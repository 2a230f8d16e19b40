"""The features that a GenICam device describes, as settings that are read back."""

import math
from typing import Any

from genicam import genapi

from hal.clock import NS_PER_S, Clock
from hal.device import Setting, SettingValue
from hal.drivers.genicam.errors import translated
from hal.errors import DeviceTimeoutError, SettingError

_KINDS = {
    genapi.EInterfaceType.intfIInteger: int,
    genapi.EInterfaceType.intfIFloat: float,
    genapi.EInterfaceType.intfIBoolean: bool,
    genapi.EInterfaceType.intfIEnumeration: str,
    genapi.EInterfaceType.intfIString: str,
    genapi.EInterfaceType.intfICommand: bool,
}
_READABLE = (genapi.EAccessMode.RO, genapi.EAccessMode.RW)
_WRITABLE = (genapi.EAccessMode.WO, genapi.EAccessMode.RW)
# What a node without limits of its own gives as its limits.
_NO_LIMIT = 2.0**62
_POLL_S = 0.001


class Features:
    """The features of a device, by the names that its maker and GenICam give to them.

    Args:
        node_map: The `genicam.genapi.NodeMap` of the device.
    """

    def __init__(self, node_map: Any) -> None:
        self._node_map = node_map

    def has(self, name: str) -> bool:
        """Return whether the device has a feature of this name that can be had as a value."""
        return self._can(name, _READABLE + _WRITABLE)

    def is_readable(self, name: str) -> bool:
        """Return whether a feature is there and has a value now."""
        return self._can(name, _READABLE) and not self.is_command(name)

    def is_writable(self, name: str) -> bool:
        """Return whether a feature is there and can be written now."""
        return self._can(name, _WRITABLE)

    def is_command(self, name: str) -> bool:
        """Return whether a feature is something to do, and no value."""
        kind = self._node(name).node.principal_interface_type
        return bool(kind == genapi.EInterfaceType.intfICommand)

    def choices(self, name: str) -> tuple[str, ...]:
        """Return the values that an enumeration may have now."""
        return tuple(map(str, self._node(name).symbolics))

    def step(self, name: str) -> int:
        """Return in what steps an integer can be written."""
        with translated(f"reading the steps of {name}"):
            return max(int(self._node(name).inc), 1)

    def describe(self, name: str, *, alias: str = "", unit: str = "") -> Setting:
        """Return a feature as a setting, with the limits that it has now.

        Args:
            name: Its name.
            alias: What to call it instead.
            unit: What its unit is, where the device may say otherwise or nothing.

        Raises:
            SettingError: The device has no such feature.
        """
        node = self._node(name)
        kind = _KINDS[node.node.principal_interface_type]
        lower = upper = None
        choices: tuple[str, ...] = ()
        with translated(f"reading the limits of {name}"):
            if kind in (int, float):
                unit = unit or str(node.unit)
                lower = float(node.min) if abs(node.min) < _NO_LIMIT else None
                upper = float(node.max) if abs(node.max) < _NO_LIMIT else None
            elif hasattr(node, "symbolics"):
                choices = tuple(map(str, node.symbolics))
            is_read_only = node.get_access_mode() not in _WRITABLE
        return Setting(
            alias or name, kind, unit, lower, upper, choices=choices, is_read_only=is_read_only
        )

    def read(self, name: str, *, from_device: bool = False) -> SettingValue:
        """Return a feature's value.

        Args:
            name: Its name.
            from_device: Ask the device even where its value is known.

        Raises:
            SettingError: There is no such feature, or it has no value.
            DeviceError: The device does not answer; the class says why.
        """
        node = self._node(name)
        if not self.is_readable(name):
            raise SettingError(f"{name} has no value to be read: it can only be written")
        with translated(f"reading {name}"):
            value = node.get_value(False, from_device) if from_device else node.value
        converted: SettingValue = _KINDS[node.node.principal_interface_type](value)
        return converted

    def write(self, name: str, value: SettingValue) -> SettingValue:
        """Write a feature and return the value that the device took.

        Args:
            name: Its name.
            value: Of the feature's type; see `describe`.

        Raises:
            SettingError: The device refuses the value, or ignores it.
            DeviceError: The device does not answer; the class says why.
        """
        node = self._node(name)
        can_be_read = self.is_readable(name)
        before = self.read(name) if can_be_read else None
        with translated(f"setting {name} to {value!r}{self._steps(node)}"):
            node.value = value
        if not can_be_read:
            return value
        taken = self.read(name)
        if taken == before and not _is_near(taken, value):
            raise SettingError(f"{name} = {value!r}: the device ignored it and has {taken!r}")
        return taken

    def begin(self, name: str) -> None:
        """Begin what a command says.

        Raises:
            DeviceError: The device has no such command, refuses, or does not answer.
        """
        node = self._node(name)
        with translated(f"executing {name}"):
            node.execute()

    def execute(self, name: str, clock: Clock, timeout_s: float) -> None:
        """Do what a command says, and wait until it is done.

        Raises:
            DeviceTimeoutError: It is not done in time.
            DeviceError: The device refuses, or does not answer.
        """
        node = self._node(name)
        deadline_ns = clock.monotonic_ns() + round(timeout_s * NS_PER_S)
        self.begin(name)
        with translated(f"executing {name}"):
            while not node.is_done():
                if clock.monotonic_ns() > deadline_ns:
                    raise DeviceTimeoutError(
                        f"{name} is not done after {timeout_s:g} s: give it longer with timeout_s"
                    )
                clock.sleep_s(_POLL_S)

    def _can(self, name: str, modes: tuple[Any, ...]) -> bool:
        with translated(f"asking for {name}"):
            if not self._node_map.has_node(name):
                return False
            node = self._node_map.get_node(name)
            kind = node.node.principal_interface_type
            return kind in _KINDS and node.get_access_mode() in modes

    def _node(self, name: str) -> Any:
        if not self.has(name):
            known = self._node_map.has_node(name)
            why = "is not available as the device is set up" if known else "is none of its features"
            raise SettingError(f"{name!r} {why}; its features are in its maker's manual")
        return self._node_map.get_node(name)

    @staticmethod
    def _steps(node: Any) -> str:
        """Return between which steps an integer must be, for the message of an error."""
        if node.node.principal_interface_type != genapi.EInterfaceType.intfIInteger:
            return ""
        return f" (from {node.min} to {node.max} in steps of {node.inc})"


def _is_near(taken: SettingValue, asked: SettingValue) -> bool:
    """Return whether a device has what was asked, or a number near to it that it can do."""
    if isinstance(taken, float) and isinstance(asked, (int, float)):
        return math.isclose(taken, asked, rel_tol=1e-2, abs_tol=1e-9)
    return taken == asked
