"""Faults of cameras and motors. `process` is the name of the device's manager."""

from dataclasses import dataclass, field
from typing import ClassVar

from sim.faults.base import Fault, LastingFault, seconds


@dataclass(frozen=True)
class DeviceFault(Fault):
    """What a device does wrong.

    The sites are `device.open`, `device.set`, `device.halt`; of a camera `device.fetch` (it is
    asked for a frame) and `device.frame` (a frame has come); of a motor `device.move`,
    `device.position` and `device.moving` (it is asked whether it moves).
    """


@dataclass(frozen=True)
class CameraDrop(DeviceFault):
    """Frames are lost in the camera; its frame numbers show it.

    Attributes:
        frames: How many in a row.
    """

    frames: int = field(default=1, metadata={"least": 1})
    kind: ClassVar[str] = "camera-drop"
    default_site: ClassVar[str] = "device.frame"

    def __str__(self) -> str:
        return f"the camera of {self.process} loses {_frames(self.frames)} {self.when}"


@dataclass(frozen=True)
class CameraLate(DeviceFault, LastingFault):
    """Frames come later than they should, each by the same time.

    Attributes:
        late_s: By how much.
    """

    late_s: float = seconds(0.1, above=0.0)
    kind: ClassVar[str] = "camera-late"
    default_site: ClassVar[str] = "device.frame"

    def __str__(self) -> str:
        return (
            f"the frames of {self.process} are {self.late_s:g} s late {self.when} {self.how_long}"
        )


@dataclass(frozen=True)
class CameraDuplicate(DeviceFault):
    """The camera delivers a frame twice."""

    kind: ClassVar[str] = "camera-duplicate"
    default_site: ClassVar[str] = "device.frame"

    def __str__(self) -> str:
        return f"the camera of {self.process} delivers a frame twice {self.when}"


@dataclass(frozen=True)
class CameraTorn(DeviceFault):
    """The lower half of a frame is that of the frame before."""

    kind: ClassVar[str] = "camera-torn"
    default_site: ClassVar[str] = "device.frame"

    def __str__(self) -> str:
        return f"the camera of {self.process} tears a frame {self.when}"


@dataclass(frozen=True)
class CameraBurst(DeviceFault):
    """The camera delivers nothing for a while, and then all that it has kept at once.

    Attributes:
        for_s: For how many virtual seconds it delivers nothing.
    """

    for_s: float = seconds(0.3, above=0.0)
    kind: ClassVar[str] = "camera-burst"
    default_site: ClassVar[str] = "device.fetch"

    def __str__(self) -> str:
        who = f"the camera of {self.process}"
        return f"{who} keeps its frames {self.when} for {self.for_s:g} s and sends them at once"


@dataclass(frozen=True)
class CameraDisconnect(DeviceFault, LastingFault):
    """The camera is gone; after `for_s` it can be opened again."""

    kind: ClassVar[str] = "camera-disconnect"
    default_site: ClassVar[str] = "device.fetch"

    def __str__(self) -> str:
        return f"the camera of {self.process} is gone {self.when} {self.how_long}"


@dataclass(frozen=True)
class CameraRefuse(DeviceFault):
    """The camera refuses the next setting."""

    kind: ClassVar[str] = "camera-refuse"
    default_site: ClassVar[str] = "device.set"

    def __str__(self) -> str:
        return f"the camera of {self.process} refuses a setting {self.when}"


@dataclass(frozen=True)
class CameraTimeout(DeviceFault):
    """The camera does not answer, this once."""

    kind: ClassVar[str] = "camera-timeout"
    default_site: ClassVar[str] = "device.fetch"

    def __str__(self) -> str:
        return f"the camera of {self.process} does not answer {self.when}"


@dataclass(frozen=True)
class CameraBlocks(DeviceFault, LastingFault):
    """A call of the camera's driver does not return."""

    kind: ClassVar[str] = "camera-blocks"
    default_site: ClassVar[str] = "device.fetch"

    def __str__(self) -> str:
        return f"the camera's driver in {self.process} does not return {self.when} {self.how_long}"


@dataclass(frozen=True)
class MotorStall(DeviceFault):
    """The motor stops on its way and says so when it is asked next."""

    kind: ClassVar[str] = "motor-stall"
    default_site: ClassVar[str] = "device.moving"

    def __str__(self) -> str:
        return f"the motor {self.process} stalls {self.when}"


@dataclass(frozen=True)
class MotorOvershoot(DeviceFault):
    """The motor's next movement goes too far, and then back.

    Attributes:
        by: How far, in the motor's unit.
    """

    by: float = seconds(100.0)
    kind: ClassVar[str] = "motor-overshoot"
    default_site: ClassVar[str] = "device.move"

    def __str__(self) -> str:
        return f"the motor {self.process} goes {self.by:g} too far {self.when}"


@dataclass(frozen=True)
class MotorLimit(DeviceFault):
    """The motor runs into a limit switch: it stops, and says so when it is asked next."""

    kind: ClassVar[str] = "motor-limit"
    default_site: ClassVar[str] = "device.moving"

    def __str__(self) -> str:
        return f"the motor {self.process} hits a limit switch {self.when}"


@dataclass(frozen=True)
class MotorLostSteps(DeviceFault):
    """The motor loses steps, and does not know: from now on it is not where it says.

    Attributes:
        by: How far it is behind, in the motor's unit.
    """

    by: float = seconds(100.0)
    kind: ClassVar[str] = "motor-lost-steps"
    default_site: ClassVar[str] = "device.move"

    def __str__(self) -> str:
        return f"the motor {self.process} loses steps {self.when}: it is {self.by:g} behind"


@dataclass(frozen=True)
class MotorDisconnect(DeviceFault, LastingFault):
    """The motor is gone; after `for_s` it can be opened again."""

    kind: ClassVar[str] = "motor-disconnect"
    default_site: ClassVar[str] = "device.position"

    def __str__(self) -> str:
        return f"the motor {self.process} is gone {self.when} {self.how_long}"


@dataclass(frozen=True)
class MotorSlow(DeviceFault, LastingFault):
    """The motor takes its time to answer.

    Attributes:
        late_s: How long.
    """

    late_s: float = seconds(0.2, above=0.0)
    kind: ClassVar[str] = "motor-slow"
    default_site: ClassVar[str] = "device.position"

    def __str__(self) -> str:
        slow = f"the motor {self.process} takes {self.late_s:g} s to answer"
        return f"{slow} {self.when} {self.how_long}"


@dataclass(frozen=True)
class MotorBlocks(DeviceFault, LastingFault):
    """A call of the motor's driver does not return."""

    kind: ClassVar[str] = "motor-blocks"
    default_site: ClassVar[str] = "device.position"

    def __str__(self) -> str:
        return f"the driver of the motor {self.process} does not return {self.when} {self.how_long}"


@dataclass(frozen=True)
class MotorStuck(DeviceFault, LastingFault):
    """The motor says that it moves, wherever it stands."""

    kind: ClassVar[str] = "motor-stuck"
    default_site: ClassVar[str] = "device.moving"

    def __str__(self) -> str:
        return f"the motor {self.process} says that it moves {self.when} {self.how_long}"


def _frames(n: int) -> str:
    return "a frame" if n == 1 else f"{n} frames"
