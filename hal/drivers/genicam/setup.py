"""What a camera is told once it is open, before it is used."""

from collections.abc import Sequence

from hal.device import SettingValue
from hal.drivers.genicam.features import Features
from hal.drivers.genicam.pixels import FORMATS, PixelFormat
from hal.drivers.genicam.settings import Settings
from hal.errors import OptionError, SettingError, UnsupportedError

_SELECTOR, _ENABLE = "ComponentSelector", "ComponentEnable"
_INTENSITY = "Intensity"


def set_up(
    settings: Settings,
    features: Sequence[tuple[str, SettingValue]],
    pixel_format: str | None,
    size_px: tuple[int | None, int | None],
) -> None:
    """Write the options to an open device.

    Args:
        settings: Its settings.
        features: Names of features and their values, written in this order.
        pixel_format: Of the frames, or None for one that the driver can read.
        size_px: Width and height, each None to leave it.

    Raises:
        SettingError: The device refuses a feature.
        OptionError: It refuses the size or the pixel format.
        UnsupportedError: It has no grey pixel format.
        DeviceError: It does not answer.
    """
    _send_only_intensity(settings.features)
    for name, value in features:
        try:
            settings.write(name, value)
        except SettingError as error:
            raise SettingError(f"features: {error}") from error
    _choose_pixel_format(settings.features, pixel_format)
    _choose_size(settings, size_px)


def pixel_format_of(features: Features) -> PixelFormat:
    """Return the pixel format that the device has.

    Raises:
        UnsupportedError: It is none that the driver can read.
    """
    name = str(features.read("PixelFormat"))
    if name not in FORMATS:
        raise UnsupportedError(
            f"the device sends {name}; grey is needed: choose pixel_format from "
            f"{', '.join(_grey(features)) or 'none: it has no grey format'}"
        )
    return FORMATS[name]


def _send_only_intensity(features: Features) -> None:
    """Let a device that can send several components send grey alone.

    Each component has a pixel format of its own, so it is also the one that is selected.
    """
    if not features.is_writable(_SELECTOR) or _INTENSITY not in features.choices(_SELECTOR):
        return
    others = [name for name in features.choices(_SELECTOR) if name != _INTENSITY]
    for component in (_INTENSITY, *others):
        features.write(_SELECTOR, component)
        if features.is_writable(_ENABLE):
            features.write(_ENABLE, component == _INTENSITY)
    features.write(_SELECTOR, _INTENSITY)


def _choose_pixel_format(features: Features, wanted: str | None) -> None:
    grey = _grey(features)
    if wanted is None:
        if features.read("PixelFormat") in FORMATS or not grey:
            return
        wanted = grey[0]
    if wanted not in grey:
        raise OptionError(
            f"pixel_format = {wanted!r}: choose one of {', '.join(grey) or 'none'}; it must be "
            "grey, and one that the device has"
        )
    if features.read("PixelFormat") != wanted:
        features.write("PixelFormat", wanted)


def _choose_size(settings: Settings, size_px: tuple[int | None, int | None]) -> None:
    """Choose a region in the middle of the sensor."""
    features = settings.features
    for size, offset, wanted in (
        ("Width", "OffsetX", size_px[0]),
        ("Height", "OffsetY", size_px[1]),
    ):
        if wanted is None:
            continue
        can_move = features.is_writable(offset)
        if can_move:
            features.write(offset, 0)
        largest = settings.describe(size).upper
        try:
            taken = settings.write(size, wanted)
        except SettingError as error:
            raise OptionError(f"size of the frames: {error}") from error
        if taken != wanted:
            raise OptionError(f"{size} = {wanted} px: the device took {taken} px")
        if can_move and largest is not None:
            step = features.step(offset)
            features.write(offset, int(largest - wanted) // 2 // step * step)


def _grey(features: Features) -> list[str]:
    """Return the pixel formats that both the device and the driver know, simplest first."""
    known = features.choices("PixelFormat")
    return [name for name in FORMATS if name in known]
