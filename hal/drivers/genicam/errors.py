"""The exceptions of GenTL and GenApi, sorted into the kinds of `hal.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager

from genicam import genapi, gentl

from hal.errors import (
    BusyError,
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    DriverError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

GENICAM_ERRORS: tuple[type[Exception], ...] = (gentl.GenericException, genapi.GenericException)

_KINDS: dict[type[Exception], type[DeviceError]] = {
    gentl.TimeoutException: DeviceTimeoutError,
    gentl.ResourceInUseException: BusyError,
    gentl.AccessDeniedException: BusyError,
    gentl.BusyException: BusyError,
    gentl.IoException: DisconnectedError,
    gentl.AbortException: DisconnectedError,
    gentl.ClosedException: DisconnectedError,
    gentl.InvalidHandleException: DisconnectedError,
    gentl.InvalidIdException: DisconnectedError,
    gentl.NotInitializedException: DisconnectedError,
    gentl.NotImplementedException: UnsupportedError,
    gentl.NotAvailableException: UnsupportedError,
    gentl.LoadLibraryException: DriverError,
    gentl.BufferTooSmallException: ProtocolError,
    gentl.InvalidBufferException: ProtocolError,
    gentl.InvalidAddressException: ProtocolError,
    gentl.NoDataException: ProtocolError,
    gentl.ParsingChunkDataException: ProtocolError,
    genapi.TimeoutException: DeviceTimeoutError,
    genapi.OutOfRangeException: SettingError,
    genapi.InvalidArgumentException: SettingError,
    genapi.AccessException: SettingError,
    genapi.PropertyException: ProtocolError,
    genapi.LogicalErrorException: ProtocolError,
    genapi.DynamicCastException: ProtocolError,
}

_WHAT_TO_DO: dict[type[DeviceError], str] = {
    BusyError: "; is it in use by another program?",
    DeviceTimeoutError: "; is it switched on and connected?",
    DisconnectedError: "; see that it is on and connected, and open it again",
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what GenTL or GenApi raises inside as a DeviceError of the kind that fits.

    Args:
        doing: What was asked of the device, for the message: `"setting Width to 640"`.
    """
    try:
        yield
    except GENICAM_ERRORS as error:
        kind = kind_of(error)
        said = f"{doing}: {in_words(error)}{_WHAT_TO_DO.get(kind, '')}"
        raise kind(said) from error


def kind_of(error: Exception) -> type[DeviceError]:
    """Return the class of error that an exception of GenTL or GenApi stands for."""
    for known, kind in _KINDS.items():
        if isinstance(error, known):
            return kind
    return DeviceError


def in_words(error: Exception) -> str:
    """Return what an exception says, in one line, without what every one says."""
    text = " ".join(str(error).split()).removeprefix("GenTL exception: ")
    text = text.replace(" (Message from the source: )", "").partition(" : ")[0].rstrip(". ")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
