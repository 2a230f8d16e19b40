"""Every failure of a device, as a tree.

::

    DeviceError                 anything that a device or its driver reports
    ├── DeviceTimeoutError      no answer within the stated time        (TimeoutError)
    ├── DisconnectedError       the device is gone, or was never there  (ConnectionError)
    ├── BusyError               somebody else, or another task, has it
    ├── LimitError              a position outside the axis             (ValueError)
    ├── SettingError            a setting's name or value is refused    (ValueError)
    ├── MotionError             a stall, lost steps, a missed target
    ├── OverrunError            frames were lost: nobody fetched them
    ├── ProtocolError           the device answered nonsense
    ├── DivergenceError         what was asked is not what was captured
    ├── UnsupportedError        the device cannot do this at all        (NotImplementedError)
    └── DriverError             the driver itself cannot be used
        ├── UnknownDriverError  no driver has this name                 (LookupError)
        ├── MissingExtraError   its library is not installed            (ImportError)
        └── OptionError         it has no such option, or not this value (ValueError)

A driver raises one of these and nothing else: the manager above it decides by the class. A message
says what was wrong, the value, what was expected and what to do.
"""


class DeviceError(Exception):
    """Anything that a device or its driver reports."""


class DeviceTimeoutError(DeviceError, TimeoutError):
    """The device did not answer within the stated time."""


class DisconnectedError(DeviceError, ConnectionError):
    """The device is gone, was never there, or has not been opened."""


class BusyError(DeviceError):
    """The device is in use by another task or another program."""


class LimitError(DeviceError, ValueError):
    """A position lies outside the axis. Nothing was moved: clipping is the rig file's choice."""


class SettingError(DeviceError, ValueError):
    """A setting has no such name, is read-only, or does not take this value."""


class MotionError(DeviceError):
    """A movement failed: a stall, lost steps, or a target that was not reached."""


class OverrunError(DeviceError):
    """The device lost frames because they were not fetched in time."""


class ProtocolError(DeviceError):
    """The device's answer makes no sense."""


class DivergenceError(DeviceError):
    """A device that plays a capture was asked something else than was captured."""


class UnsupportedError(DeviceError, NotImplementedError):
    """The device can not do this at all."""


class DriverError(DeviceError):
    """The driver itself can not be used."""


class UnknownDriverError(DriverError, LookupError):
    """No driver has this name."""


class MissingExtraError(DriverError, ImportError):
    """The library that the driver needs is not installed."""


class OptionError(DriverError, ValueError):
    """The driver has no such option, or the option does not take this value."""
