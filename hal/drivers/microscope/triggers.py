"""What makes a camera of python-microscope take a frame."""

from dataclasses import dataclass
from typing import Any

from microscope import TriggerMode, TriggerType

from hal.drivers.microscope.errors import translated
from hal.errors import OptionError, UnsupportedError


@dataclass(frozen=True)
class Trigger:
    """What the library calls the type and the mode of a trigger.

    Attributes:
        kind: Where it comes from.
        mode: What it makes the camera do.
    """

    kind: TriggerType
    mode: TriggerMode

    @classmethod
    def of(cls, device: Any) -> "Trigger":
        """Return what a camera waits for now."""
        with translated("reading the trigger"):
            return cls(device.trigger_type, device.trigger_mode)

    @classmethod
    def parse(cls, kind: str, mode: str) -> "Trigger":
        """Read the options `trigger_type` and `trigger_mode`.

        Raises:
            OptionError: The library knows none of this name.
        """
        return cls(
            _member("trigger_type", kind, TriggerType), _member("trigger_mode", mode, TriggerMode)
        )

    def put(self, device: Any) -> None:
        """Make a camera wait for this one.

        Raises:
            OptionError: It takes another one.
            UnsupportedError: It has none of these.
        """
        with translated(f"setting the trigger to {self}", OptionError):
            device.set_trigger(self.kind, self.mode)
        taken = Trigger.of(device)
        if taken != self:
            raise OptionError(f"setting the trigger to {self}: the camera took {taken}")

    @property
    def is_ours(self) -> bool:
        """Whether the computer sends it; else frames come when somebody else wants them."""
        return self.kind is TriggerType.SOFTWARE

    @property
    def is_for_each_frame(self) -> bool:
        """Whether the driver has to send one for each frame."""
        return self.is_ours and self.mode is TriggerMode.ONCE

    @property
    def is_for_the_start(self) -> bool:
        """Whether the driver has to send one for all frames."""
        return self.is_ours and self.mode is TriggerMode.START

    def require_sense(self) -> None:
        """Raise UnsupportedError for an exposure that lasts as long as a software trigger."""
        if self.is_ours and self.mode is TriggerMode.BULB:
            raise UnsupportedError(
                f"{self}: a software trigger has no length; set trigger_mode = 'once' or 'strobe'"
            )

    def __str__(self) -> str:
        return f"{_word(self.kind.name)}, {_word(self.mode.name)}"


BY_SOFTWARE = Trigger(TriggerType.SOFTWARE, TriggerMode.ONCE)


def _member(option: str, word: str, kinds: Any) -> Any:
    known = {_word(name): member for name, member in kinds.__members__.items()}
    if word not in known:
        raise OptionError(f"{option} = {word!r}: choose one of {', '.join(known)}")
    return known[word]


def _word(name: str) -> str:
    return name.lower().replace("_", "-")
