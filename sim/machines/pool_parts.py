"""The real parts that `PoolVideoFlagMachine` drives, each in a process of its own on a stage."""

from typing import Any

import numpy as np

from magscope.camera import CameraManager
from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.devices import DeviceSpec
from magscope.feeds import Feed, MakeBuffer
from magscope.processes import InterprocessValues, Resources
from magscope.runtime import current
from magscope.tracking import Tracked
from magscope.utils import AcquisitionMode
from magscope.videowork import StackProcessor, Task
from magscope.videoworker import VideoWorker
from sim.machines.stage import Actor, Order, Stage

SIDE_PX = 4
_VALUES = 251  # frame numbers as pixels: a prime, so that no ring's length hides a torn stack


def frame_values(first: int, count: int) -> list[int]:
    """Return the pixels of so many frames from one on."""
    return [(first + n) % _VALUES for n in range(count)]


class Pool:
    """The video processor manager's process, and what all share.

    Args:
        stage: Where it lives.
        n_images: Frames in a stack.
        n_stacks: Stacks in the ring.
    """

    def __init__(self, stage: Stage, *, n_images: int, n_stacks: int) -> None:
        self.n_images, self.n_stacks = n_images, n_stacks
        self.router = stage.begin("MagScope")
        stage.ask(self.router, self._make)
        self.actor = stage.actor("VideoProcessorManager")
        self.shared: InterprocessValues
        self.buffer: VideoBuffer

    def _make(self) -> None:
        runtime = current()
        self.shared = InterprocessValues()
        names = ("VideoBuffer", "TracksBuffer", "ProfilesBuffer")
        self.locks: dict[str, Any] = {name: runtime.lock() for name in names}
        self.bells = {name: runtime.bell() for name in ("camera", "video")}
        self.events = (runtime.event(), runtime.event())
        self.matrices = [
            MatrixBuffer(create=True, locks=self.locks, name=name, shape=(64, 7))
            for name in names[1:]
        ]

    def holder(self) -> int | None:
        """Return who has one of the locks."""
        locks = (*self.locks.values(), self.shared.video_process_flag.get_lock())
        return next((lock.holder for lock in locks if lock.holder is not None), None)

    def claim(self, owner: int) -> int | None:
        """Hand the oldest stack to a worker, as the pool's manager does."""
        if not hasattr(self, "buffer"):
            self.buffer = VideoBuffer(create=False, locks=self.locks)
        return self.shared.video_process_flag.claim(owner, self.buffer.check_read_stack)

    def resources(self) -> Resources:
        """Return what the router hands to a manager."""
        end, _ = current().pipe()
        return Resources(
            end, *self.events, self.locks, self.shared, {}, ("CameraManager",), bells=self.bells
        )


class _Manager(CameraManager):
    """The camera manager without a router to speak to."""

    def connect(self, feed: Feed, resources: Resources) -> VideoBuffer:
        """Take a feed instead of a device."""
        self.give(resources)
        self._feed = feed
        self.video_buffer = self._feed.open(self._make_buffer)
        return self.video_buffer

    def log(self, level: str, text: str) -> None:
        """Tell nobody but the trace."""
        current().note(level, text)

    @property
    def purged(self) -> int:
        """Frames that it reports as purged."""
        return self._status["purged"]

    @property
    def discarded(self) -> int:
        """Frames that it reports as discarded."""
        return self._status["discarded"]


class Camera(Feed):
    """The camera manager's process; the feed has as many frames ready as it was told."""

    def __init__(self, stage: Stage, pool: Pool) -> None:
        self.waiting = 0
        self._pool = pool
        self.actor = stage.actor("CameraManager")
        self.manager: _Manager
        self.buffer: VideoBuffer
        stage.ask(self.actor, self._make)

    def _make(self) -> None:
        self.manager = _Manager(DeviceSpec("camera", "sim.devices.truth:TruthCamera"), 1.0)
        resources = self._pool.resources()
        pool = self._pool
        resources.settings = {
            "video buffer n stacks": pool.n_stacks, "video buffer n images": pool.n_images,
        }  # fmt: skip
        self.buffer = self.manager.connect(self, resources)

    def open(self, make_buffer: MakeBuffer) -> VideoBuffer:
        """Make the ring."""
        self.buffer = make_buffer(SIDE_PX, SIDE_PX, 8)
        return self.buffer

    def fetch(self) -> int:
        """Write the frames that wait, as far as there is room."""
        count = 0
        while self.waiting and self.buffer.has_room:
            number = self.buffer.written
            self.buffer.next_image()[:] = number % _VALUES
            self.buffer.commit(number * 1_000_000)
            self.waiting -= 1
            count += 1
        return count

    def ready_in_s(self, fps: float) -> float:  # noqa: ARG002 - nobody asks
        """Return that it is told."""
        return 1.0

    def set_setting(self, name: str, value: Any) -> None:
        """Have no settings."""

    def close(self) -> None:
        """Have nothing to close."""


class _Worker(VideoWorker):
    def finish(self, task: Task) -> None:
        """Give the stack back."""
        self._finish(task)


class Hand:
    """A worker's process, and what it works on.

    Attributes:
        epoch: Its stack.
        order: What it does, until that was looked at.
        seen: The frames that it saw.
        expected: Those that it was handed.
        is_bad: Whether it was given what it can not do.
    """

    def __init__(self, stage: Stage, pool: Pool, number: int) -> None:
        self.number = number
        self.name = f"VideoWorker-{number}"
        self.epoch = 0
        self.order: Order | None = None
        self.seen: list[int] = []
        self.expected: list[int] = []
        self.is_bad = False
        self._stage, self._pool = stage, pool
        self._processor: StackProcessor | None = None
        self.actor: Actor = stage.actor(self.name)

    @property
    def is_held(self) -> bool:
        """Whether it stands at an operation."""
        return self.actor.is_alive and self.actor.task.is_frozen

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.order is None

    def begin(self, epoch: int, *, is_bad: bool, hold_after: int) -> None:
        """Work on a stack; be held at an operation of it, if that is not below 0."""
        self.epoch, self.seen, self.is_bad = epoch, [], is_bad
        rois = {0: (0, SIDE_PX, SIDE_PX * is_bad, SIDE_PX * (1 + is_bad))}  # a bad one is outside
        task = Task(epoch, self.number, AcquisitionMode.TRACK, rois, 1.0)
        if hold_after >= 0:
            self._stage.hold(self.actor, hold_after)
        self.order = self.actor.tell(lambda: self._do(task))
        self._stage.settle()

    def let_go(self) -> None:
        """Go on."""
        self._stage.let_go(self.actor)
        self._stage.settle()

    def _do(self, task: Task) -> Any:
        if self._processor is None:
            pool = self._pool
            worker = _Worker(
                self.name,
                pool.resources().end,
                pool.locks,
                pool.shared,
                pool.bells["camera"],
            )
            video = VideoBuffer(create=False, locks=pool.locks)
            tracks, profiles = pool.matrices
            self._processor = StackProcessor(video, tracks, profiles, worker.finish, self._track)
        return self._processor.do(task)

    def _track(self, crops: np.ndarray, _: np.ndarray | None) -> Tracked:
        if (crops != crops[:1, :1]).any():
            raise ValueError("a frame is torn")
        self.seen = crops[0, 0, :, 0].tolist()
        n_images = crops.shape[2]
        return Tracked(
            np.zeros((n_images, 1, 2)), np.zeros((n_images, 1)), np.zeros((n_images, 1, 2))
        )
