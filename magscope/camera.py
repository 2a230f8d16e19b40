"""The camera manager: the one that fills the video buffer, and the one that empties it."""

import contextlib
from collections.abc import Sequence
from typing import ClassVar

from hal.camera import Camera
from hal.clock import NS_PER_S
from hal.device import SettingValue
from hal.errors import OptionError
from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.devices import DeviceHolder, DeviceSpec
from magscope.feeds import CameraBase as CameraBase
from magscope.feeds import Feed, HalFeed, LegacyFeed
from magscope.flag import AGAIN_S, FlagHeldError
from magscope.link import GONE, Link
from magscope.processes import HEARTBEAT_S, ManagerProcessBase
from magscope.runtime import Bell, current
from magscope.utils import PoolVideoFlag, registerwithscript

PURGE_LEVEL = 0.9
ANNOTATION_ROWS = 200_000
WARN_EVERY_S = 5


class CameraManager(ManagerProcessBase):
    """Opens the camera, writes its frames into the video buffer, and releases them.

    It alone changes what the buffer holds: it writes frames; it releases a stack when a worker has
    FINISHED with it; and it drops whole stacks while acquisition is off, or, while nobody reads,
    when the buffer is filling up faster than it is emptied, unless the camera loses nothing by
    waiting.

    Attributes:
        camera: A `CameraBase` to be used instead of the rig file's camera; set it before `start`.
    """

    makes_video_buffer: ClassVar[bool] = True
    holds_device: ClassVar[bool] = True
    status_fields = ("purged", "discarded", "device_lost", "mean_mfps")

    def __init__(self, spec: DeviceSpec, nm_per_px: float) -> None:
        super().__init__()
        self.camera: CameraBase | None = None
        self._spec = spec
        self._nm_per_px = nm_per_px
        self._holder = DeviceHolder(spec)
        self._feed: Feed
        self._link = Link("the camera", spec.reconnect, self)
        self._annotations: MatrixBuffer | None = None
        self._first_ns = 0
        self._last_stack = 0
        self._purges_told = 0
        self._losses_told = 0
        self._next_warning_ns = 0
        self._next_loss_warning_ns = 0
        self._was_full = False
        self._is_held_up = False

    @property
    def camera_type(self) -> type:
        """The class of the camera; raises a DriverError if there is none."""
        return type(self.camera) if self.camera is not None else self._spec.load()

    @camera_type.setter
    def camera_type(self, camera_type: type | None) -> None:
        """Ignore what the router hands to every manager: this one knows."""

    @property
    def uses_hal(self) -> bool:
        """Whether the camera is a `hal.Camera`."""
        return issubclass(self.camera_type, Camera)

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
        self.video_buffer = self._feed.open(self._make_buffer)
        self.video_buffer.disown()  # others may attach when this process is gone already
        self._holder.report(self)

    def _make_buffer(self, width: int, height: int, bits: int) -> VideoBuffer:
        return VideoBuffer(
            create=True,
            locks=self.locks,
            n_stacks=self.settings["video buffer n stacks"],
            n_images=self.settings["video buffer n images"],
            width=width,
            height=height,
            bits=bits,
        )

    def _make_feed(self) -> Feed:
        if self.camera is not None:
            return LegacyFeed(self.camera)
        self._holder.join(self)
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
            return AGAIN_S if self._is_held_up else HEARTBEAT_S
        if self._link.is_down:
            return self._link.due_in_s
        return self._feed.ready_in_s(self._status["mean_mfps"] / 1000)

    def do_main_loop(self) -> None:
        """Release what was finished, make room, fetch what waits, and say so."""
        buffer = self.video_buffer
        assert buffer is not None
        self.resources.bells["camera"].clear()
        self._is_held_up = True
        with contextlib.suppress(FlagHeldError):  # by a worker that will be killed for it
            self._release_finished(buffer)
            self._make_room(buffer)
            self._is_held_up = False
        if self._link.is_down:
            self._look_for_camera()
        elif self._fetch():
            self._after_fetch(buffer)
        self._was_full = self._was_full or not buffer.has_room

    def _fetch(self) -> bool:
        try:
            return self._feed.fetch() > 0
        except GONE as error:
            self._link.break_off(error)
            self._feed.let_go()
            return True  # some may have come before it went

    def _look_for_camera(self) -> None:
        self._link.look(self._reopen)

    def _reopen(self) -> None:
        self._feed.reopen()
        self._holder.report(self)  # which asks it: it may have gone again by now

    def _release_finished(self, buffer: VideoBuffer) -> None:
        flag = self.shared_values.video_process_flag
        if flag.value is PoolVideoFlag.FINISHED:
            flag.make_ready(buffer.read_stack_no_return)
            self._feed.release(buffer.n_images)
            self.resources.bells["video"].ring()

    def _make_room(self, buffer: VideoBuffer) -> None:
        if not self._acquisition_on:
            self._drop(buffer, "discarded")
        elif self._feed.can_wait:
            return
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

    def _drop(self, buffer: VideoBuffer, why: str) -> None:
        """Drop every whole stack, unless a worker has one."""
        flag = self.shared_values.video_process_flag
        n_images = buffer.n_images
        if not buffer.check_read_stack():
            return
        with flag.held():
            count = (buffer.written - buffer.released) // n_images * n_images
            if flag.value is not PoolVideoFlag.READY:
                return
            # Counted before it is done: a death in between leaves frames that are accounted for.
            self.publish(**{why: self._status[why] + count})
            buffer.release_images(count)
        self._feed.release(count)

    def _after_fetch(self, buffer: VideoBuffer) -> None:
        now_ns = current().clock.monotonic_ns()
        self._first_ns = self._first_ns or now_ns
        seconds = (now_ns - self._first_ns) / NS_PER_S
        changes = {"device_lost": self._feed.lost}
        if seconds > 0:
            changes["mean_mfps"] = round(1000 * (buffer.written - 1) / seconds)
        self.publish(**changes)
        self._warn_of_losses(now_ns)
        if (stack := buffer.written // buffer.n_images) != self._last_stack:
            self._last_stack = stack
            self.resources.bells["video"].ring()

    def _warn_of_losses(self, now_ns: int) -> None:
        count = self._feed.lost - self._losses_told
        if count <= 0 or now_ns < self._next_loss_warning_ns:
            return
        why = "the computer or the connection to the camera did not keep up"
        if self._was_full:
            why = (
                "the video buffer was full, as the workers are too slow: fewer beads, more 'video "
                "processors n', or fewer frames a second"
            )
        self.log("warning", f"{count} frames lost by the camera: {why}")
        self._next_loss_warning_ns = now_ns + WARN_EVERY_S * NS_PER_S
        self._losses_told += count
        self._was_full = False

    def set_acquisition_on(self, value: bool) -> None:
        """Switch the processing of frames on or off."""
        super().set_acquisition_on(value)
        self.resources.bells["video"].ring()

    @registerwithscript("set_camera_setting")
    def set_camera_setting(self, name: str, value: SettingValue) -> None:
        """Change a setting of the camera."""
        self._link.check()
        self._feed.set_setting(name, value)
        self._holder.report(self)

    @registerwithscript("reconnect_camera")
    def reconnect_camera(self) -> None:
        """Look now for a camera that has gone; does nothing while it is there."""
        if self._link.is_down:
            self._link.ask()
            self._look_for_camera()

    def shutdown(self) -> None:
        """Release what was finished, and stop and close the camera."""
        self._link.conclude()
        if hasattr(self, "_feed"):
            self._feed.close()
        if self._annotations is not None:
            self._annotations.close()
