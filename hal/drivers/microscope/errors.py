"""What python-microscope and the devices behind it raise, sorted into the kinds of `hal.errors`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import microscope

from hal.errors import (
    BusyError,
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    DriverError,
    UnsupportedError,
)

# The first that fits counts. A serial port's errors are OSErrors, and so is a time-out.
_KINDS: tuple[tuple[type[Exception], type[DeviceError]], ...] = (
    (microscope.DisabledDeviceError, DisconnectedError),
    (microscope.IncompatibleStateError, BusyError),
    (microscope.InitialiseError, DisconnectedError),
    (microscope.UnsupportedFeatureError, UnsupportedError),
    (microscope.LibraryLoadError, DriverError),
    (NotImplementedError, UnsupportedError),
    (ImportError, DriverError),
    (TimeoutError, DeviceTimeoutError),
    (OSError, DisconnectedError),
)
_LOGGER = logging.getLogger("microscope.abc")


@contextmanager
def translated(doing: str, refused: type[DeviceError] = DeviceError) -> Iterator[None]:
    """Raise whatever is raised inside as a DeviceError of the kind that fits.

    A device of this library may raise anything: there is one class of it for each device.

    Args:
        doing: What was asked of the device, for the message: `"moving to 3 um"`.
        refused: What a ValueError, TypeError or KeyError stands for.
    """
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        raise kind_of(error, refused)(f"{doing}: {in_a_line(error)}") from error


def kind_of(error: Exception, refused: type[DeviceError] = DeviceError) -> type[DeviceError]:
    """Return the class of `hal.errors` that an exception of the library stands for."""
    for kind, ours in _KINDS:
        if isinstance(error, kind):
            return ours
    return refused if isinstance(error, (ValueError, TypeError, LookupError)) else DeviceError


def in_a_line(error: BaseException) -> str:
    """Return an exception's class and words in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Overheard(logging.Handler):
    """What the library tells its log and nobody else: the errors that it catches in its threads.

    Attributes:
        threads: Identifiers of the threads to listen to; what others say is passed over.
    """

    _MOST = 8

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.threads: set[int | None] = set()
        self._errors: list[tuple[int | None, Exception]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception that comes with a record; of many the first few."""
        error = record.exc_info[1] if record.exc_info else None
        is_new = record.thread in self.threads and len(self._errors) < self._MOST
        if is_new and isinstance(error, Exception):
            self._errors.append((record.thread, error))

    def first_in(self, thread: int | None) -> Exception | None:
        """Return what was raised first in a thread."""
        return next((error for where, error in self._errors if where == thread), None)

    def everywhere(self) -> list[Exception]:
        """Return what was raised in all the threads, oldest first."""
        return [error for _, error in self._errors]

    def forget(self) -> None:
        """Forget all of it, and whom to listen to."""
        self._errors.clear()
        self.threads.clear()

    def begin(self) -> None:
        """Listen from now on."""
        _LOGGER.addHandler(self)

    def end(self) -> None:
        """Listen no more; does nothing the second time."""
        _LOGGER.removeHandler(self)

    @contextmanager
    def closely(self) -> Iterator[None]:
        """Listen to what the library only says when it is asked for every detail."""
        level = _LOGGER.level
        _LOGGER.setLevel(logging.DEBUG)
        _LOGGER.addHandler(self)
        try:
            yield
        finally:
            _LOGGER.removeHandler(self)
            _LOGGER.setLevel(level)
