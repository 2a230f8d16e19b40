"""What cameras and motors that play a capture have in common."""

from os import PathLike
from pathlib import Path
from typing import ClassVar, NoReturn, get_args

from hal.device import Device, Identity, Setting, SettingValue
from hal.errors import DeviceError, DisconnectedError, OptionError, ProtocolError, SettingError
from hal.recording.following import Follower, Pace, Policy
from hal.recording.lines import Description
from hal.recording.reading import read_capture


class CapturedDevice(Device):
    """Plays the capture of a device.

    The first `open` reads it. A capture is followed from one `open` to the next, as it was
    captured; when all of it was played, `open` begins anew.

    Args:
        path: The capture.
        pace: `real` or `fast`; see `Follower`.
        on_divergence: `report` or `stop`; see `Follower`.

    Raises:
        OptionError: `pace` or `on_divergence` is another word.
    """

    driver: ClassVar[str] = ""
    captured_kinds: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        pace: Pace = "real",
        on_divergence: Policy = "report",
    ) -> None:
        check_choice("pace", pace, get_args(Pace))
        check_choice("on_divergence", on_divergence, get_args(Policy))
        self._path = Path(path).expanduser()
        self._pace: Pace = pace
        self._on_divergence: Policy = on_divergence
        self._follower: Follower | None = None
        self._is_open = False
        self._own_values: dict[str, SettingValue] = {}

    @property
    def identity(self) -> Identity:
        """Whom the capture is of; the driver is this one, and there is no matter behind it."""
        found = None if self._follower is None else self._follower.description
        if found is None:
            return Identity("MagScope", "replay", self._path.stem, self.driver, is_real=False)
        them = found.identity
        return Identity(them.vendor, them.model, them.serial, self.driver, is_real=False)

    @property
    def is_open(self) -> bool:
        """Whether the capture can be played."""
        return self._is_open

    def open(self) -> None:
        """Read the capture, or go on with it.

        Raises:
            OptionError: There is no capture at `path`, or one of another kind of device.
            ProtocolError: It is damaged, or the device never described itself in it.
            DeviceError: The captured device did not open either.
        """
        if self._follower is None:
            self._follower = self._read()
        elif self._follower.is_at_end and not self._is_open:
            self._follower.rewind()
        self._follower.command("open")
        if self._follower.description is None:
            self._follower = None
            raise ProtocolError(
                f"{self._path} does not say what the device is: it was cut off before it was open"
            )
        self._is_open = True

    def _read(self) -> Follower:
        capture = read_capture((self.context.directory or Path()) / self._path)
        if capture.kind not in self.captured_kinds:
            raise OptionError(
                f"path = '{self._path}' is the capture of a {capture.kind} device; "
                f"{self.driver} plays {' or '.join(self.captured_kinds)}"
            )
        return Follower(
            capture,
            clock=self.context.clock,
            warn=self.context.warn,
            pace=self._pace,
            on_divergence=self._on_divergence,
        )

    def close(self) -> None:
        """Play no more, until it is opened again."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._opened.command("close")
        except DeviceError as error:  # the captured one failed to close
            self.context.warn(f"replay of {self._path}: {error}")

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings that the device had at this point of the capture."""
        return self._described.settings if self._is_open else ()

    def get(self, name: str) -> SettingValue:
        """Return a setting as it was captured, or as it was set since, if that was not captured."""
        self.setting(name)
        if name in self._own_values:
            return self._own_values[name]
        call = self._following.look("get", name)
        if call is None:
            raise SettingError(f"{name} was never read while {self._path} was captured")
        value: SettingValue = call.answer
        return value

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Return what the captured device took; a value that was not captured is taken as it is."""
        call = self._following.command("set", name, value)
        if call is not None:
            self._own_values.pop(name, None)
            taken: SettingValue = call.answer
            return taken
        self._own_values[name] = self.setting(name).check(value)
        return self._own_values[name]

    @property
    def _following(self) -> Follower:
        if not self._is_open:
            self._refuse()
        return self._opened

    @property
    def _opened(self) -> Follower:
        assert self._follower is not None
        return self._follower

    @property
    def _described(self) -> Description:
        description = self._following.description
        assert description is not None  # else it would not be open
        return description

    def _refuse(self) -> NoReturn:
        raise DisconnectedError(f"replay of {self._path} is not open: open it first")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of the choices.

    Raises:
        OptionError: It names them.
    """
    if value not in choices:
        raise OptionError(f"{name} = {value!r}: choose one of {', '.join(choices)}")
