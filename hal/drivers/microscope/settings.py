"""Settings of python-microscope, in the terms of `hal.Setting`."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hal.device import Setting, SettingValue
from hal.errors import ProtocolError, SettingError, UnsupportedError

_NUMBERS = {"int": int, "float": float}


@dataclass(frozen=True)
class Described:
    """A setting of the library.

    Attributes:
        setting: As it is described here.
        values: What the library takes and gives, by the word that stands for it here; for an
            enumeration alone.
        longest: The most characters that a text may have; None where the library sets no bound.
    """

    setting: Setting
    values: Mapping[str, Any] = field(default_factory=dict)
    longest: int | None = None

    @classmethod
    def of(cls, name: str, told: Mapping[str, Any], value: Any) -> "Described":
        """Read what `describe_setting` tells.

        An enumeration is given by its words; a tuple as text that is only read.

        Args:
            name: Its name.
            told: What the library tells of it.
            value: The value that it has. Limits that it breaks are made wider.

        Raises:
            UnsupportedError: It tells no value, as one that can only be written, or is of no use.
        """
        kind, allowed = told["type"], told.get("values")
        if value is None:
            raise UnsupportedError(f"{name} does not tell its value")
        fixed = bool(told.get("readonly"))
        if kind in _NUMBERS:
            lower, upper = _limits(allowed, value)
            return cls(Setting(name, _NUMBERS[kind], "", lower, upper, is_read_only=fixed))
        if kind == "bool":
            return cls(Setting(name, bool, is_read_only=fixed))
        if kind == "str":
            longest = allowed if isinstance(allowed, int) and allowed > 0 else None
            return cls(Setting(name, str, is_read_only=fixed), longest=longest)
        if kind == "enum":
            values = _words(allowed)
            if not values:
                raise UnsupportedError(f"{name} has nothing to choose from")
            return cls(Setting(name, str, choices=tuple(values), is_read_only=fixed), values)
        return cls(Setting(name, str, is_read_only=True))

    def read(self, value: Any) -> SettingValue:
        """Return a value of the library's as one of ours.

        Raises:
            ProtocolError: It is none that this setting can have.
        """
        setting = self.setting
        if self.values:
            for word, known in self.values.items():
                if value == known:
                    return word
            if value in self.values:  # some devices take the number and tell the word
                return str(value)
        elif isinstance(value, (tuple, list)):
            return ", ".join(map(str, value))
        elif value is not None:
            try:
                converted: SettingValue = setting.kind(value)
            except (TypeError, ValueError, OverflowError):
                pass
            else:
                return converted
        expected = f"one of {list(self.values)}" if self.values else setting.kind.__name__
        raise ProtocolError(f"{setting.name} reads {value!r}: expected {expected}")

    def write(self, value: SettingValue) -> Any:
        """Return a checked value of ours as the library wants it.

        Raises:
            SettingError: It is a text that is too long.
        """
        if self.longest is not None and len(str(value)) > self.longest:
            raise SettingError(
                f"{self.setting.name} = {value!r}: may have {self.longest} characters at most"
            )
        return self.values[str(value)] if self.values else value


def refuse_if_ignored(
    name: str, before: SettingValue, asked: SettingValue, taken: SettingValue
) -> None:
    """Raise SettingError unless a device took a value, or a number near to it that it can do."""
    is_number = isinstance(asked, (int, float)) and isinstance(taken, (int, float))
    if taken == asked or (is_number and math.isclose(taken, asked, rel_tol=0.01)):  # type: ignore[arg-type]
        return
    kept = "kept" if taken == before else "took"
    raise SettingError(f"{name} = {asked!r}: the device {kept} {taken!r}; ask for what it can do")


def _limits(allowed: Any, value: Any) -> tuple[float | None, float | None]:
    try:
        lower, upper = (float(end) for end in allowed)
        present = float(value)
    except (TypeError, ValueError):
        return None, None
    if not lower <= upper:
        return None, None
    # A device may have values outside the limits that it tells.
    lower, upper = min(lower, present), max(upper, present)
    return lower if math.isfinite(lower) else None, upper if math.isfinite(upper) else None


def _words(allowed: Any) -> dict[str, Any]:
    pairs = [(value, str(word)) for value, word in allowed or ()]
    often = Counter(word for _, word in pairs)
    return {word if often[word] == 1 else f"{word} ({value})": value for value, word in pairs}
