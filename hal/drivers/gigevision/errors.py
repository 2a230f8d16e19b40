"""The two exceptions of `telegenic`, sorted into the kinds of `hal.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager

import telegenic

from hal.errors import (
    BusyError,
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

# The library has one class for all that can happen to the link: its words decide.
_KIND_BY_TEXT: dict[str, type[DeviceError]] = {
    "timed out": DeviceTimeoutError,
    "held by another": BusyError,
    "access denied": BusyError,
    "ACCESS_DENIED": BusyError,
    "BUSY": BusyError,
    "control was lost": DisconnectedError,
    "not connected": DisconnectedError,
    "io error": DisconnectedError,
    "malformed": ProtocolError,
    "device description": ProtocolError,
    "does not support": UnsupportedError,
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what the library raises inside as a DeviceError of the kind that fits.

    Args:
        doing: What was asked of which device, for the message.
    """
    try:
        yield
    except telegenic.GenicamError as error:
        raise kind_of(str(error), SettingError)(f"{doing}: {error}") from error
    except telegenic.CameraError as error:
        raise kind_of(str(error), DeviceError)(f"{doing}: {error}") from error


def kind_of(text: str, otherwise: type[DeviceError]) -> type[DeviceError]:
    """Return the class of error that a message of the library stands for."""
    for phrase, kind in _KIND_BY_TEXT.items():
        if phrase in text:
            return kind
    return otherwise
