"""Whether a rig file's drivers exist, are of the right kind and have the options it gives them."""

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hal.device import Device
from hal.errors import DriverError, UnknownDriverError
from hal.registry import create, load_driver, registered
from magscope.rig.lines import KeyPath
from magscope.rig.problems import Problem, did_you_mean, shown

# Drivers written for MagScope derive from the second class of each pair; they are told by name, so
# that reading a rig file does not import the managers.
_CAMERAS = frozenset({"Camera", "CameraBase"})
_MOTORS = frozenset({"Motor", "HardwareManagerBase"})


def driver_problems(document: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the drivers that a document names and with their options.

    What is not a table, or not text, is passed over: the models say so.
    """
    found: list[Problem] = []
    for key, entry, classes in _entries(document):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("driver"), str):
            continue
        options = entry.get("options", {})
        if isinstance(options, Mapping):
            found += _problems(key, entry["driver"], options, classes)
            found += _reconnect_problems(key, entry)
    return found


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any, frozenset[str]]]:
    yield ("camera",), document.get("camera"), _CAMERAS
    motors = document.get("motors")
    for name, entry in motors.items() if isinstance(motors, Mapping) else ():
        yield ("motors", name), entry, _MOTORS


def _problems(
    key: KeyPath, name: str, options: Mapping[str, Any], classes: frozenset[str]
) -> Iterable[Problem]:
    given = f" = {shown(name)}"
    try:
        driver = load_driver(name)
    except DriverError as error:
        known = registered()
        is_unknown = isinstance(error, UnknownDriverError) and not (":" in name or name in known)
        text = f"no such driver{did_you_mean(name, known)}" if is_unknown else _reason(name, error)
        yield Problem((*key, "driver"), f"{given}: {text}")
        return
    if not classes & {base.__name__ for base in driver.__mro__}:
        wanted = "a camera" if key == ("camera",) else "a motor"
        yield Problem(
            (*key, "driver"), f"{given}: {driver.__name__} is not {wanted}: see `magscope drivers`"
        )
        return
    wrong = list(_option_problems((*key, "options"), driver, options))
    yield from wrong
    if not wrong and issubclass(driver, Device):
        try:
            create(name, options)  # a constructor only stores its options, and checks them
        except DriverError as error:
            yield Problem((*key, "options"), f": {_reason(name, error)}")


def _reconnect_problems(key: KeyPath, entry: Mapping[str, Any]) -> Iterable[Problem]:
    if entry.get("reconnect", "never") == "never":
        return
    with contextlib.suppress(DriverError):  # which has been said
        if not issubclass(load_driver(entry["driver"]), Device):
            text = f" = {shown(entry['reconnect'])}: only drivers for `hal` can do that"
            yield Problem((*key, "reconnect"), text)


def _option_problems(key: KeyPath, driver: type, options: Mapping[str, Any]) -> Iterable[Problem]:
    parameters = _constructor(driver)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        known = [p.name for p in parameters]
        for option, value in options.items():
            if option not in known:
                text = f" = {shown(value)}: {driver.__name__} has no such option"
                yield Problem((*key, option), text + did_you_mean(option, known))
    for p in parameters:
        named = p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
        if named and p.default is p.empty and p.name not in options:
            yield Problem((*key, p.name), f": is missing: {driver.__name__} needs this option")


def _reason(name: str, error: DriverError) -> str:
    return str(error).removeprefix(f"driver {name!r}: ")


def _constructor(driver: type) -> list[inspect.Parameter]:
    # The metaclass of a manager has a call of its own, which hides the constructor's keywords.
    if type(driver).__call__ is not type.__call__:
        constructor = inspect.getattr_static(driver, "__init__")
        return list(inspect.signature(constructor).parameters.values())[1:]
    return list(inspect.signature(driver).parameters.values())
