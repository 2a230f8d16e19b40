"""Cameras that speak GenICam, through the GenTL producer of their maker."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.device import Identity, Setting, SettingValue
from hal.drivers.genicam.device import GenicamDevice, open_device
from hal.drivers.genicam.pixels import PixelFormat
from hal.drivers.genicam.producers import find_producers
from hal.drivers.genicam.run import Run
from hal.drivers.genicam.settings import Settings
from hal.drivers.genicam.setup import pixel_format_of, set_up
from hal.drivers.genicam.stream import Stream
from hal.errors import (
    BusyError,
    DeviceError,
    DisconnectedError,
    OptionError,
    SettingError,
    UnsupportedError,
)
from hal.support import Support

_COMMAND_S = 5.0
FeatureTable = Mapping[str, SettingValue]


class GenicamCamera(Camera):
    """A camera of any maker that has a GenTL producer, a `.cti` file.

    Besides the settings that are listed, `get` and `set` take every feature that the device
    describes, by GenICam's name for it.

    Args:
        producer: The `.cti` file, or a folder of them; `"viky"` for the one that comes with the
            extra and needs no camera; those in the folders of GENICAM_GENTL64_PATH if None.
        serial: The camera's serial number, where there are several.
        device: Its id, user-defined name or model, where there are several.
        features: Values by the names of GenICam, written in this order when the camera is opened,
            each read back. True for a command executes it. Several such tables where a name is
            needed twice, as that of a selector.
        pixel_format: GenICam's name for it: Mono8 to Mono16, Mono10p, Mono12p, Mono10Packed or
            Mono12Packed. If None, as the device has it if that is one of these, else the first of
            these that it can send.
        width_px: Columns, of a region in the middle of the sensor; as the device has it if None.
        height_px: Rows, likewise.
        buffers: In how many frames' memory frames wait to be fetched.
        timeout_s: How long no frame may come while the camera takes them, beside the time of three
            frames; it is not asked of a camera whose TriggerMode is On. 0 for any time.
    """

    support = Support(
        "cameras whose maker has a GenTL producer, a `.cti` file; frame grabbers included",
        "emulator",
        "the producer `viky`, which comes with genicam",
        library="genicam",
        extra="genicam",
    )

    def __init__(
        self,
        *,
        producer: str | None = None,
        serial: str | int | None = None,
        device: str | None = None,
        features: FeatureTable | Sequence[FeatureTable] | None = None,
        pixel_format: str | None = None,
        width_px: int | None = None,
        height_px: int | None = None,
        buffers: int = 32,
        timeout_s: float = 5.0,
    ) -> None:
        if buffers < 2:
            raise OptionError(f"buffers = {buffers!r}: must be 2 or more")
        if not timeout_s >= 0:
            raise OptionError(f"timeout_s = {timeout_s!r} s: must be 0 or more")
        self._producer = producer
        self._serial = None if serial is None else str(serial)
        self._name = device
        tables = [features] if isinstance(features, Mapping) else features or []
        self._wanted = [(name, value) for table in tables for name, value in table.items()]
        self._wanted_format = pixel_format
        self._size_px = (width_px, height_px)
        self._timeout_s = timeout_s
        self._patience_s = timeout_s or _COMMAND_S
        self.queue_frames = buffers
        self._device: GenicamDevice | None = None
        self._stream: Stream | None = None
        self._run: Run | None = None
        self._settings: Settings | None = None
        self._pixels: PixelFormat
        self._format = FrameFormat(0, 0, 8)
        self._framerate_hz = 0.0

    @property
    def identity(self) -> Identity:
        """What the producer says of the device."""
        device = self._device
        if device is None:
            return Identity("GenICam", self._name or "camera", self._serial or "", "genicam", True)
        return Identity(device.vendor, device.model, device.serial, "genicam", device.is_real)

    @property
    def is_open(self) -> bool:
        """Whether the device is open."""
        return self._device is not None

    def open(self) -> None:
        """Choose the device, open it, and write the options to it.

        Raises:
            OptionError: There is no such producer, or several devices are meant.
            DriverError: The producer can not be loaded.
            DisconnectedError: There is no such device.
            BusyError: Somebody else has it.
            SettingError: It refuses a feature.
            UnsupportedError: It has no grey pixel format.
        """
        if self._device is not None:
            return
        paths = find_producers(self._producer, self.context.directory)
        self._device = open_device(paths, self._serial, self._name)
        try:
            features = self._device.features
            listed = [name for name, _ in self._wanted]
            self._settings = Settings(features, listed, self.context.clock, self._patience_s)
            set_up(self._settings, self._wanted, self._wanted_format, self._size_px)
            self._read_format()
            self._stream = Stream(self._device.module, self.queue_frames)
            self.queue_frames = self._stream.n_buffers
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop, and let go of the device, as far as it is still there."""
        with suppress(DeviceError):
            self.stop()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        device, self._device = self._device, None
        if device is not None:
            device.close()

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the frames; it changes only while none are taken."""
        self._opened  # noqa: B018  raises when closed
        return self._format

    def start(self) -> None:
        """Begin to take frames, from number 0.

        Raises:
            DeviceError: The device does not start; the class says why.
        """
        device, stream = self._opened
        self.stop()
        self._run = Run(device, stream, self._pixels, self.context, self._timeout_s)
        try:
            self._run.begin()
        except BaseException:
            with suppress(DeviceError):
                self.stop()
            raise

    def stop(self) -> None:
        """Take no more frames; those that wait are forgotten.

        Raises:
            DeviceError: The device did not answer; no frame comes all the same.
        """
        run, self._run = self._run, None
        if run is not None:
            self._framerate_hz = run.framerate_hz
            run.end()

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy the oldest waiting frame into `out`; frames that are not whole count as lost.

        Raises:
            DisconnectedError: The device is gone.
            DeviceTimeoutError: No frame came for `timeout_s`; again after as long.
            ProtocolError: The frame has not the shape that was declared.
            DeviceError: The stream failed; the class says how.
        """
        self._opened  # noqa: B018  raises when closed
        return self._run.fetch_into(out) if self._run is not None else None

    def ready_in_s(self) -> float:
        """Return a quarter of the interval between frames, at most 2 ms, or 0 when one waits."""
        return self._run.ready_in_s() if self._run is not None else super().ready_in_s()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What the device has of the usual settings, and the features of the option `features`.

        Where the device has no frame rate of its own, `framerate_hz` is measured.
        """
        self._opened  # noqa: B018  raises when closed
        assert self._settings is not None
        return self._settings.all()

    def setting(self, name: str) -> Setting:
        """Return the description of a setting, or of any feature by GenICam's name."""
        self._opened  # noqa: B018  raises when closed
        assert self._settings is not None
        return self._settings.describe(name)

    def get(self, name: str) -> SettingValue:
        """Return a setting, or any feature by GenICam's name, as the device has it."""
        self.setting(name)
        assert self._settings is not None
        if (feature := self._settings.feature(name)) is None:  # the measured frame rate
            return self._run.framerate_hz if self._run is not None else self._framerate_hz
        return self._settings.features.read(feature)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting, or any feature by GenICam's name, and return what the device took.

        Raises:
            BusyError: Frames are taken, and it would change their shape.
            SettingError: As for any device; also when the frames would not be grey any more, or the
                device ignores the value.
        """
        self.setting(name)
        assert self._settings is not None
        is_running = self._run is not None
        if is_running and self._settings.changes_shape(name):
            self._settings.check(name, value)
            raise BusyError(f"{name} can not be set while frames are taken: stop the camera first")
        before = self._settings.value_before(name)
        taken = self._settings.write(name, value)
        if not is_running:
            try:
                self._read_format()
            except UnsupportedError as error:
                if before is not None:
                    self._settings.write(name, before)
                raise SettingError(f"{name} = {value!r}: {error}") from error
        return taken

    @property
    def _opened(self) -> tuple[GenicamDevice, Stream]:
        if self._device is None or self._stream is None:
            raise DisconnectedError("the genicam camera is not open: open it first")
        return self._device, self._stream

    def _read_format(self) -> None:
        """Learn the shape of the frames, which is then declared."""
        assert self._device is not None
        features = self._device.features
        self._pixels = pixel_format_of(features)
        width_px, height_px = int(features.read("Width")), int(features.read("Height"))
        self._format = FrameFormat(width_px, height_px, self._pixels.bits)
