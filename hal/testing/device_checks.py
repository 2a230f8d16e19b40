"""What every device does: it opens and closes, says who it is, and means what its settings say."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hal.device import Device, Identity, Setting, SettingValue
from hal.errors import BusyError, DeviceError, SettingError
from hal.registry import registered
from hal.testing.checks import Check, NotApplicableError, check, expect, refuses
from hal.testing.stand import Stand

_KINDS = (int, float, bool, str)
_ROUNDING = 1e-6
# How far from what was asked a device may take a value, of the value and of the range.
_NEAR = 0.01


@check
def opens_and_closes(stand: Stand) -> None:
    """It is open from `open` to `close`, which do nothing the second time."""
    device = stand.device
    expect(not device.is_open, "a device that was not opened to be closed", "is_open is True")
    device.close()
    for _ in range(3):
        device.open()
        device.open()
        expect(device.is_open is True, "is_open to be True after open", device.is_open)
        device.close()
        device.close()
        expect(device.is_open is False, "is_open to be False after close", device.is_open)


@check
def says_who_it_is(stand: Stand) -> None:
    """Its identity is complete once it is open, and stays the same."""
    stand.device.open()
    identity = stand.device.identity
    expect(isinstance(identity, Identity), "identity to be a hal.Identity", identity)
    for name in ("vendor", "model", "driver", "serial"):
        value = getattr(identity, name)
        expect(isinstance(value, str), f"identity.{name} to be a str", repr(value))
        if name != "serial":  # not every device has a number
            expect(bool(value), f"identity.{name} to say something", repr(value))
    expect(isinstance(identity.is_real, bool), "identity.is_real to be a bool", identity.is_real)
    name = stand.subject.name
    if name in registered():
        expect(identity.driver == name, f"identity.driver to be {name!r}", identity.driver)
    stand.device.close()
    stand.device.open()
    again = stand.device.identity
    expect(again == identity, f"the same identity after it was opened again: {identity}", again)


@check
def describes_its_settings(stand: Stand) -> None:
    """Every setting has a name of its own and reads as its type, within its limits and choices."""
    settings = _settings(stand)
    names = [setting.name for setting in settings]
    expect(len(set(names)) == len(names), "settings of different names", names)
    for setting in settings:
        expect(setting.kind in _KINDS, f"{setting.name} to be int, float, bool or str", setting)
        low, high = _limits(setting)
        expect(low <= high, f"the lower limit of {setting.name} not to exceed the upper", setting)
        value = stand.device.get(setting.name)
        wanted = f"get({setting.name!r}) to be of type {setting.kind.__name__}"
        expect(type(value) is setting.kind, wanted, value)
        if setting.is_read_only:
            continue
        if _is_number(setting):
            slack = _ROUNDING * max(abs(low) if math.isfinite(low) else 0.0, abs(float(value)))
            wanted = f"{setting.name} between {low:g} and {high:g}"
            expect(low - slack <= float(value) <= high + slack, wanted, value)
        if setting.choices:
            wanted = f"{setting.name} to be one of {list(setting.choices)}"
            expect(value in setting.choices, wanted, value)


@check
def takes_what_it_reads(stand: Stand) -> None:
    """Every setting takes the value that it has, and reads as what `set` said that it took."""
    device = stand.device
    for setting in _writable(stand):
        value = device.get(setting.name)
        taken = device.set(setting.name, value)
        read = device.get(setting.name)
        wanted = f"set({setting.name!r}, …) to return what get reads, {read!r}"
        expect(taken == read, wanted, taken)
        same = taken == value
        if setting.kind is float:
            same = math.isclose(float(taken), float(value), rel_tol=_ROUNDING, abs_tol=1e-12)
        expect(same, f"{setting.name} to take the value that it has, {value!r}", taken)


@check
def takes_other_values(stand: Stand) -> None:
    """A value within the limits is taken and reads back, or is refused and changes nothing."""
    device = stand.device
    tried = 0
    settings = _writable(stand)
    with _put_back(device, settings):
        for setting in settings:
            for asked in _others(setting, device.get(setting.name), stand.subject.has_own_time):
                tried += 1
                _try(device, setting, asked)
    if not tried:
        raise NotApplicableError("it has no setting with other values that are safe to try")


def _try(device: Device, setting: Setting, asked: SettingValue) -> None:
    name, before = setting.name, device.get(setting.name)
    try:
        taken = device.set(name, asked)
    except (SettingError, BusyError):
        # Settings depend on each other: what one allows the others may not.
        read = device.get(name)
        expect(read == before, f"{name} to stay {before!r} when {asked!r} was refused", read)
        return
    read = device.get(name)
    expect(taken == read, f"set({name!r}, {asked!r}) to return what get reads, {read!r}", taken)
    is_near = taken == asked
    if _is_number(setting):
        low, high = _limits(setting)
        span = high - low if math.isfinite(high - low) else 0.0
        is_near = abs(float(taken) - float(asked)) <= _NEAR * max(abs(float(asked)), span)
    wanted = f"{name} to take {asked!r}, which its description allows, or a SettingError"
    expect(is_near, wanted, f"it has {taken!r}, before that {before!r}")


@check
def refuses_what_is_outside(stand: Stand) -> None:
    """A value outside the limits or choices, or none at all, is refused and changes nothing."""
    device = stand.device
    tried = 0
    for setting in _writable(stand):
        before = device.get(setting.name)
        for value in outside(setting):
            tried += 1
            words = f"set({setting.name!r}, {value!r})"
            refuses(SettingError, lambda: device.set(setting.name, value), words, setting.name)  # noqa: B023
            read = device.get(setting.name)
            expect(read == before, f"{setting.name} to stay {before!r} after {words}", read)
    if not tried:
        raise NotApplicableError("no setting has limits or choices")


@check
def refuses_to_write_what_is_read_only(stand: Stand) -> None:
    """A read-only setting refuses every value."""
    device = stand.device
    names = [setting.name for setting in _settings(stand) if setting.is_read_only]
    for name in names:
        value = device.get(name)
        words = f"set({name!r}, {value!r}), which is read-only,"
        refuses(SettingError, lambda: device.set(name, value), words)  # noqa: B023
    if not names:
        raise NotApplicableError("it has no read-only setting")


@check
def refuses_unknown_settings(stand: Stand) -> None:
    """A setting that it has not is refused by name."""
    device, name = stand.device, "no_such_setting"
    device.open()
    refuses(SettingError, lambda: device.get(name), f"get({name!r})", name)
    refuses(SettingError, lambda: device.set(name, 1), f"set({name!r}, 1)", name)


def outside(setting: Setting) -> list[SettingValue]:
    """Return values that a setting must refuse."""
    wrong: list[SettingValue] = []
    if _is_number(setting):
        low, high = _limits(setting)
        if math.isfinite(low):
            wrong.append(setting.kind(low) - 1)
        if math.isfinite(high):
            wrong.append(setting.kind(high) + 1)
    if setting.kind is not str:
        wrong += ["none", math.nan]
    elif setting.choices:
        wrong.append("no such choice")
    return wrong


def nearby(setting: Setting, value: SettingValue, fraction: float) -> SettingValue:
    """Return a value that differs by up to a tenth from `value`, or the value of a switch.

    What is far away might make frames so rare, or a motor so slow, that nothing more is seen.
    """
    if setting.kind is bool:
        return fraction < 0.5
    low, high = _limits(setting)
    return setting.kind(min(max(float(value) * (0.9 + 0.2 * fraction), low), high))


def adjustable(device: Device, leave_alone: frozenset[str]) -> list[Setting]:
    """Return the settings of an open device that may be changed a little at any time."""
    return [
        setting
        for setting in device.settings
        if not (setting.is_read_only or setting.choices or setting.name in leave_alone)
        and (_is_number(setting) and setting.lower is not None and setting.upper is not None)
    ]


def _settings(stand: Stand) -> tuple[Setting, ...]:
    stand.device.open()
    settings = stand.device.settings
    if not settings:
        raise NotApplicableError("it has no settings")
    return settings


def _writable(stand: Stand) -> list[Setting]:
    spared = stand.subject.leave_alone
    found = [s for s in _settings(stand) if not s.is_read_only and s.name not in spared]
    if not found:
        raise NotApplicableError("it has no setting that may be written")
    return found


def _is_number(setting: Setting) -> bool:
    return setting.kind in (int, float)


def _limits(setting: Setting) -> tuple[float, float]:
    low = -math.inf if setting.lower is None else setting.lower
    return low, math.inf if setting.upper is None else setting.upper


def _others(setting: Setting, value: SettingValue, has_own_time: bool) -> list[SettingValue]:
    if setting.kind is bool:
        return [not value]
    if setting.choices:
        # Words may make a machine do anything: only numbers are tried where there is one.
        if setting.kind is str and has_own_time:
            return []
        return [choice for choice in setting.choices if choice != value][:4]
    if setting.kind is str:
        return []
    low, high = _limits(setting)
    ends = [setting.kind(end) for end in (low, high) if math.isfinite(end)]
    return [end for end in ends or [setting.kind(float(value) + 1)] if end != value]


@contextmanager
def _put_back(device: Device, settings: list[Setting]) -> Iterator[None]:
    """Leave a device's settings as they were: a real one keeps them after it is closed."""
    before = {setting.name: device.get(setting.name) for setting in settings}
    try:
        yield
    finally:
        for _ in range(2):  # what one may be depends on the others
            for name, value in before.items():
                with suppress(DeviceError):
                    if device.get(name) != value:
                        device.set(name, value)


DEVICE_CHECKS: tuple[Check, ...] = (
    opens_and_closes,
    says_who_it_is,
    describes_its_settings,
    takes_what_it_reads,
    takes_other_values,
    refuses_what_is_outside,
    refuses_to_write_what_is_read_only,
    refuses_unknown_settings,
)
