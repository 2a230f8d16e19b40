"""The usual settings of a camera, by the names that GenICam gives to them, and all others."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hal.clock import Clock
from hal.device import Setting, SettingValue
from hal.drivers.genicam.features import Features
from hal.drivers.genicam.pixels import FORMATS
from hal.errors import DeviceError, SettingError


@dataclass(frozen=True)
class Usual:
    """A setting that most cameras have.

    Attributes:
        name: What it is called here.
        unit: Its unit; as the device says if empty.
        names: What GenICam calls it, the present name first.
        switch: The feature that lets it be written.
        changes_shape: Whether it changes the shape or the depth of the frames.
    """

    name: str
    unit: str
    names: tuple[str, ...]
    switch: str = ""
    changes_shape: bool = False


_USUAL = (
    Usual("exposure_us", "us", ("ExposureTime", "ExposureTimeAbs")),
    Usual(
        "framerate_hz",
        "Hz",
        ("AcquisitionFrameRate", "AcquisitionFrameRateAbs"),
        switch="AcquisitionFrameRateEnable",
    ),
    Usual("gain", "", ("Gain", "GainRaw")),
    Usual("width_px", "px", ("Width",), changes_shape=True),
    Usual("height_px", "px", ("Height",), changes_shape=True),
    Usual("offset_x_px", "px", ("OffsetX",)),
    Usual("offset_y_px", "px", ("OffsetY",)),
    Usual("pixel_format", "", ("PixelFormat",), changes_shape=True),
)
_MEASURED = Setting("framerate_hz", float, "Hz", is_read_only=True)


class Settings:
    """The settings of an open device.

    Args:
        features: The device's features.
        listed: Names of features that are listed beside the usual settings.
        clock: What the end of a command is waited for with.
        timeout_s: How long a command may take.
    """

    def __init__(
        self, features: Features, listed: Iterable[str], clock: Clock, timeout_s: float
    ) -> None:
        self.features = features
        self._listed = tuple(listed)
        self._clock = clock
        self._timeout_s = timeout_s

    def all(self) -> tuple[Setting, ...]:
        """Return the usual settings that the device has, and the listed features."""
        found = [self.describe(each.name) for each in _USUAL if self._is_there(each)]
        usual = {self.feature(setting.name) for setting in found}
        return (
            *found,
            *(
                self.features.describe(name)
                for name in dict.fromkeys(self._listed)
                if name not in usual and self.features.has(name) and not self.is_command(name)
            ),
        )

    def feature(self, name: str) -> str | None:
        """Return what GenICam calls a setting; None for a frame rate that can only be measured.

        Raises:
            SettingError: The device has no such setting.
        """
        for usual in _USUAL:
            if usual.name == name:
                for each in usual.names:
                    if self.features.has(each):
                        return each
                if name == _MEASURED.name:
                    return None
        if self.features.has(name):
            return name
        names = ", ".join(setting.name for setting in self.all())
        raise SettingError(
            f"no setting {name!r}; this device has: {names}; and its features, by their names in "
            "GenICam"
        )

    def describe(self, name: str) -> Setting:
        """Return the description of a setting, with the limits that it has now.

        Raises:
            SettingError: The device has no such setting.
        """
        feature = self.feature(name)
        if feature is None:
            return _MEASURED
        usual = self._usual(feature)
        if usual is None or usual.name != name:
            return self.features.describe(feature)
        setting = self.features.describe(feature, alias=name, unit=usual.unit)
        if setting.is_read_only and usual.switch and self.features.is_writable(usual.switch):
            setting = replace(setting, is_read_only=False)
        if name == "pixel_format":
            grey = tuple(each for each in setting.choices if each in FORMATS)
            setting = replace(setting, choices=grey)
        return setting

    def check(self, name: str, value: SettingValue) -> SettingValue:
        """Return a value as the setting's type; one that is locked now may be written later.

        Raises:
            SettingError: There is no such setting, or it does not take this value.
        """
        return replace(self.describe(name), is_read_only=False).check(value)

    def changes_shape(self, name: str) -> bool:
        """Return whether a setting changes the shape or the depth of the frames."""
        usual = self._usual(self.feature(name))
        return usual is not None and usual.changes_shape

    def is_command(self, name: str) -> bool:
        """Return whether it is something to do."""
        feature = self.feature(name)
        return feature is not None and self.features.is_command(feature)

    def value_before(self, name: str) -> SettingValue | None:
        """Return the value that a setting has before it is changed, or None if it has none."""
        feature = self.feature(name)
        if feature is None or not self.features.is_readable(feature):
            return None
        return self.features.read(feature)

    def write(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting and return the value that the device took; or execute a command.

        Raises:
            SettingError: There is no such setting, or it does not take this value.
            DeviceError: The device does not answer; the class says why.
        """
        checked = self.describe(name).check(value)
        feature = self.feature(name)
        assert feature is not None  # the measured frame rate is read-only
        if self.features.is_command(feature):
            if checked is not True:
                raise SettingError(f"{name} = {value!r}: a command is executed with true")
            self.features.execute(feature, self._clock, self._timeout_s)
            return True
        usual = self._usual(feature)
        if usual is None or not usual.switch or self.features.is_writable(feature):
            return self.features.write(feature, checked)
        before = self.features.read(usual.switch)
        self.features.write(usual.switch, True)
        try:
            return self.features.write(feature, checked)
        except DeviceError:
            self.features.write(usual.switch, before)
            raise

    def _is_there(self, usual: Usual) -> bool:
        return usual.name == _MEASURED.name or any(map(self.features.has, usual.names))

    @staticmethod
    def _usual(feature: str | None) -> Usual | None:
        for usual in _USUAL:
            if feature in usual.names:
                return usual
        return None
