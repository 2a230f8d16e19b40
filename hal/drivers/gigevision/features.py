"""GenICam's features by name: of which kind, within which limits; written, then read back."""

import math

import telegenic

from hal.device import Setting, SettingValue
from hal.drivers.gigevision.errors import translated
from hal.errors import SettingError

# The library's word for each kind of feature, and the call that fails for every other kind. In this
# order, as most features can be read in several ways, but have limits or entries in one.
_KINDS: dict[str, tuple[str, type]] = {
    "integer": ("integer_bounds", int),
    "float": ("float_bounds", float),
    "enum": ("enum_entries", str),
    "boolean": ("get_boolean", bool),
    "string": ("get_string", str),
}
# What a feature without a limit has instead: the end of 64 bits, or of a double.
_NO_LIMIT = 2.0**62
_CLOSE = 1e-3
# A device may count in whole microseconds, which for a few of them is not that close.
_FEW, _CLOSE_BY = 10.0, 1.0


class Features:
    """The features of a connected camera.

    Every value is asked of the device and not of the library, which remembers what it has written,
    and would also say so of a value that the device did not take.

    Args:
        camera: The connected camera.
        where: What messages call it.
    """

    def __init__(self, camera: telegenic.Camera, where: str) -> None:
        self._camera = camera
        self._where = where
        self._words: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """Return whether the device has a feature."""
        return self._camera.has_feature(name)

    def first_of(self, names: tuple[str, ...]) -> str | None:
        """Return the first of several names that the device has; None if it has none of them."""
        return next((name for name in names if self.has(name)), None)

    def describe(
        self, name: str, *, called: str = "", unit: str = "", kind: type | None = None
    ) -> Setting:
        """Return a feature as a setting, with its present limits.

        Args:
            name: GenICam's name.
            called: The setting's name, if it is another.
            unit: In words.
            kind: The type of its values, if it shall be another than the feature's own.

        Raises:
            SettingError: There is no such feature, or it is of a kind without a value.
            DeviceError: The device does not answer.
        """
        word = self._word(name)
        lower = upper = None
        choices: tuple[SettingValue, ...] = ()
        with translated(f"{self._where}: describing {name}"):
            if word in ("integer", "float"):
                bounds = getattr(self._camera, _KINDS[word][0])(name)
                lower, upper = (None if abs(end) >= _NO_LIMIT else end for end in bounds)
            elif word == "enum":
                choices = tuple(self._camera.enum_entries(name))
            access = self._camera.access_mode(name)
        return Setting(
            called or name,
            kind or _KINDS[word][1],
            unit,
            lower,
            upper,
            choices,
            is_read_only=access != telegenic.AccessMode.RW,
        )

    def read(self, name: str) -> SettingValue:
        """Ask the device for a feature's value.

        Raises:
            DeviceError: The device does not answer, or has no such feature.
        """
        word = self._word(name)
        with translated(f"{self._where}: reading {name}"):
            self._camera.invalidate_caches()
            value: SettingValue = getattr(self._camera, f"get_{word}")(name)
        return value

    def write(self, name: str, value: SettingValue, setting: Setting | None = None) -> SettingValue:
        """Change a feature and return the value that the device took.

        Devices take values outside of their own limits, so the limits are checked here.

        Args:
            name: GenICam's name.
            value: What it shall be.
            setting: Its description, if it has narrower limits than the feature itself.

        Raises:
            SettingError: The feature does not exist, is read-only, or does not take this value.
            DeviceError: The device does not answer.
        """
        asked = (setting or self.describe(name)).check(value)
        word = self._word(name)
        if word == "integer":
            asked = round(float(asked))
            self._check_step(name, asked)
        before = self.read(name)
        with translated(f"{self._where}: setting {name} to {asked!r}"):
            getattr(self._camera, f"set_{word}")(name, asked)
        taken = self.read(name)
        if not _is_taken(asked, before, taken):
            raise SettingError(
                f"{setting.name if setting else name} = {asked!r}: the device at {self._where} "
                f"ignored it and has {taken!r}"
            )
        return taken

    def _check_step(self, name: str, asked: int) -> None:
        with translated(f"{self._where}: describing {name}"):
            lower, _ = self._camera.integer_bounds(name)
            step = self._camera.integer_increment(name)
        base = lower if abs(lower) < _NO_LIMIT else 0
        if step > 1 and (asked - base) % step:
            below = asked - (asked - base) % step
            raise SettingError(
                f"{name} = {asked!r}: the device has steps of {step}; choose {below} or "
                f"{below + step}"
            )

    def _word(self, name: str) -> str:
        if name not in self._words:
            with translated(f"{self._where}: describing {name}"):
                self._words[name] = self._find_word(name)
        return self._words[name]

    def _find_word(self, name: str) -> str:
        if not self.has(name):
            raise SettingError(f"the camera at {self._where} has no feature {name!r}")
        for word, (probe, _) in _KINDS.items():
            try:
                getattr(self._camera, probe)(name)
            except telegenic.GenicamError:
                continue
            return word
        raise SettingError(f"{name} of the camera at {self._where} has no value: it is a command")


def _is_taken(asked: SettingValue, before: SettingValue, taken: SettingValue) -> bool:
    """Return whether a device took a value, or a number near to it that it can do."""
    if isinstance(asked, (int, float)) and isinstance(taken, (int, float)):
        close_by = _CLOSE_BY if abs(asked) >= _FEW else 0.0
        return taken != before or math.isclose(taken, asked, rel_tol=_CLOSE, abs_tol=close_by)
    return taken == asked
