"""The two kinds of camera, as the camera manager drives them: a `hal.Camera`, or a `CameraBase`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hal.camera import Camera
from hal.device import SettingValue
from hal.errors import DisconnectedError, DriverError, UnsupportedError
from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.devices import DeviceHolder

BURST = 64
LEGACY_POLL_S = 0.0005
# A frame's own cost is a fraction of that of waking up for it; a stack takes longer than this.
GATHER_S = 0.1

# Makes the video buffer for frames of this width and height in px, and so many bits a pixel.
MakeBuffer = Callable[[int, int, int], VideoBuffer]


class CameraBase(ABC):
    """A camera written for MagScope: it writes its frames into the video buffer itself.

    New drivers derive from `hal.Camera` instead.

    Attributes:
        width: Columns.
        height: Rows.
        bits: Bits a pixel, of which `dtype` holds so many.
        dtype: The numpy type of a pixel.
        nm_per_px: Size of a pixel on the camera's chip or at the sample.
        settings: Names of the settings; `'framerate'` is among them.
        camera_buffers: The camera's own buffers that wait to be released.
    """

    width: int = 0
    height: int = 0
    bits: int = 8
    dtype: Any = np.uint8
    nm_per_px: float = 0.0
    settings: Sequence[str] = ("framerate",)

    def __init__(self) -> None:
        self.is_connected = False
        self.video_buffer: VideoBuffer | None = None
        self.camera_buffers: Any = None

    @abstractmethod
    def connect(self, video_buffer: VideoBuffer) -> None:
        """Connect to the camera and start it; it writes into `video_buffer` from now on."""

    @abstractmethod
    def fetch(self) -> None:
        """Write the frames that wait, if any, into the video buffer; never waits for one."""

    @abstractmethod
    def release(self) -> None:
        """Give a stack's worth of the camera's own buffers back to it."""

    def release_all(self) -> None:  # noqa: B027 - a camera without buffers of its own needs none
        """Give all of the camera's own buffers back to it."""

    @abstractmethod
    def get_setting(self, name: str) -> str:
        """Return a setting's value as text."""

    @abstractmethod
    def set_setting(self, name: str, value: str) -> None:
        """Change a setting."""

    def __getitem__(self, name: str) -> str:
        return self.get_setting(name)

    def __setitem__(self, name: str, value: str) -> None:
        self.set_setting(name, value)


class Feed(ABC):
    """A camera as the camera manager drives it."""

    @abstractmethod
    def open(self, make_buffer: MakeBuffer) -> VideoBuffer:
        """Open the camera, make the video buffer that fits it, and start."""

    @abstractmethod
    def fetch(self) -> int:
        """Write the frames that wait, so many at most as there is room for; return how many."""

    @abstractmethod
    def ready_in_s(self, fps: float) -> float:
        """Return in how many seconds it is worth fetching again, at so many frames a second."""

    @abstractmethod
    def set_setting(self, name: str, value: SettingValue) -> None:
        """Change a setting of the camera."""

    @abstractmethod
    def close(self) -> None:
        """Stop and close the camera."""

    def let_go(self) -> None:
        """Close a camera that has gone, so that it can be opened again."""
        raise UnsupportedError(f"{type(self).__name__} can not let go of its camera")

    def reopen(self) -> None:
        """Open and start a camera that had gone; raises a DeviceError if it is not there."""
        raise UnsupportedError(f"{type(self).__name__} can not open its camera again")

    def release(self, n_images: int) -> None:  # noqa: B027 - most cameras have no use for it
        """Frames were released; for cameras with buffers of their own."""

    @property
    def can_wait(self) -> bool:
        """Whether no frame is lost while there is no room for it."""
        return False

    @property
    def lost(self) -> int:
        """Frames that the device numbered and never delivered."""
        return 0


class HalFeed(Feed):
    """A `hal.Camera`, whose frames are written straight into the video buffer.

    Args:
        holder: Opens and describes the device.
        annotations: Where the rows that come with frames go, if the camera has any.
    """

    def __init__(self, holder: DeviceHolder, annotations: MatrixBuffer | None) -> None:
        self._holder = holder
        self._annotations = annotations
        self._camera: Camera
        self._buffer: VideoBuffer
        self._first_number = 0  # of the frames since the camera was opened last
        self._next_number = 0
        self._lost = 0

    def open(self, make_buffer: MakeBuffer) -> VideoBuffer:
        """Open the camera, make the video buffer that fits it, and start."""
        self._camera = self._holder.open(Camera)
        form = self._camera.frame_format
        self._buffer = make_buffer(form.width_px, form.height_px, form.bits)
        self._camera.start()
        return self._buffer

    def fetch(self) -> int:
        """Write the frames that wait, and count those that are missing between them."""
        count = 0
        while count < BURST and self._buffer.has_room:
            info = self._camera.fetch_into(self._buffer.next_image())
            if info is None:
                break
            number = self._first_number + info.frame_number
            self._lost += max(number - self._next_number, 0)
            self._next_number = number + 1  # before it counts: no number is given twice
            self._buffer.commit(info.timestamp_ns, number)
            count += 1
            if info.annotation is not None and self._annotations is not None:
                rows = np.empty((len(info.annotation), 2 + info.annotation.shape[1]))
                rows[:, 0] = number
                # Whole ns since the session's start are exact in float64, Unix times are not.
                rows[:, 1] = info.timestamp_ns - self._holder.started_ns
                rows[:, 2:] = info.annotation
                self._annotations.write(rows)
        return count

    def ready_in_s(self, fps: float) -> float:
        """Return when the next frames are due: several at once, if the camera keeps them."""
        kept_s = self._camera.queue_frames / 4 / fps if fps > 0 else 0.0
        return max(self._camera.ready_in_s(), min(kept_s, GATHER_S))

    def set_setting(self, name: str, value: SettingValue) -> None:
        """Change a setting of the camera."""
        self._camera.set(name, value)

    def let_go(self) -> None:
        """Close a camera that has gone, so that it can be opened again."""
        self._holder.let_go()

    def reopen(self) -> None:
        """Open and start a camera that had gone; the numbers of its frames go on."""
        self._holder.connect()
        form, shape = self._camera.frame_format, self._buffer.image_shape
        if (form.width_px, form.height_px) != shape or form.dtype != self._buffer.dtype:
            raise DriverError(
                f"the camera has come back with frames of {form.width_px} x {form.height_px} px "
                f"and {form.bits} bits, but the video buffer was made for others: set it up as "
                "before, or start a new session"
            )
        self._first_number = self._next_number
        self._camera.start()

    def close(self) -> None:
        """Stop and close the camera."""
        self._holder.close()

    @property
    def can_wait(self) -> bool:
        """Whether no frame is lost while there is no room for it."""
        return self._camera.keeps_all_frames

    @property
    def lost(self) -> int:
        """Frames that the device numbered and never delivered."""
        return self._lost


class LegacyFeed(Feed):
    """A `CameraBase`, which writes into the video buffer itself."""

    def __init__(self, camera: CameraBase) -> None:
        self._camera = camera
        self._buffer: VideoBuffer
        self._n_images = 1
        self._unreleased = 0

    def open(self, make_buffer: MakeBuffer) -> VideoBuffer:
        """Make the video buffer that fits the camera, and connect it."""
        camera = self._camera
        bits = np.dtype(camera.dtype).itemsize * 8
        self._buffer = make_buffer(camera.width, camera.height, bits)
        self._n_images = self._buffer.n_images
        camera.video_buffer = self._buffer
        camera.connect(self._buffer)
        if camera.is_connected is False:
            raise DisconnectedError(f"{type(camera).__name__} did not connect")
        return self._buffer

    def fetch(self) -> int:
        """Let the camera write its frames."""
        before = self._buffer.written
        while self._buffer.written - before < BURST and self._buffer.has_room:
            so_far = self._buffer.written
            self._camera.fetch()
            if self._buffer.written == so_far:
                break
        return self._buffer.written - before

    def ready_in_s(self, fps: float) -> float:  # noqa: ARG002 - it does not tell what it keeps
        """Return how long to wait: such a camera does not say when its next frame comes."""
        return LEGACY_POLL_S

    def set_setting(self, name: str, value: SettingValue) -> None:
        """Change a setting of the camera."""
        self._camera.set_setting(name, str(value))

    def release(self, n_images: int) -> None:
        """Give the camera its own buffers back, a stack's worth at a time."""
        self._unreleased += n_images
        while self._unreleased >= self._n_images:
            self._unreleased -= self._n_images
            self._camera.release()

    def close(self) -> None:
        """Give every buffer back and disconnect, as far as the camera can."""
        self._camera.release_all()
        for name in ("disconnect", "close", "stop"):
            method = getattr(self._camera, name, None)
            if callable(method):
                method()
                return
