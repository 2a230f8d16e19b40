"""The settings that every manager knows, with their types, ranges and defaults."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml


class SettingRule(NamedTuple):
    """What a setting may be: a number of this type, from `lower` to `upper`."""

    default: float
    kind: type
    lower: float
    upper: float
    unit: str


RULES: Mapping[str, SettingRule] = MappingProxyType(
    {
        "bead roi width": SettingRule(128, int, 8, 1024, "px"),
        "magnification": SettingRule(100, float, 0.01, 10_000, ""),
        "video processors n": SettingRule(3, int, 1, 64, ""),
        "video buffer n stacks": SettingRule(5, int, 2, 1000, ""),
        "video buffer n images": SettingRule(40, int, 1, 10_000, ""),
        "tracks max datapoints": SettingRule(1_000_000, int, 100, 1_000_000_000, ""),
        "tracks file max bytes": SettingRule(256_000_000, int, 1, 1e15, "bytes"),
        "xy-lock default interval": SettingRule(10, float, 0.01, 1e6, "s"),
        "xy-lock default max": SettingRule(10, float, 0, 1e4, "px"),
        "z-lock default interval": SettingRule(10, float, 0.01, 1e6, "s"),
        "z-lock default max": SettingRule(1000, float, 0, 1e7, "nm"),
    }
)


class SettingsError(ValueError):
    """A settings file or mapping is wrong; every error is in the text."""


def default_settings() -> dict[str, Any]:
    """Return every setting with its default."""
    return {key: rule.default for key, rule in RULES.items()}


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults with these settings in their place.

    Raises:
        SettingsError: A value has the wrong type or is out of range. Keys of a lab's own pass.
    """
    problems = []
    for key, value in settings.items():
        rule = RULES.get(key)
        if rule is None:
            continue
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or (rule.kind is int and not float(value).is_integer()):
            kind = "a whole number" if rule.kind is int else "a number"
            problems.append(f"setting {key!r} = {value!r}: expected {kind}")
        elif not rule.lower <= value <= rule.upper:
            problems.append(
                f"setting {key!r} = {value!r} {rule.unit}".rstrip()
                + f": must lie between {rule.lower:g} and {rule.upper:g}"
            )
    if problems:
        raise SettingsError("; ".join(problems))
    whole = {k: int(v) for k, v in settings.items() if k in RULES and RULES[k].kind is int}
    return {**default_settings(), **settings, **whole}


def load_settings(path: str | Path) -> dict[str, Any]:
    """Read settings from a YAML file.

    Raises:
        SettingsError: The file is missing, is no mapping, or a value is wrong.
    """
    try:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"settings file {path}: {error}".replace("\n", " ")) from error
    if not isinstance(loaded, dict):
        raise SettingsError(f"settings file {path}: expected lines of `key: value`")
    return checked(loaded)
