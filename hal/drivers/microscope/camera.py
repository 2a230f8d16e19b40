"""Cameras of python-microscope: frames from the library's threads, copied in place and counted."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import microscope.abc
import numpy as np

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.device import Setting, SettingValue
from hal.drivers.microscope.device import MicroscopeDevice
from hal.drivers.microscope.errors import translated
from hal.drivers.microscope.inbox import Inbox, is_frame, shown
from hal.drivers.microscope.running import Running
from hal.drivers.microscope.settings import refuse_if_ignored
from hal.drivers.microscope.shape import Shape, checked_frame
from hal.drivers.microscope.triggers import BY_SOFTWARE, Trigger
from hal.errors import DeviceError, OptionError, ProtocolError, SettingError
from hal.support import Support

EXPOSURE, FRAMERATE = "exposure_us", "framerate_hz"
_US_PER_S = 1e6
# A frame under way ends on its own; nobody who stops the camera waits for it longer than this.
_PROMPT_S = 0.4
_LONGEST_WAIT_S, _SHORTEST_WAIT_S = 0.002, 0.0002


class MicroscopeCamera(MicroscopeDevice, Camera):
    """A camera of python-microscope, or of any package that derives one from its classes.

    The library does not number frames. They are numbered as they arrive, so those that are lost
    here, as nobody fetched them, are gaps; those that the camera or its maker's library lost can
    not be known. Timestamps are the library's: of when it fetched the frame from the device.

    Args:
        device: See `MicroscopeDevice`.
        options: See `MicroscopeDevice`.
        member: See `MicroscopeDevice`.
        properties: See `MicroscopeDevice`.
        exposure_us: The exposure; as the device has it if None.
        roi: Left, top, width and height of the region of the sensor, in px as the device counts
            them; as the device has it if None.
        binning: Columns and rows that are added up; as the device has it if None.
        transform: Whether to flip left and right, to flip up and down, and to turn by 90 degrees.
        trigger_type: `software`, `rising-edge` or another of the library's; as the device has it if
            None. With `software` and `once` the driver triggers each frame as soon as it has the
            one before.
        trigger_mode: `once`, `strobe`, `start` or `bulb`.
        triggers_ahead: How many triggers may be on their way, where the driver sends them; a camera
            that takes a trigger during an exposure is quicker with 2.
        frame: Width and height in px, and 8 or 16 bits. Only for a camera that can not be triggered
            by software: of others one frame is taken to find out.
        queue_frames: How many frames may wait to be fetched.
        timeout_s: How long a frame may take beside its exposure, and any call.
    """

    driver = "microscope.camera"
    support = Support(
        "cameras of python-microscope, and those that other packages derive from its classes",
        "emulator",
        "python-microscope's own camera for trying out",
        library="microscope",
        extra="microscope",
    )
    wanted = (microscope.abc.Camera,)
    hidden_settings = frozenset({"roi", EXPOSURE, FRAMERATE})

    def __init__(
        self,
        device: str | type,
        *,
        options: Mapping[str, Any] | None = None,
        member: str = "",
        properties: Mapping[str, Any] | None = None,
        exposure_us: float | None = None,
        roi: Sequence[int] | None = None,
        binning: Sequence[int] | None = None,
        transform: Sequence[bool] | None = None,
        trigger_type: str | None = None,
        trigger_mode: str = "once",
        triggers_ahead: int = 1,
        frame: Sequence[int] | None = None,
        queue_frames: int = 20,
        timeout_s: float = 5.0,
    ) -> None:
        super().__init__(
            device, options=options, member=member, properties=properties, timeout_s=timeout_s
        )
        for name, value in (("queue_frames", queue_frames), ("triggers_ahead", triggers_ahead)):
            if not value >= 1:
                raise OptionError(f"{name} = {value!r}: expected 1 or more")
        self._exposure_us = exposure_us
        self._shape = Shape.parse(roi, binning, transform)
        self._asked_trigger = trigger_type and Trigger.parse(trigger_type, trigger_mode)
        self._ahead = triggers_ahead
        self._frame = checked_frame(frame)
        self.queue_frames = queue_frames
        self._format = FrameFormat(0, 0, 8)
        self._trigger = BY_SOFTWARE
        self._running: Running | None = None

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the frames; fixed while the camera is open."""
        self._device  # noqa: B018  raises when closed
        return self._format

    def start(self) -> None:
        """Begin to take frames, from number 0.

        Raises:
            DeviceTimeoutError: A frame that was under way at the last `stop` does not end.
            DeviceError: The camera can not be enabled or triggered.
        """
        running = self._runner
        self.stop()
        send = self._device.trigger if self._trigger.is_for_each_frame else None
        running.start(
            Inbox(self.context.clock, self.queue_frames, send, self._ahead), self._trigger
        )

    def stop(self) -> None:
        """Take no more frames; those that wait, and one under way, are forgotten."""
        if self._running is not None:
            self._running.stop(_PROMPT_S)

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy the oldest waiting frame into `out`.

        Raises:
            DeviceTimeoutError: No frame has come for longer than one takes.
            ProtocolError: The frame has not the shape and depth of the first one.
            DeviceError: The camera, or a thread of the library, failed. What went wrong is raised
                again until the camera is stopped or started.
        """
        arrival = self._runner.next(self._trigger)
        if arrival is None:
            return None
        pixels = arrival.pixels
        if not is_frame(pixels) or _format_of(pixels) != self._format:
            error = ProtocolError(
                f"the camera gave {shown(pixels)}, not {self._format.shape} of "
                f"{self._format.dtype} as when it was opened: reopen it"
            )
            self._runner.fail(error)
            raise error
        np.copyto(out, pixels)
        return FrameInfo(arrival.number, arrival.timestamp_ns)

    def ready_in_s(self) -> float:
        """Return a quarter of the exposure, at most 2 ms, or 0 when a frame waits."""
        running = self._runner
        if running.inbox is not None and running.inbox.waits:
            return 0.0
        return min(max(running.exposure_s / 4, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The exposure, the frame rate as measured, and every setting that the device can tell."""
        return (*self._own_settings(), *super().settings)

    def setting(self, name: str) -> Setting:
        """Return the description of a setting."""
        for own in self._own_settings():
            if own.name == name:
                return own
        return super().setting(name)

    def get(self, name: str) -> SettingValue:
        """Return a setting; `framerate_hz` is measured, 0 before there were frames."""
        if name == FRAMERATE:
            inbox = self._runner.inbox
            return inbox.framerate_hz if inbox is not None else 0.0
        if name == EXPOSURE:
            self.setting(name)
            return self._read_exposure(self._device) * _US_PER_S
        return super().get(name)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting and return what the device took.

        A camera that takes frames is stopped for it and goes on with the next number. A frame is
        taken to see that the setting, other than the exposure, did not change what frames are like.

        Raises:
            SettingError: The value is refused, or changes the shape or depth of the frames, which
                are fixed while the camera is open, or no frame comes with it. It is then put back.
        """
        device, running = self._device, self._runner
        checked = self.setting(name).check(value)
        with running.paused(self._trigger):
            if name == EXPOSURE:
                return self._write_exposure(device, float(checked))
            before = self._panel.read(name)
            taken = super().set(name, checked)
            if taken != before:
                self._require_same_frames(device, name, before, taken)
            return taken

    @property
    def _runner(self) -> Running:
        self._device  # noqa: B018  raises when closed
        assert self._running is not None
        return self._running

    def _own_settings(self) -> tuple[Setting, ...]:
        rate = Setting(FRAMERATE, float, "Hz", is_read_only=True)
        if self._made is None or self._made.get_exposure_time() is None:
            return (rate,)
        return (Setting(EXPOSURE, float, "us", lower=0.0), rate)

    def _set_up(self, device: Any) -> None:
        self._running = Running(device, self._enable, self.context.clock, self._timeout_s)
        self._shape.put(device)
        if self._exposure_us is not None:
            self._write_exposure(device, float(self._exposure_us))
        with translated("reading the exposure"):
            self._running.exposure_s = float(device.get_exposure_time() or 0.0)
        if self._asked_trigger:
            self._asked_trigger.put(device)
        self._trigger = Trigger.of(device)
        self._trigger.require_sense()
        self._format = self._frame or self._tried(device)

    def _tear_down(self, device: Any) -> None:  # noqa: ARG002
        self.stop()

    def _last_errand(self, device: Any, root: Any) -> Callable[[], None]:
        running, self._running = self._running, None
        return running.last_errand(root) if running else super()._last_errand(device, root)

    def _tried(self, device: Any) -> FrameFormat:
        """Take a frame, as the library tells the depth of none, and not always the shape."""
        assert self._running is not None
        is_other = not self._trigger.is_ours
        try:
            if is_other:
                BY_SOFTWARE.put(device)
            pixels = self._running.trial(BY_SOFTWARE if is_other else self._trigger)
        except (OptionError, NotImplementedError) as error:
            raise OptionError(
                f"frame is needed, as [width, height, bits]: no frame can be taken by software to "
                f"find it out: {error}"
            ) from error
        finally:
            if is_other:
                self._trigger.put(device)
        if not is_frame(pixels):
            raise OptionError(
                f"{self._name} gives {shown(pixels)}; frames of 8 or 16 bits of grey are needed: "
                "choose another data type in properties"
            )
        return _format_of(pixels)

    def _require_same_frames(
        self, device: Any, name: str, before: SettingValue, taken: SettingValue
    ) -> None:
        if self._frame is not None:
            return  # such a camera is seen to differ with its next frame
        try:
            changed = self._tried(device)
        except DeviceError as error:
            self._panel.put_back(name, before)
            raise SettingError(f"{name} = {taken!r}: no frame comes with it: {error}") from error
        if changed != self._format:
            self._panel.put_back(name, before)
            raise SettingError(
                f"{name} = {taken!r} would change the frames from {self._format} to {changed} "
                "while the camera is open: give it in the option properties instead"
            )

    def _read_exposure(self, device: Any) -> float:
        with translated("reading the exposure"):
            return float(device.get_exposure_time())

    def _write_exposure(self, device: Any, asked_us: float) -> float:
        if not (math.isfinite(asked_us) and asked_us >= 0):
            raise SettingError(f"{EXPOSURE} = {asked_us!r}: expected a time of 0 or more")
        doing = f"setting the exposure to {asked_us:g} us"
        before_s = device.get_exposure_time()
        with translated(doing, SettingError):
            device.set_exposure_time(asked_us / _US_PER_S)
        if before_s is None:  # it does not tell
            return asked_us
        try:
            taken_s = self._read_exposure(device)
            refuse_if_ignored(EXPOSURE, before_s * _US_PER_S, asked_us, taken_s * _US_PER_S)
        except DeviceError:
            with translated(doing):
                device.set_exposure_time(before_s)
            raise
        assert self._running is not None
        self._running.exposure_s = taken_s
        return taken_s * _US_PER_S


def _format_of(pixels: np.ndarray) -> FrameFormat:
    height, width = pixels.shape
    return FrameFormat(width, height, 8 * pixels.dtype.itemsize)
