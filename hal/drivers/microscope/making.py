"""Making a device of python-microscope from what a rig file says, and unmaking it."""

import importlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import microscope
import microscope.abc

from hal.drivers.microscope.errors import in_a_line, translated
from hal.errors import MissingExtraError, OptionError

_TUPLES = (microscope.AxisLimits, microscope.ROI, microscope.Binning)


def class_at(target: str | type) -> type:
    """Return the class that `package.module:Class` names, or the one given.

    Raises:
        OptionError: There is no such module, or no such class in it.
        MissingExtraError: A package that the module needs is not installed.
        DeviceError: The module fails to import, as where a vendor's library is missing.
    """
    if isinstance(target, type):
        return target
    module, _, name = target.partition(":")
    try:
        with translated(f"device = {target!r}: importing {module}"):
            found = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        absent = getattr(error.__cause__, "name", None) or "?"
        if not isinstance(error.__cause__, ModuleNotFoundError):
            raise
        if module == absent or module.startswith(absent + "."):
            raise OptionError(f"device = {target!r}: there is no module {absent!r}") from error
        raise MissingExtraError(f"device = {target!r} needs {absent!r}: install it") from error
    if not isinstance(found, type):
        raise OptionError(f"device = {target!r}: {module} has no class {name!r}")
    return found


def made(kind: Any, options: Mapping[str, Any]) -> Any:
    """Make a device, which connects it.

    Raises:
        OptionError: Its constructor does not take the options.
        DeviceError: It can not be connected.
    """
    keywords = {name: _argument(value) for name, value in options.items()}
    doing = f"making {kind.__name__}"
    with translated(doing, OptionError):
        # In two steps, so that one whose constructor fails half-way can be let go of.
        takes_none = kind.__new__ is object.__new__
        device = kind.__new__(kind) if takes_none else kind.__new__(kind, **keywords)
    try:
        with translated(doing, OptionError):
            type(device).__init__(device, **keywords)
    except BaseException:
        if isinstance(device, microscope.abc.Device):
            with suppress(Exception):  # it may lack all that this needs
                device._do_shutdown()  # noqa: SLF001 - `shutdown` would log what is missing
            disarm(device)
        raise
    return device


def member_of(root: Any, member: str, name: str) -> Any:
    """Return a controller's device, or the device itself where there is no controller.

    Raises:
        OptionError: There is no such device, or it is not said which one.
    """
    if not isinstance(root, microscope.abc.Controller):
        if member:
            raise OptionError(f"member = {member!r}: {name} is no controller: leave member out")
        return root
    with translated(f"asking {name} for its devices"):
        devices = root.devices
    if member not in devices:
        known = ", ".join(map(repr, devices)) or "none"
        raise OptionError(f"member = {member!r}: the controller {name} has {known}")
    return devices[member]


def shut_down(root: Any) -> None:
    """Shut a device down, for good: the library itself would do it again, and once more at the end.

    Raises:
        Exception: Whatever the device raises.
    """
    if not isinstance(root, microscope.abc.Device):
        return
    try:
        root.shutdown()
    finally:
        if isinstance(root, microscope.abc.Controller):
            for device in root.devices.values():
                disarm(device)
        disarm(root)


def disarm(device: Any) -> None:
    """Keep a device from being shut down when it is deleted: it was, or it never worked."""
    for name in ("disable", "shutdown"):
        with suppress(AttributeError):
            setattr(device, name, _nothing)


def _nothing() -> None:
    """Do nothing."""


def _argument(value: Any) -> Any:
    """Return a value from a rig file as the library wants it, which knows no tables."""
    if not isinstance(value, Mapping):
        return value
    for kind in _TUPLES:
        if set(value) == set(kind._fields):
            try:
                return kind(**value)
            except TypeError as error:  # pragma: no cover - the fields are the same
                raise OptionError(f"options: {in_a_line(error)}") from error
    return {name: _argument(one) for name, one in value.items()}
