"""Drivers written for MagScope as devices of `hal`, so that what is said of those is said of them.

The system drives them as they are; this is for whoever wants to look at all devices in one way.
"""

from collections.abc import Callable

import numpy as np

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.device import Device, Identity, Setting, SettingValue
from hal.errors import DisconnectedError, SettingError
from hal.motor import Axis, FocusMotor
from magscope.datatypes import VideoBuffer
from magscope.feeds import CameraBase, LegacyFeed
from magscope.hardware import FocusMotorBase, HardwareManagerBase
from magscope.runtime import current

_VENDOR = "a driver written for MagScope"
_NS_PER_S = 1e9
_N_STACKS, _N_IMAGES = 2, 40
# Such a motor tells neither; a focus that is good to 10 nm and makes 0.1 mm/s is an ordinary one.
_RESOLUTION_NM = 10.0
_MAX_SPEED_NM_PER_S = 1e5


class AdaptedCamera(Camera):
    """A `CameraBase`: it is connected while it is open, and its frames are numbered here.

    Args:
        make: Makes the camera, anew each time that it is opened.
        driver: What its driver is called.
    """

    def __init__(self, make: Callable[[], CameraBase], driver: str) -> None:
        self._make, self._driver = make, driver
        self._camera: CameraBase | None = None
        self._feed: LegacyFeed | None = None
        self._buffer: VideoBuffer | None = None
        self._is_running = False
        self._next_number = 0

    @property
    def identity(self) -> Identity:
        """The class of the camera; more is not known."""
        model = type(self._camera).__name__ if self._camera is not None else self._driver
        return Identity(_VENDOR, model, "", self._driver, is_real=True)

    @property
    def is_open(self) -> bool:
        """Whether the camera is connected."""
        return self._feed is not None

    @property
    def frame_format(self) -> FrameFormat:
        """The shape and depth of the frames."""
        buffer = self._connected()
        return FrameFormat(*buffer.image_shape, bits=8 * buffer.itemsize)

    def open(self) -> None:
        """Make the camera and connect it; it takes frames from now on."""
        if self._feed is not None:
            return
        self._camera = self._make()
        feed = LegacyFeed(self._camera)
        try:
            feed.open(self._new_buffer)
        except BaseException:
            self._drop_buffer()
            raise
        self._feed = feed

    def close(self) -> None:
        """Disconnect the camera, as far as it can be."""
        self._is_running = False
        feed, self._feed = self._feed, None
        try:
            if feed is not None:
                feed.close()
        finally:
            self._drop_buffer()

    def start(self) -> None:
        """Forget the frames that wait, and count from 0."""
        for _ in range(self._connected().n_total_images):  # a camera may never run dry
            if self._take(None) is None:
                break
        self._next_number, self._is_running = 0, True

    def stop(self) -> None:
        """Give no more frames."""
        self._is_running = False

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Let the camera write its frames, and return the oldest."""
        self._connected()
        timestamp_s = self._take(out) if self._is_running else None
        if timestamp_s is None:
            return None
        self._next_number += 1
        return FrameInfo(self._next_number - 1, round(timestamp_s * _NS_PER_S))

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The names that the camera lists; their values are text."""
        names = self._camera.settings if self._camera is not None else ()
        return tuple(Setting(name, str) for name in names)

    def get(self, name: str) -> SettingValue:
        """Return a setting as text."""
        self.setting(name)
        assert self._camera is not None
        return self._camera.get_setting(name)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting, and return how it reads."""
        checked = self.setting(name).check(value)
        assert self._camera is not None
        try:
            self._camera.set_setting(name, str(checked))
        except ValueError as error:
            raise SettingError(f"{name} = {value!r}: {error}") from error
        return self.get(name)

    def _take(self, out: np.ndarray | None) -> float | None:
        buffer, feed, camera = self._connected(), self._feed, self._camera
        assert feed is not None
        assert camera is not None
        if buffer.written == buffer.released:
            camera.fetch()
            if buffer.written == buffer.released:
                return None
        image, timestamp_s = buffer.read_image()
        if out is not None:
            np.copyto(out, image.T)
        feed.release(1)
        return timestamp_s

    def _connected(self) -> VideoBuffer:
        if self._buffer is None or self._feed is None:
            raise DisconnectedError(f"{self._driver} is not open: open it before using it")
        return self._buffer

    def _new_buffer(self, width: int, height: int, bits: int) -> VideoBuffer:
        self._buffer = VideoBuffer(
            create=True,
            locks={"VideoBuffer": current().lock()},
            n_stacks=_N_STACKS,
            width=width,
            height=height,
            n_images=_N_IMAGES,
            bits=bits,
        )
        return self._buffer

    def _drop_buffer(self) -> None:
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            buffer.close()
            buffer.unlink()


class AdaptedHardware(Device):
    """A `HardwareManagerBase`: it is connected while it is open.

    Args:
        manager: The manager, which is not part of a system.
        driver: What its driver is called.
    """

    def __init__(self, manager: HardwareManagerBase, driver: str) -> None:
        self._manager, self._driver = manager, driver
        self._is_open = False

    @property
    def identity(self) -> Identity:
        """The class of the manager; more is not known."""
        return Identity(_VENDOR, type(self._manager).__name__, "", self._driver, is_real=True)

    @property
    def is_open(self) -> bool:
        """Whether it was connected, and says that it is."""
        return self._is_open and bool(self._manager._is_connected)  # noqa: SLF001 - the contract's

    def open(self) -> None:
        """Connect."""
        if not self._is_open:
            self._manager.connect()
            self._is_open = True

    def close(self) -> None:
        """Disconnect."""
        if self._is_open:
            self._is_open = False
            self._manager.disconnect()

    def read_rows(self) -> np.ndarray:
        """Let it take a reading, and return the rows that it wrote."""
        written = _Rows(self._manager.buffer_shape)
        self._manager._buffer = written  # type: ignore[assignment]  # noqa: SLF001
        try:
            self._manager.fetch()
        finally:
            self._manager._buffer = None  # noqa: SLF001
        return written.read()


class _Rows:
    """Stands in for the buffer of a manager that is not part of a system."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._rows = np.empty((0, shape[1]))

    def write(self, rows: np.ndarray) -> None:
        """Append rows, which must have as many columns as the buffer."""
        self._rows = np.concatenate([self._rows, np.asarray(rows, np.float64)])

    def read(self) -> np.ndarray:
        """Return all rows."""
        return self._rows


class AdaptedFocus(AdaptedHardware, FocusMotor):
    """A `FocusMotorBase`, which is stopped by being sent to where it is.

    Args:
        manager: The manager, which is not part of a system.
        driver: What its driver is called.
    """

    def __init__(self, manager: FocusMotorBase, driver: str) -> None:
        super().__init__(manager, driver)
        self._focus = manager

    @property
    def axis(self) -> Axis:
        """The limits that it states; resolution and speed are those of an ordinary focus."""
        lower, upper = self._open_one().get_position_limits()
        return Axis("nm", float(lower), float(upper), _RESOLUTION_NM, _MAX_SPEED_NM_PER_S)

    @property
    def is_moving(self) -> bool:
        """Whether it says that it moves."""
        return bool(self._open_one().get_is_moving())

    def open(self) -> None:
        """Connect; it may have been moved since."""
        if not self._is_open:
            self._target = None
        super().open()

    def close(self) -> None:
        """Stop and disconnect."""
        if self.is_open:
            self.stop()
        super().close()

    def read_position(self) -> float:
        """Return where it is."""
        return float(self._open_one().get_current_z())

    def begin_move(self, target: float) -> None:
        """Start a movement."""
        self._open_one().move_absolute(target)

    def halt(self) -> None:
        """Send it to where it is, if it moves."""
        focus = self._open_one()
        if focus.get_is_moving():
            focus.move_absolute(focus.get_current_z())

    def _open_one(self) -> FocusMotorBase:
        if not self.is_open:
            raise DisconnectedError(f"{self._driver} is not open: open it before using it")
        return self._focus
