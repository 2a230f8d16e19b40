"""Devices that stand in front of one, use it, and write down all that is asked and answered."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.device import Device, Identity, Setting, SettingValue
from hal.errors import DeviceError, LimitError, UnsupportedError
from hal.motor import Axis, FocusMotor, LinearMotor, Motor, RotaryMotor
from hal.recording.lines import described, kind_of
from hal.recording.writing import CaptureWriter

Answer = TypeVar("Answer")


def recorded(device: Device, writer: CaptureWriter) -> Device:
    """Return what stands in front of a device, which is not yet open, and records it.

    Raises:
        UnsupportedError: It is neither a camera nor a linear, rotary or focus motor.
    """
    kind = kind_of(device)
    if not kind:
        raise UnsupportedError(
            f"a {type(device).__name__} can not be captured: expected a hal.Camera, LinearMotor, "
            "RotaryMotor or FocusMotor"
        )
    recorder: Device = _RECORDERS[kind](device, writer)
    return recorder


class RecordedDevice(Device):
    """What all recorders have in common.

    Args:
        inner: The device that is used.
        writer: Where its calls go.
    """

    def __init__(self, inner: Any, writer: CaptureWriter) -> None:
        self._inner = inner
        self._writer = writer
        self._description: dict[str, Any] | None = None
        self.context = inner.context

    @property
    def identity(self) -> Identity:
        """Who the device is."""
        identity: Identity = self._inner.identity
        return identity

    @property
    def is_open(self) -> bool:
        """Whether the device can be used."""
        return bool(self._inner.is_open)

    def open(self) -> None:
        """Connect to the device, and write down how it describes itself."""
        self._call("open", self._inner.open)
        self._describe()

    def close(self) -> None:
        """Let go of the device. The capture goes on if it is opened again."""
        self._call("close", self._inner.close)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings of the device."""
        settings: tuple[Setting, ...] = self._inner.settings
        return settings

    def get(self, name: str) -> SettingValue:
        """Return a setting."""
        return self._call("get", self._inner.get, name)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting, which may change the limits of others."""
        taken = self._call("set", self._inner.set, name, value)
        self._describe()
        return taken

    def _call(self, name: str, call: Callable[..., Answer], *args: Any) -> Answer:
        began_ns, record = self._begin(name, args)
        try:
            answer = call(*args)
        except Exception as error:  # whatever a driver raises was its answer
            self._fail(record, began_ns, error)
            raise
        record["took_ns"] = self.context.clock.monotonic_ns() - began_ns
        record["answer"] = answer
        self._writer.record(record)
        return answer

    def _begin(self, name: str, args: tuple) -> tuple[int, dict[str, Any]]:
        clock = self.context.clock
        began_ns = clock.monotonic_ns()
        return began_ns, {"call": name, "args": args, "at": (began_ns, clock.now_ns())}

    def _fail(self, record: dict[str, Any], began_ns: int, error: Exception) -> None:
        record["took_ns"] = self.context.clock.monotonic_ns() - began_ns
        record["error"] = (type(error).__name__, str(error))
        self._writer.record(record)

    def _describe(self) -> None:
        clock = self.context.clock
        at = (clock.monotonic_ns(), clock.now_ns())
        try:
            description = described(self._inner)
        except DeviceError as error:  # the system did not ask: it hears of this when it does
            self._writer.record({"undescribed": (type(error).__name__, str(error)), "at": at})
            return
        if description != self._description:
            self._description = description
            self._writer.record({"describe": description, "at": at})


class RecordedCamera(RecordedDevice, Camera):
    """A camera whose calls and frames are written down."""

    def __init__(self, inner: Camera, writer: CaptureWriter) -> None:
        super().__init__(inner, writer)
        self._take_over()

    def open(self) -> None:
        """Connect to the camera, which may only now know what it keeps and tells."""
        super().open()
        self._take_over()

    def _take_over(self) -> None:
        self.annotation_name = self._inner.annotation_name
        self.annotation_columns = self._inner.annotation_columns
        self.queue_frames = self._inner.queue_frames
        self.keeps_all_frames = self._inner.keeps_all_frames

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the frames."""
        form: FrameFormat = self._inner.frame_format
        return form

    def start(self) -> None:
        """Begin to take frames."""
        self._call("start", self._inner.start)

    def stop(self) -> None:
        """Take no more frames."""
        self._call("stop", self._inner.stop)

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Fetch a frame into `out`, and write it down from there."""
        began_ns, record = self._begin("fetch_into", ())
        try:
            info: FrameInfo | None = self._inner.fetch_into(out)
        except Exception as error:  # whatever a driver raises was its answer
            self._fail(record, began_ns, error)
            raise
        record["took_ns"] = self.context.clock.monotonic_ns() - began_ns
        if info is None:
            record["answer"] = None
            self._writer.record(record)
        else:
            self._writer.frame(record, out, info)
        return info

    def ready_in_s(self) -> float:
        """Return when it is worth asking again."""
        return self._call("ready_in_s", self._inner.ready_in_s)


class RecordedMotor(RecordedDevice, Motor):
    """A motor whose calls are written down: those that a driver implements."""

    def open(self) -> None:
        """Connect to the motor."""
        if not self.is_open:
            self._target = None
        super().open()

    @property
    def axis(self) -> Axis:
        """The range of the motor."""
        axis: Axis = self._inner.axis
        return axis

    @property
    def is_moving(self) -> bool:
        """Whether the motor is on its way."""
        return self._call("is_moving", lambda: self._inner.is_moving)

    def read_position(self) -> float:
        """Ask the motor where it is."""
        return self._call("read_position", self._inner.read_position)

    def begin_move(self, target: float) -> None:
        """Start a movement to a target within the axis."""
        self._call("begin_move", self._inner.begin_move, target)

    def halt(self) -> None:
        """Stop as fast as is safe."""
        self._call("halt", self._inner.halt)

    def begin_home(self) -> None:
        """Start the search for the home position."""
        self._call("begin_home", self._inner.begin_home)

    def move_to(self, target: float) -> None:
        """Start the movement, or refuse it, which is written down although no motor hears of it."""
        began_ns, record = self._begin("move_to", (target,))
        try:
            super().move_to(target)
        except LimitError as error:
            self._fail(record, began_ns, error)
            raise


class RecordedLinearMotor(RecordedMotor, LinearMotor):
    """A linear motor whose calls are written down."""


class RecordedFocusMotor(RecordedMotor, FocusMotor):
    """A focus motor whose calls are written down."""


class RecordedRotaryMotor(RecordedMotor, RotaryMotor):
    """A rotary motor whose calls are written down."""


_RECORDERS: dict[str, Any] = {
    "camera": RecordedCamera,
    "focus": RecordedFocusMotor,
    "linear": RecordedLinearMotor,
    "rotary": RecordedRotaryMotor,
}
