"""The error numbers of GCS, sorted into the kinds of `hal.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipython import GCSError

from hal.errors import (
    BusyError,
    DeviceError,
    LimitError,
    MotionError,
    OptionError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

_KIND_BY_CODE: dict[int, type[DeviceError]] = {
    1: ProtocolError,  # parameter syntax
    2: UnsupportedError,  # unknown command
    5: MotionError,  # the servo is off, or the axis not referenced
    7: LimitError,  # position out of limits
    8: SettingError,  # velocity out of limits
    10: MotionError,  # stopped by command
    15: OptionError,  # no such axis
    17: SettingError,  # parameter out of range
    23: OptionError,  # illegal axis
    46: BusyError,  # the controller is busy with something else
    -1004: ProtocolError,  # unexpected answer
    -1024: MotionError,  # position error too large, servo switched off
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what pipython raises inside as a DeviceError of the kind that fits.

    Args:
        doing: What was asked of the controller, for the message.
    """
    try:
        yield
    except GCSError as error:
        kind = _KIND_BY_CODE.get(error.val, DeviceError)
        raise kind(f"{doing}: the controller says: {error}") from error
    except (LookupError, TypeError, ValueError) as error:
        # pipython does not expect an answer that it can not read, and fails in many ways.
        if isinstance(error, DeviceError):
            raise
        raise ProtocolError(
            f"{doing}: the controller's answer makes no sense ({type(error).__name__}: {error}); "
            "is it a PI controller with GCS 2?"
        ) from error
