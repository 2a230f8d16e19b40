"""Micro-Manager's cameras, their frames taken one by one and counted."""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import pymmcore_nano as mm

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.clock import NS_PER_S
from hal.device import Setting, SettingValue
from hal.drivers.micromanager.device import MicroManagerDevice, refuse_if_ignored
from hal.drivers.micromanager.errors import translated
from hal.drivers.timeline import Timeline
from hal.errors import (
    BusyError,
    DeviceError,
    OptionError,
    OverrunError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

_ELAPSED = mm.g_Keyword_Elapsed_Time_ms
_NUMBER = mm.g_Keyword_Metadata_ImageNumber

# Micro-Manager's own names for what never changes the shape of a frame.
_SAFE_WHILE_RUNNING = frozenset({mm.g_Keyword_Gain, mm.g_Keyword_EMGain, mm.g_Keyword_Offset})

_LONGEST_WAIT_S = 0.002
_SHORTEST_WAIT_S = 0.0002


class MicroManagerCamera(MicroManagerDevice, Camera):
    """A camera of Micro-Manager; without options the demonstration camera.

    Frames that nobody fetched in time are discarded by the core without a word, but not without a
    trace: the core's image numbers go on, so every lost frame is a gap in `frame_number`.

    Args:
        adapter: See `MicroManagerDevice`.
        device: See `MicroManagerDevice`.
        adapter_path: See `MicroManagerDevice`.
        configuration: See `MicroManagerDevice`.
        properties: See `MicroManagerDevice`.
        exposure_ms: The exposure; as the device has it if None.
        width_px: Columns: of the sensor where the adapter lets it be chosen, as the demonstration
            camera does, else of a region in its middle; all if None.
        height_px: Rows, likewise.
        bits: 8 or 16 bits a pixel; as the device has it if None.
        buffer_mb: The memory in which frames wait to be fetched.
        stop_on_overrun: Stop and raise OverrunError when that memory was full, after the frames in
            it were fetched, instead of going on with a gap; `start` begins anew.
    """

    driver = "micromanager.camera"
    device_type = mm.DeviceType.CameraDevice
    hidden_properties = frozenset({mm.g_Keyword_Exposure})  # it is `exposure_us` here

    def __init__(
        self,
        *,
        adapter: str = "DemoCamera",
        device: str = "DCam",
        adapter_path: str | None = None,
        configuration: str | None = None,
        properties: Mapping[str, SettingValue] | None = None,
        exposure_ms: float | None = 10.0,
        width_px: int | None = None,
        height_px: int | None = None,
        bits: int | None = None,
        buffer_mb: int = 128,
        stop_on_overrun: bool = False,
    ) -> None:
        super().__init__(
            adapter=adapter,
            device=device,
            adapter_path=adapter_path,
            configuration=configuration,
            properties=properties,
        )
        if bits not in (None, 8, 16):
            raise OptionError(f"bits = {bits!r}: choose 8 or 16")
        self._exposure_ms = exposure_ms
        self._width_px = width_px
        self._height_px = height_px
        self._bits = bits
        self._buffer_mb = buffer_mb
        self._stop_on_overrun = stop_on_overrun
        self._format = FrameFormat(0, 0, 8)
        self._is_running = False
        self._next_number = 0
        self._timeline = Timeline()

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the frames; fixed while the camera is open."""
        self._core  # noqa: B018  raises when closed
        return self._format

    def start(self) -> None:
        """Begin to take frames, from number 0."""
        core = self._core
        self.stop()
        self._timeline = Timeline()
        self._next_number = 0
        with translated("starting the camera"):
            if self._stop_on_overrun:
                core.startSequenceAcquisition(2**31 - 1, 0, True)
            else:
                core.startContinuousSequenceAcquisition(0)
        self._is_running = True

    def stop(self) -> None:
        """Take no more frames; those that wait are forgotten."""
        if self._loaded is not None and self._is_running:
            self._is_running = False
            with translated("stopping the camera"):
                self._loaded.stopSequenceAcquisition()

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy the oldest waiting frame into `out`.

        Raises:
            OverrunError: Frames were lost and `stop_on_overrun` is set.
            ProtocolError: The frame has not the shape that was declared.
            DeviceError: The camera stopped by itself.
        """
        core = self._core
        if not self._is_running:
            return None
        if core.getRemainingImageCount() == 0:  # to pop now would raise
            if not core.isSequenceRunning():
                self._report_end(core)
            return None
        metadata = mm.Metadata()
        with translated("fetching a frame"):
            frame = core.popNextImageMD(metadata)
        arrival_ns = self.context.clock.now_ns()
        if frame.shape != self._format.shape or frame.dtype != self._format.dtype:
            raise ProtocolError(
                f"the camera sent a frame {frame.shape} of {frame.dtype}, "
                f"not {self._format.shape} of {self._format.dtype} as it declared: reopen it"
            )
        np.copyto(out, frame)
        number = int(metadata[_NUMBER]) if metadata.HasTag(_NUMBER) else self._next_number
        elapsed = float(metadata[_ELAPSED]) if metadata.HasTag(_ELAPSED) else None
        timestamp_ns = self._timeline.place(arrival_ns, elapsed, number - self._next_number + 1)
        self._next_number = number + 1
        return FrameInfo(number, timestamp_ns)

    def ready_in_s(self) -> float:
        """Return a quarter of the interval between frames, at most 2 ms, or 0 when one waits."""
        core = self._core
        if self._is_running and core.getRemainingImageCount() > 0:
            return 0.0
        interval_s = self._timeline.interval_ns / NS_PER_S
        return min(max(interval_s / 4, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The exposure, the frame rate as measured, and every property of the device."""
        core = self._core
        lower, upper = 0.0, None
        if core.hasPropertyLimits(self._label, mm.g_Keyword_Exposure):
            lower = core.getPropertyLowerLimit(self._label, mm.g_Keyword_Exposure) * 1000
            upper = core.getPropertyUpperLimit(self._label, mm.g_Keyword_Exposure) * 1000
        return (
            Setting("exposure_us", float, "us", lower=lower, upper=upper),
            Setting("framerate_hz", float, "Hz", is_read_only=True),
            *self._property_settings(core),
        )

    def get(self, name: str) -> SettingValue:
        """Return a setting; `framerate_hz` is measured, 0 before there were frames."""
        if name == "exposure_us":
            with translated("reading the exposure"):
                return self._core.getExposure(self._label) * 1000
        if name == "framerate_hz":
            return self._timeline.framerate_hz
        return super().get(name)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting and return what the device took.

        Raises:
            BusyError: Frames are taken, and the property may change their shape.
            SettingError: As for any device; also when the property changed the shape of the
                frames, which is fixed while the camera is open. It is then put back.
        """
        core = self._core
        if name == "exposure_us":
            return self._write_exposure(core, float(self.setting(name).check(value)))
        if name == "framerate_hz":
            self.setting(name).check(value)
        if self._is_running and name not in _SAFE_WHILE_RUNNING:
            self.setting(name).check(value)
            raise BusyError(f"{name} can not be set while frames are taken: stop the camera first")
        before = {s.name: self._read(core, s) for s in self._property_settings(core)}
        taken = super().set(name, value)
        changed = self._read_format(core)
        if changed != self._format:
            self._put_back(core, before)
            raise SettingError(
                f"{name} = {value!r} would change the frames from {self._format} to {changed} "
                "while the camera is open: give it in the option properties instead"
            )
        return taken

    def _set_up(self, core: mm.CMMCore) -> None:
        with translated("setting up the camera"):
            core.setCameraDevice(self._label)
            core.setCircularBufferMemoryFootprint(self._buffer_mb)
            if self._bits is not None:
                self._choose_depth(core, self._bits)
            if self._width_px is not None or self._height_px is not None:
                self._choose_size(core)
        if self._exposure_ms is not None:
            self.set("exposure_us", self._exposure_ms * 1000)
        if core.getBytesPerPixel() not in (1, 2) or core.getNumberOfComponents() != 1:
            raise UnsupportedError(
                f"{self._device} gives {core.getBytesPerPixel()} bytes a pixel in "
                f"{core.getNumberOfComponents()} components; 8 or 16 bits of grey are needed: "
                "set bits, or PixelType in properties"
            )
        self._format = self._read_format(core)
        self._is_running = False

    def _tear_down(self, core: mm.CMMCore) -> None:
        self._is_running = False
        if core.isSequenceRunning():
            core.stopSequenceAcquisition()

    def _choose_depth(self, core: mm.CMMCore, bits: int) -> None:
        known = core.getAllowedPropertyValues(self._label, mm.g_Keyword_PixelType)
        for name in (f"{bits}bit", f"Mono{bits}", f"GREY{bits}", f"GRAY{bits}"):
            if name in known:
                self._write_named(core, mm.g_Keyword_PixelType, name)
                return
        raise OptionError(
            f"bits = {bits}: {self._device} has the pixel types {', '.join(known) or 'none'}; "
            "set bits = None and PixelType in properties"
        )

    def _choose_size(self, core: mm.CMMCore) -> None:
        full_width, full_height = core.getImageWidth(), core.getImageHeight()
        width, height = self._width_px or full_width, self._height_px or full_height
        if core.hasProperty(self._label, "OnCameraCCDXSize"):
            binning = core.getBinning(self._label)
            self._write_named(core, "OnCameraCCDXSize", width * binning)
            self._write_named(core, "OnCameraCCDYSize", height * binning)
        elif 0 < width <= full_width and 0 < height <= full_height:
            left, top = (full_width - width) // 2, (full_height - height) // 2
            core.setROI(self._label, left, top, width, height)
        else:  # the core itself would accept it and then fail
            raise OptionError(
                f"{width} x {height} px: the sensor has {full_width} x {full_height} px"
            )
        taken = (core.getImageWidth(), core.getImageHeight())
        if taken != (width, height):
            raise OptionError(f"{width} x {height} px: the device took {taken[0]} x {taken[1]} px")

    def _write_exposure(self, core: mm.CMMCore, asked_us: float) -> float:
        before_us = core.getExposure(self._label) * 1000
        with translated(f"setting the exposure to {asked_us:g} us"):
            core.setExposure(self._label, asked_us / 1000)
            taken_us = core.getExposure(self._label) * 1000
        refuse_if_ignored("exposure_us", before_us, asked_us, taken_us)
        return taken_us

    def _read_format(self, core: mm.CMMCore) -> FrameFormat:
        bits = 8 * core.getBytesPerPixel() // max(core.getNumberOfComponents(), 1)
        return FrameFormat(core.getImageWidth(), core.getImageHeight(), bits)

    def _put_back(self, core: mm.CMMCore, before: Mapping[str, SettingValue]) -> None:
        for setting in self._property_settings(core):
            if not setting.is_read_only and self._read(core, setting) != before[setting.name]:
                with suppress(DeviceError):
                    self._write(core, setting, before[setting.name])

    def _report_end(self, core: mm.CMMCore) -> None:
        self._is_running = False
        with suppress(mm.CMMError):
            core.stopSequenceAcquisition()
        if core.isBufferOverflowed():
            raise OverrunError(
                f"frames were lost after number {self._next_number - 1}: nobody fetched them and "
                f"{self._buffer_mb} MB were full; start the camera again"
            )
        raise DeviceError("the camera stopped taking frames by itself: start it again")
