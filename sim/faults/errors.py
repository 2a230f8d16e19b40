"""Exceptions that a fault raises; each says by its class that it was injected."""

import os

from hal.errors import DeviceTimeoutError, DisconnectedError


class InjectedError(Exception):
    """Raised by a fault. Every exception that a fault raises in a process is one of these."""


class InjectedOSError(InjectedError, OSError):
    """The operating system refuses."""


class InjectedMemoryError(InjectedError, MemoryError):
    """There is no memory left."""


class InjectedValueError(InjectedError, ValueError):
    """A value is wrong."""


class InjectedMissingError(InjectedError, FileNotFoundError):
    """Something is not there."""


class InjectedTimeoutError(InjectedError, DeviceTimeoutError):
    """A device does not answer."""


class InjectedDisconnectedError(InjectedError, DisconnectedError):
    """A device is gone."""


ERRORS: dict[str, type[InjectedError]] = {
    "Exception": InjectedError,
    "OSError": InjectedOSError,
    "MemoryError": InjectedMemoryError,
    "ValueError": InjectedValueError,
    "FileNotFoundError": InjectedMissingError,
    "DeviceTimeoutError": InjectedTimeoutError,
    "DisconnectedError": InjectedDisconnectedError,
}


def os_error(number: int, path: str) -> InjectedOSError:
    """Return the error with which the operating system refuses something with a file."""
    return InjectedOSError(number, os.strerror(number), path)


def is_injected(error: BaseException) -> bool:
    """Whether a fault raised this exception, or one that led to it."""
    seen: BaseException | None = error
    for _ in range(100):
        if seen is None:
            return False
        if isinstance(seen, InjectedError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def tells_of_injected(text: str) -> bool:
    """Whether a logged traceback is that of an exception that a fault raised."""
    return any(error.__name__ in text for error in ERRORS.values())
