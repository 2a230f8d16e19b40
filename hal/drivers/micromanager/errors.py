"""Micro-Manager's one exception, sorted into the kinds of `hal.errors`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pymmcore_nano as mm

from hal.errors import (
    BusyError,
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    LimitError,
    OverrunError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

_KIND_BY_CODE: dict[int, type[DeviceError]] = {
    mm.DEVICE_INVALID_PROPERTY: SettingError,
    mm.DEVICE_INVALID_PROPERTY_VALUE: SettingError,
    mm.DEVICE_INVALID_PROPERTY_TYPE: SettingError,
    mm.DEVICE_CAN_NOT_SET_PROPERTY: SettingError,
    mm.DEVICE_UNSUPPORTED_DATA_FORMAT: UnsupportedError,
    mm.DEVICE_NOT_SUPPORTED: UnsupportedError,
    mm.DEVICE_UNSUPPORTED_COMMAND: UnsupportedError,
    mm.DEVICE_NOT_YET_IMPLEMENTED: UnsupportedError,
    mm.DEVICE_SERIAL_COMMAND_FAILED: ProtocolError,
    mm.DEVICE_SERIAL_BUFFER_OVERRUN: ProtocolError,
    mm.DEVICE_SERIAL_INVALID_RESPONSE: ProtocolError,
    mm.DEVICE_SERIAL_TIMEOUT: DeviceTimeoutError,
    mm.DEVICE_BUFFER_OVERFLOW: OverrunError,
    mm.DEVICE_CAMERA_BUSY_ACQUIRING: BusyError,
    mm.DEVICE_NOT_CONNECTED: DisconnectedError,
    mm.DEVICE_COMM_HUB_MISSING: DisconnectedError,
}

# Codes above 100 belong to the adapter, and the core's own refusals have none: the text decides.
_KIND_BY_TEXT: dict[str, type[DeviceError]] = {
    "out of range": LimitError,
    "cannot set property": SettingError,
    "sequence acquisition is running": BusyError,
    "timed out": DeviceTimeoutError,
    "no device with label": DisconnectedError,
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what Micro-Manager raises inside as a DeviceError of the kind that fits.

    Args:
        doing: What was asked of the device, for the message: `"moving to 3 um"`.
    """
    try:
        yield
    except mm.CMMError as error:
        text = " ".join(str(error).split())
        raise kind_of(text)(f"{doing}: Micro-Manager says: {text}") from error


def kind_of(text: str) -> type[DeviceError]:
    """Return the class of error that a message of Micro-Manager stands for."""
    code = re.search(r"\((\d+)\)$", text)
    if code and int(code[1]) in _KIND_BY_CODE:
        return _KIND_BY_CODE[int(code[1])]
    for phrase, kind in _KIND_BY_TEXT.items():
        if phrase in text.lower():
            return kind
    return DeviceError
