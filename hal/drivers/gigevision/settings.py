"""The settings that many cameras have, found among the features that this one has."""

from dataclasses import dataclass, replace

from hal.device import Setting, SettingValue
from hal.drivers.gigevision.features import Features
from hal.errors import BusyError, SettingError


@dataclass(frozen=True)
class _Known:
    """A setting, and what GenICam may call it.

    Attributes:
        name: The setting's name.
        features: GenICam's names, of which the first that the camera has counts.
        unit: In words.
        kind: The type of its values; that of the feature if None.
        shapes_frames: Whether frames have another shape when it changes.
    """

    name: str
    features: tuple[str, ...]
    unit: str = ""
    kind: type | None = None
    shapes_frames: bool = False


_KNOWN = {
    known.name: known
    for known in (
        _Known("exposure_us", ("ExposureTime", "ExposureTimeAbs"), "us", float),
        _Known("framerate_hz", ("AcquisitionFrameRate", "AcquisitionFrameRateAbs"), "Hz", float),
        _Known("gain", ("Gain", "GainRaw", "GainAbs")),
        _Known("offset_x_px", ("OffsetX",), "px"),
        _Known("offset_y_px", ("OffsetY",), "px"),
        _Known("width_px", ("Width",), "px", shapes_frames=True),
        _Known("height_px", ("Height",), "px", shapes_frames=True),
        _Known("pixel_format", ("PixelFormat",), shapes_frames=True),
    )
}
_PERIOD_US = "AcquisitionFramePeriod"
# For an offset: the size that it adds to, and what the two together must not exceed.
_ROOM = {
    "offset_x_px": ("Width", ("WidthMax", "SensorWidth")),
    "offset_y_px": ("Height", ("HeightMax", "SensorHeight")),
}


class CameraSettings:
    """The settings of a connected camera.

    Args:
        features: Its features.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        found = {name: features.first_of(known.features) for name, known in _KNOWN.items()}
        self._names = {name: feature for name, feature in found.items() if feature}

    def describe_all(self) -> tuple[Setting, ...]:
        """Return the settings with their present limits.

        Raises:
            DeviceError: The camera does not answer.
        """
        return tuple(self.describe(name) for name in self._names)

    def has(self, name: str) -> bool:
        """Return whether the camera has a feature for a setting."""
        return name in self._names

    def describe(self, name: str) -> Setting:
        """Return a setting with its present limits.

        Raises:
            DeviceError: The camera does not answer.
        """
        known = _KNOWN[name]
        setting = self._features.describe(
            self._names[name], called=name, unit=known.unit, kind=known.kind
        )
        if known.shapes_frames:
            return replace(setting, is_read_only=True)
        if name == "framerate_hz" and setting.lower is None and setting.upper is None:
            return self._limited_by_period(setting)
        if name in _ROOM:
            return self._limited_by_room(setting)
        return setting

    def get(self, name: str) -> SettingValue:
        """Return what the camera has.

        Raises:
            DeviceError: The camera does not answer.
        """
        setting = self.describe(name)
        value: SettingValue = setting.kind(self._features.read(self._names[name]))
        return value

    def set(self, name: str, value: SettingValue, *, is_running: bool) -> SettingValue:
        """Change a setting and return what the camera took.

        Raises:
            BusyError: The camera does not take it while it takes frames.
            SettingError: It is read-only, or does not take this value.
            DeviceError: The camera does not answer.
        """
        setting = self.describe(name)
        if setting.is_read_only and is_running and not _KNOWN[name].shapes_frames:
            raise BusyError(f"{name} can not be set while frames are taken: stop the camera first")
        taken: SettingValue = setting.kind(self._features.write(self._names[name], value, setting))
        return taken

    def check_region(self) -> None:
        """See that what is read out lies on the sensor: there are cameras that do not.

        Raises:
            SettingError: It goes beyond.
            DeviceError: The camera does not answer.
        """
        for name in _ROOM:
            if not self.has(name):
                continue
            offset, upper = self.get(name), self.describe(name).upper
            if upper is not None and float(offset) > upper:
                raise SettingError(
                    f"{name} = {offset!r}: with this {_ROOM[name][0]} it must not exceed "
                    f"{upper:g}; change one of them in features"
                )

    def _limited_by_period(self, setting: Setting) -> Setting:
        """Give a frame rate without limits those of the period in us, if there is one."""
        if not self._features.has(_PERIOD_US):
            return replace(setting, lower=0.0)
        period = self._features.describe(_PERIOD_US)
        lower = 1e6 / period.upper if period.upper else 0.0
        return replace(setting, lower=lower, upper=1e6 / period.lower if period.lower else None)

    def _limited_by_room(self, setting: Setting) -> Setting:
        size_name, sensor_names = _ROOM[setting.name]
        sensor_name = self._features.first_of(sensor_names)
        if sensor_name is None or setting.upper is None:
            return setting
        room = int(self._features.read(sensor_name)) - int(self._features.read(size_name))
        return replace(setting, upper=max(min(setting.upper, room), 0))
