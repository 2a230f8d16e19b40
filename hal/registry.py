"""Drivers by name: entry points of the group `magscope.drivers`, or `package.module:Class`.

A class that was written for another library of devices is made a driver by an adapter: an entry
point of the group `magscope.adapters`, whose name is the class that such devices derive from, as
`microscope.abc.Camera`, and which is called with the device's class and the driver's name.
"""

import importlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from hal.device import Device, DeviceContext
from hal.errors import DriverError, MissingExtraError, OptionError, UnknownDriverError
from hal.support import Support

GROUP = "magscope.drivers"
ADAPTERS = "magscope.adapters"
DISTRIBUTION = "magscope-rig"


@dataclass(frozen=True)
class DriverEntry:
    """A driver as it is listed.

    Attributes:
        name: What the rig file calls it.
        target: Where its class is, `package.module:Class`.
        problem: Why it can not be used; empty when it can.
        summary: The first line of its docstring.
        kind: `camera`, `motor`, `device`, or empty when it can not be loaded.
        support: What its class says that it is for, needs and was tried on; None if it does not.
    """

    name: str
    target: str
    problem: str = ""
    summary: str = ""
    kind: str = ""
    support: Support | None = None


def available_drivers() -> list[DriverEntry]:
    """Return every registered driver, the broken ones with their reason, by name."""
    listed = []
    for name, target in sorted(registered().items()):
        try:
            driver = load_driver(name)
        except DriverError as error:
            listed.append(DriverEntry(name, target.value, problem=str(error)))
        else:
            summary = (inspect.getdoc(driver) or "").partition("\n")[0]
            support = getattr(driver, "support", None)
            listed.append(DriverEntry(name, target.value, "", summary, _kind(driver), support))
    return listed


def load_driver(name: str) -> type[Device]:
    """Return a driver's class.

    Args:
        name: A registered name, or `package.module:Class`.

    Raises:
        UnknownDriverError: There is no such driver.
        MissingExtraError: A library that it needs is not installed.
        DriverError: It is broken.
    """
    known = registered()
    entry = known.get(name)
    target = entry.value if entry else name
    module_name, _, class_name = target.partition(" ")[0].partition(":")
    if not (module_name and class_name):
        if entry:
            raise DriverError(f"driver {name!r}: {target!r} should be package.module:Class")
        raise UnknownDriverError(
            f"no driver {name!r}; choose one of {', '.join(sorted(known))}, "
            "or give package.module:Class"
        )
    try:
        driver = getattr(importlib.import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise _missing(name, module_name, error, entry) from error
    except AttributeError as error:
        raise UnknownDriverError(
            f"driver {name!r}: module {module_name} has no {class_name!r}"
        ) from error
    except Exception as error:  # a third party's module may fail in any way at import
        raise DriverError(f"driver {name!r} fails to import: {_in_a_line(error)}") from error
    if not isinstance(driver, type):
        raise DriverError(f"driver {name!r}: {target} is not a class")
    return _adapted(driver, name)


def create(
    name: str, options: Mapping[str, Any] | None = None, context: DeviceContext | None = None
) -> Device:
    """Build a device that is not yet open.

    Args:
        name: A registered name, or `package.module:Class`.
        options: Keyword arguments of the driver's constructor.
        context: The clock, seed and shared memory of the session; a standalone one if None.

    Raises:
        DriverError: The driver is unknown or broken, or an option is not its own.
    """
    driver = load_driver(name)
    options = dict(options or {})
    check_options(name, driver, options)
    try:
        device = driver(**options)
    except (TypeError, ValueError) as error:
        raise OptionError(f"driver {name!r}: {_in_a_line(error)}") from error
    device.context = context or DeviceContext.standalone(driver)
    return device


def make_importable(directory: Path | None) -> None:
    """Let `module:Class` name a module in this directory, in this process.

    The directory goes to the end of `sys.path`: nothing that is installed is hidden by it. A child
    process that does not inherit `sys.path` calls this for itself.
    """
    if directory is not None and str(directory) not in sys.path:
        sys.path.append(str(directory))


def check_options(name: str, driver: type, options: Mapping[str, Any]) -> None:
    """Refuse an option that the driver's constructor does not have, naming those that it has.

    Raises:
        OptionError: An option is unknown, or one that is needed is not given.
    """
    parameters = inspect.signature(driver).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for option in options:
        if option not in known:
            raise OptionError(
                f"driver {name!r} has no option {option!r}; it has: {', '.join(known) or 'none'}"
            )
    for p in parameters:
        if p.name in known and p.default is p.empty and p.name not in options:
            raise OptionError(f"driver {name!r} needs the option {p.name!r}")


def registered() -> Mapping[str, EntryPoint]:
    """Return the entry points of all drivers, by name."""
    return _by_name(tuple(sys.path))


def entry_points_of(group: str) -> tuple[EntryPoint, ...]:
    """Return what installed packages bring of a group, in the order of `sys.path`."""
    return _entry_points_on(group, tuple(sys.path))


@cache  # looking through every installed package takes milliseconds
def _entry_points_on(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


@cache
def _by_name(_path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points_of(GROUP)}


def _adapted(driver: type, name: str) -> type:
    """Return a class as a driver: what the adapter for one of its bases makes of it, or itself."""
    if issubclass(driver, Device):
        return driver
    adapters = {entry.name: entry for entry in entry_points_of(ADAPTERS)}
    for base in driver.__mro__:  # told by name: nothing is imported for a class that is no such one
        entry = adapters.get(f"{base.__module__}.{base.__qualname__}")
        if entry is None:
            continue
        try:
            adapted: type = entry.load()(driver, name)
        except Exception as error:  # a third party's adapter may fail in any way
            raise DriverError(
                f"driver {name!r}: the adapter {entry.value} fails: {_in_a_line(error)}"
            ) from error
        return adapted
    return driver


def _missing(
    name: str, module: str, error: ModuleNotFoundError, entry: EntryPoint | None
) -> UnknownDriverError | MissingExtraError:
    absent = error.name or "?"
    if module == absent or module.startswith(absent + "."):
        return UnknownDriverError(
            f"driver {name!r}: there is no module {absent!r}, neither beside the rig file nor "
            "installed: copy it there, or install its package"
        )
    # Not EntryPoint.extras, which takes a hyphen for the end of a name.
    extras = entry.value.partition("[")[2].partition("]")[0] if entry else ""
    if entry and extras:
        distribution = entry.dist.name if entry.dist else DISTRIBUTION
        remedy = f'pip install "{distribution}[{extras}]"'
    else:
        remedy = f"pip install {absent.partition('.')[0]}"
    return MissingExtraError(f"driver {name!r} needs {absent!r}, not installed: {remedy}")


def _kind(driver: type[Device]) -> str:
    names = {base.__name__ for base in driver.__mro__}
    if names & {"Camera", "CameraBase"}:
        return "camera"
    return "motor" if names & {"Motor", "HardwareManagerBase"} else "device"


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")
