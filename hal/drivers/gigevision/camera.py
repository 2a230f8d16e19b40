"""A GigE Vision camera: its features as settings, its blocks as numbered frames."""

from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar

import numpy as np
import telegenic

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.device import Identity, Setting, SettingValue
from hal.drivers.gigevision.errors import translated
from hal.drivers.gigevision.features import Features
from hal.drivers.gigevision.link import checked_address, connect
from hal.drivers.gigevision.settings import CameraSettings
from hal.drivers.gigevision.stream import Stream
from hal.drivers.port import checked_timeout_s
from hal.errors import (
    DeviceError,
    DisconnectedError,
    OptionError,
    ProtocolError,
    UnsupportedError,
)
from hal.support import Support

_BITS = {"Mono8": 8, "Mono10": 16, "Mono12": 16, "Mono14": 16, "Mono16": 16}
_LONGEST_WAIT_S = 0.002
_SHORTEST_WAIT_S = 0.0002
_SMALLEST_PACKET, _LARGEST_PACKET = 576, 65500


_INCOMPLETE = Setting("incomplete_frames", int, is_read_only=True)


class GigeVisionCamera(Camera):
    """A camera with GigE Vision at an address, grey with 8 to 16 bits.

    It is never searched for: nothing is sent but to its address. A frame of which a packet is
    missing is not passed on; it is a gap in `frame_number`, and `incomplete_frames` counts it.

    The settings `exposure_us`, `framerate_hz`, `gain`, `offset_x_px` and `offset_y_px` are there if
    the camera has such features, and have its limits. What gives frames their shape is only told,
    as `width_px`, `height_px` and `pixel_format`: it is chosen in `features`.

    Args:
        address: The camera's IPv4 address, as `"192.168.0.30"`.
        features: Values by GenICam's names, written in this order when the camera is opened, each
            checked against its limits and read back: `{ Width = 1280, PixelFormat = "Mono8" }`.
        packet_size: The largest packet of the stream in bytes; what the link carries is tried out
            at the first start if None. More than 1500 needs a network with jumbo frames, and is
            faster.
        buffers: How many frames wait to be fetched.
        timeout_s: How long the camera may take to answer. A camera that is gone or frozen is
            noticed within that time, also when nothing is asked of it.
        local_address: The address of this computer's own interface, if it has several.

    Raises:
        OptionError: An option is out of its range.
    """

    support = Support(
        "cameras with GigE Vision, without their maker's software",
        "emulator",
        "Aravis' camera of software alone, over real UDP, with our own beads",
        library="telegenicam",
        extra="gigevision",
    )
    driver: ClassVar[str] = "gigevision"

    def __init__(
        self,
        address: str,
        *,
        features: Mapping[str, SettingValue] | None = None,
        packet_size: int | None = None,
        buffers: int = 32,
        timeout_s: float = 2.0,
        local_address: str | None = None,
    ) -> None:
        self._address = checked_address("address", address)
        self._local_address = (
            None if local_address is None else checked_address("local_address", local_address)
        )
        if packet_size is not None and not _SMALLEST_PACKET <= packet_size <= _LARGEST_PACKET:
            raise OptionError(
                f"packet_size = {packet_size!r} bytes: expected {_SMALLEST_PACKET} to "
                f"{_LARGEST_PACKET}, or none"
            )
        if not 1 <= buffers <= 10_000:
            raise OptionError(f"buffers = {buffers!r}: expected 1 to 10000")
        self._wanted = dict(features or {})
        self._packet_size = packet_size
        self._timeout_s = checked_timeout_s(timeout_s)
        self.queue_frames = buffers
        self._identity = Identity("GigE Vision", self._address, "", self.driver, is_real=True)
        self._format = FrameFormat(0, 0, 8)
        self._camera: telegenic.Camera | None = None
        self._stream: Stream | None = None
        self._negotiated: int | None = None

    @property
    def identity(self) -> Identity:
        """Who the camera says that it is."""
        return self._identity

    @property
    def is_open(self) -> bool:
        """Whether the camera is connected, and answers."""
        return self._camera is not None and self._camera.is_connected()

    def open(self) -> None:
        """Connect, take control, and write the features; after a lost link, connect anew.

        Raises:
            DeviceTimeoutError: Nobody answers at the address.
            BusyError: Another program has control of the camera.
            SettingError: The camera does not take one of the features.
            UnsupportedError: Its frames are not grey with 8 to 16 bits.
        """
        if self.is_open:
            return
        self._let_go()
        camera = connect(
            self._address, timeout_s=self._timeout_s, local_address=self._local_address
        )
        self._camera, self._negotiated, self._stream = camera, self._packet_size, None
        try:
            self._set_up(camera)
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Stop, and give up control; a camera that is gone is let go of."""
        self._let_go()

    def _let_go(self) -> None:
        with suppress(DeviceError):
            self.stop()
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.disconnect(deadline=self._timeout_s)

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the frames; fixed while the camera is open."""
        self._connected  # noqa: B018  raises when closed
        return self._format

    def start(self) -> None:
        """Begin to take frames, from number 0.

        Raises:
            DeviceError: The camera does not answer, or refuses; the class says how.
        """
        camera = self._connected
        self.stop()
        with translated(f"starting the camera at {self._address}"):
            acquisition = camera.start_acquisition(
                n_buffers=self.queue_frames, packet_size=self._negotiated
            )
            self._stream = Stream(acquisition, self.context.clock, self._n_bytes)
            self._negotiated = acquisition.packet_size()

    def stop(self) -> None:
        """Take no more frames; those that wait are forgotten.

        Raises:
            DeviceError: The camera does not answer; the class says how.
        """
        if self._stream is not None and self._stream.is_running:
            with translated(f"stopping the camera at {self._address}"):
                self._stream.stop()

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Copy the oldest whole frame into `out`.

        Raises:
            DisconnectedError: The camera is gone, or frozen, and no frame is left.
            ProtocolError: The frame has not the shape that was declared.
        """
        if self._stream is not None and self._stream.is_running:
            block = self._stream.next_whole()
            if block is not None:
                self._check_shape(block.frame)
                # Behind the pixels there may be more: a camera can add data of its own.
                kind = self._format.dtype.newbyteorder("<")
                pixels = np.frombuffer(block.frame.data(), kind, out.size)
                np.copyto(out, pixels.reshape(self._format.shape))
                return FrameInfo(block.number, block.timestamp_ns)
        self._connected  # noqa: B018  raises when closed, or when the link is lost
        return None

    def ready_in_s(self) -> float:
        """Return a quarter of the interval between frames, at most 2 ms, or 0 when one waits."""
        if self._stream is None or not self._stream.is_running:
            return _LONGEST_WAIT_S
        if self._stream.has_waiting():
            return 0.0
        return min(max(self._stream.interval_s / 4, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What the camera has of the known settings, with its present limits."""
        self._connected  # noqa: B018  raises when closed
        return (*self._settings.describe_all(), _INCOMPLETE)

    def setting(self, name: str) -> Setting:
        """Return the description of a setting.

        Raises:
            SettingError: The camera has none of this name.
        """
        self._connected  # noqa: B018  raises when closed
        return self._settings.describe(name) if self._settings.has(name) else super().setting(name)

    def get(self, name: str) -> SettingValue:
        """Return a setting as the camera has it; `incomplete_frames` counts from the last start."""
        if self.setting(name) is _INCOMPLETE:
            return self._stream.incomplete_frames if self._stream is not None else 0
        return self._settings.get(name)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting and return what the camera took.

        Raises:
            BusyError: The camera does not take it while it takes frames.
            SettingError: As for any device; also when the camera ignored it.
        """
        if self.setting(name) is _INCOMPLETE:
            return _INCOMPLETE.check(value)
        return self._settings.set(
            name, value, is_running=self._stream is not None and self._stream.is_running
        )

    @property
    def _connected(self) -> telegenic.Camera:
        if self._camera is None:
            raise DisconnectedError(
                f"the camera at {self._address} is not open: open it before using it"
            )
        if not self._camera.is_connected():
            raise DisconnectedError(
                f"the camera at {self._address} is gone: it did not answer for "
                f"{self._timeout_s:g} s; look at its cable and power, then open it again"
            )
        return self._camera

    def _check_shape(self, frame: telegenic.Frame) -> None:
        form = self._format
        came = (frame.width, frame.height, frame.pixel_format)
        if came != (form.width_px, form.height_px, self._pixel_format):
            raise ProtocolError(
                f"the camera at {self._address} sent {came[0]} x {came[1]} px of {came[2]}, not "
                f"{form.width_px} x {form.height_px} px of {self._pixel_format} as it declared: "
                "reopen it"
            )

    @property
    def _n_bytes(self) -> int:
        return self._format.width_px * self._format.height_px * self._format.bits // 8

    def _set_up(self, camera: telegenic.Camera) -> None:
        with translated(f"asking the camera at {self._address} who it is"):
            info = camera.device_info()
        # Aravis' camera of software alone.
        is_real = (info.manufacturer, info.model) != ("Aravis", "Fake")
        self._identity = Identity(
            info.manufacturer or "GigE Vision",
            info.model or self._address,
            info.serial,
            self.driver,
            is_real,
        )
        features = Features(camera, self._address)
        for name, value in self._wanted.items():
            features.write(name, value)
        self._pixel_format = str(features.read("PixelFormat"))
        if self._pixel_format not in _BITS:
            raise UnsupportedError(
                f"the camera at {self._address} sends {self._pixel_format}; in features, set "
                f"PixelFormat to one of {', '.join(_BITS)}"
            )
        self._format = FrameFormat(
            int(features.read("Width")), int(features.read("Height")), _BITS[self._pixel_format]
        )
        self._settings = CameraSettings(features)
        self._settings.check_region()
