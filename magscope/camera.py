"""The camera manager, and the two kinds of camera that it drives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from hal.camera import Camera
from hal.clock import NS_PER_S
from hal.device import SettingValue
from hal.errors import DisconnectedError, OptionError
from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.devices import DeviceHolder, DeviceSpec
from magscope.processes import HEARTBEAT_S, ManagerProcessBase
from magscope.runtime import Bell, current
from magscope.utils import PoolVideoFlag

PURGE_LEVEL = 0.9
BURST = 64
ANNOTATION_ROWS = 200_000
LEGACY_POLL_S = 0.0005
WARN_EVERY_S = 5


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
    def open(self, locks: Mapping[str, Any], n_stacks: int, n_images: int) -> VideoBuffer:
        """Open the camera, make the video buffer that fits it, and start."""

    @abstractmethod
    def fetch(self) -> int:
        """Write the frames that wait, so many at most as there is room for; return how many."""

    @abstractmethod
    def ready_in_s(self) -> float:
        """Return in how many seconds it is worth fetching again."""

    @abstractmethod
    def set_setting(self, name: str, value: SettingValue) -> None:
        """Change a setting of the camera."""

    @abstractmethod
    def close(self) -> None:
        """Stop and close the camera."""

    def release(self, n_images: int) -> None:  # noqa: B027 - most cameras have no use for it
        """Frames were released; for cameras with buffers of their own."""

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
        self._next_number = 0
        self._lost = 0

    def open(self, locks: Mapping[str, Any], n_stacks: int, n_images: int) -> VideoBuffer:
        """Open the camera, make the video buffer that fits it, and start."""
        self._camera = self._holder.open(Camera)
        form = self._camera.frame_format
        self._buffer = VideoBuffer(
            create=True,
            locks=locks,
            n_stacks=n_stacks,
            n_images=n_images,
            width=form.width_px,
            height=form.height_px,
            bits=form.bits,
        )
        self._camera.start()
        return self._buffer

    def fetch(self) -> int:
        """Write the frames that wait, and count those that are missing between them."""
        count = 0
        while count < BURST and self._buffer.has_room:
            info = self._camera.fetch_into(self._buffer.next_image())
            if info is None:
                break
            self._buffer.commit(info.timestamp_ns, info.frame_number)
            count += 1
            self._lost += max(info.frame_number - self._next_number, 0)
            self._next_number = info.frame_number + 1
            if info.annotation is not None and self._annotations is not None:
                rows = np.empty((len(info.annotation), 2 + info.annotation.shape[1]))
                rows[:, 0] = info.frame_number
                # Whole ns since the session's start are exact in float64, Unix times are not.
                rows[:, 1] = info.timestamp_ns - self._holder.started_ns
                rows[:, 2:] = info.annotation
                self._annotations.write(rows)
        return count

    def ready_in_s(self) -> float:
        """Return when the camera's next frame is due."""
        return self._camera.ready_in_s()

    def set_setting(self, name: str, value: SettingValue) -> None:
        """Change a setting of the camera."""
        self._camera.set(name, value)

    def close(self) -> None:
        """Stop and close the camera."""
        self._holder.close()

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

    def open(self, locks: Mapping[str, Any], n_stacks: int, n_images: int) -> VideoBuffer:
        """Make the video buffer that fits the camera, and connect it."""
        camera = self._camera
        self._n_images = n_images
        self._buffer = VideoBuffer(
            create=True,
            locks=locks,
            n_stacks=n_stacks,
            n_images=n_images,
            width=camera.width,
            height=camera.height,
            bits=np.dtype(camera.dtype).itemsize * 8,
        )
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

    def ready_in_s(self) -> float:
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


class CameraManager(ManagerProcessBase):
    """Opens the camera, writes its frames into the video buffer, and releases them.

    It alone changes what the buffer holds: it writes frames; it releases a stack when a worker has
    FINISHED with it; and it drops whole stacks while acquisition is off, or, while nobody reads,
    when the buffer is filling up faster than it is emptied.

    Attributes:
        camera: A `CameraBase` to be used instead of the rig file's camera; set it before `start`.
    """

    makes_video_buffer: ClassVar[bool] = True
    status_fields = ("purged", "discarded", "device_lost", "mean_mfps")

    def __init__(self, spec: DeviceSpec, nm_per_px: float) -> None:
        super().__init__()
        self.camera: CameraBase | None = None
        self._spec = spec
        self._nm_per_px = nm_per_px
        self._holder = DeviceHolder(spec)
        self._feed: Feed
        self._annotations: MatrixBuffer | None = None
        self._first_ns = 0
        self._last_stack = 0
        self._purges_told = 0
        self._next_warning_ns = 0

    @property
    def camera_type(self) -> type:
        """The class of the camera; raises a DriverError if there is none."""
        return type(self.camera) if self.camera is not None else self._spec.load()

    @camera_type.setter
    def camera_type(self, camera_type: type | None) -> None:
        """Ignore what the router hands to every manager: this one knows."""

    def nm_per_px(self, magnification: float) -> float:
        """Return the size of a pixel at the sample; a `CameraBase` knows that of its chip."""
        if issubclass(self.camera_type, CameraBase):
            return float(self.camera_type.nm_per_px / magnification)
        return self._nm_per_px

    def device_memory(self) -> dict[str, int]:
        """Return the names and sizes of the memory that the camera shares with other devices."""
        return {} if self.camera is not None else self._holder.shared_memory()

    def buffers(self) -> dict[str, tuple[int, int]]:
        """Return the names and shapes of the buffers that the camera's annotations need."""
        columns = getattr(self.camera_type, "annotation_columns", ())
        return {"Annotations": (ANNOTATION_ROWS, 2 + len(columns))} if columns else {}

    def setup(self) -> None:
        """Open the camera and make the video buffer that fits it."""
        self._device_role = "camera"
        if self.buffers():
            self._annotations = MatrixBuffer(create=False, locks=self.locks, name="Annotations")
        self._feed = self._make_feed()
        self.video_buffer = self._feed.open(
            self.locks,
            self.settings["video buffer n stacks"],
            self.settings["video buffer n images"],
        )
        self.video_buffer.disown()  # others may attach when this process is gone already
        self._holder.report(self)

    def _make_feed(self) -> Feed:
        if self.camera is not None:
            return LegacyFeed(self.camera)
        self._holder.join(self.resources)
        if issubclass(self._spec.load(), Camera):
            return HalFeed(self._holder, self._annotations)
        camera = self._spec.load()(**self._spec.options)
        if not isinstance(camera, CameraBase):
            raise OptionError(
                f"camera driver {self._spec.driver!r} is neither a hal.Camera nor a CameraBase"
            )
        return LegacyFeed(camera)

    def wait_sources(self) -> Sequence[Bell]:
        """Wake when a worker has finished with a stack."""
        return (self.resources.bells["camera"],)

    def seconds_to_next_loop(self) -> float:
        """Return when the next frame is due; there is no room for one until a stack is released."""
        if self.video_buffer is not None and not self.video_buffer.has_room:
            return HEARTBEAT_S
        return self._feed.ready_in_s()

    def do_main_loop(self) -> None:
        """Release what was finished, make room, fetch what waits, and say so."""
        buffer = self.video_buffer
        assert buffer is not None
        self.resources.bells["camera"].clear()
        self._release_finished(buffer)
        self._make_room(buffer)
        if self._feed.fetch():
            self._after_fetch(buffer)

    def _release_finished(self, buffer: VideoBuffer) -> None:
        flag = self.shared_values.video_process_flag
        if flag.value is PoolVideoFlag.FINISHED:
            buffer.read_stack_no_return()
            flag.make_ready()
            self._feed.release(buffer.n_images)
            self.resources.bells["video"].ring()

    def _make_room(self, buffer: VideoBuffer) -> None:
        if not self._acquisition_on:
            self._drop(buffer, "discarded")
        elif buffer.get_level() >= PURGE_LEVEL:
            self._drop(buffer, "purged")
            self._warn_of_purges()

    def _warn_of_purges(self) -> None:
        now_ns, purged = current().clock.monotonic_ns(), self._status["purged"]
        if purged > self._purges_told and now_ns >= self._next_warning_ns:
            self._next_warning_ns = now_ns + WARN_EVERY_S * NS_PER_S
            self.log(
                "warning",
                f"video buffer full: {purged - self._purges_told} frames purged; the workers are "
                "too slow: fewer beads, more 'video processors n', or fewer frames a second",
            )
            self._purges_told = purged

    def _drop(self, buffer: VideoBuffer, why: str) -> int:
        """Drop every whole stack, unless a worker has one."""
        flag = self.shared_values.video_process_flag
        n_images = buffer.n_images
        with flag.get_lock():
            count = (buffer.written - buffer.released) // n_images * n_images
            if not count or flag.value is not PoolVideoFlag.READY:
                return 0
            # Counted before it is done: a death in between leaves frames that are accounted for.
            self.publish(**{why: self._status[why] + count})
            buffer.release_images(count)
        self._feed.release(count)
        return count

    def _after_fetch(self, buffer: VideoBuffer) -> None:
        now_ns = current().clock.monotonic_ns()
        self._first_ns = self._first_ns or now_ns
        seconds = (now_ns - self._first_ns) / NS_PER_S
        changes = {"device_lost": self._feed.lost}
        if seconds > 0:
            changes["mean_mfps"] = round(1000 * (buffer.written - 1) / seconds)
        self.publish(**changes)
        if (stack := buffer.written // buffer.n_images) != self._last_stack:
            self._last_stack = stack
            self.resources.bells["video"].ring()

    def set_acquisition_on(self, value: bool) -> None:
        """Switch the processing of frames on or off."""
        super().set_acquisition_on(value)
        self.resources.bells["video"].ring()

    def set_camera_setting(self, name: str, value: SettingValue) -> None:
        """Change a setting of the camera."""
        self._feed.set_setting(name, value)
        self._holder.report(self)

    def shutdown(self) -> None:
        """Release what was finished, and stop and close the camera."""
        if hasattr(self, "_feed"):
            self._feed.close()
        if self._annotations is not None:
            self._annotations.close()
