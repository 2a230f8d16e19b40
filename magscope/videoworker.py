"""A worker of the video pool: a process that does one stack after another."""

import pickle
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from magscope.channel import Channel
from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.processes import InterprocessValues
from magscope.runtime import Bell, Endpoint, RuntimeProcess, current
from magscope.trackers import Tracker
from magscope.tracking import load_magtrack, track_crops
from magscope.videowork import Result, StackProcessor, Task


class VideoWorker(RuntimeProcess):
    """Takes tasks from the video processor manager, one at a time, until its pipe ends.

    Args:
        name: The worker's own name; one that takes a dead worker's place has another.
        end: Its end of the pipe to the manager.
        locks: Of the shared buffers.
        shared_values: The pool's flag.
        camera_bell: Rung when a stack may be released.
        tracker: What finds the beads in the crops.
    """

    def __init__(
        self,
        name: str,
        end: Endpoint,
        locks: Mapping[str, Any],
        shared_values: InterprocessValues,
        camera_bell: Bell,
        tracker: Tracker = track_crops,
    ) -> None:
        super().__init__(name=name, daemon=True)  # ends with its manager, whatever that ends of
        self._end = end
        self._locks = locks
        self._shared_values = shared_values
        self._camera_bell = camera_bell
        self._tracker = tracker

    def own_ends(self) -> Sequence[Endpoint]:
        """Return the pipe end that this process alone keeps open."""
        return (self._end,)

    def run(self) -> None:
        """Work until told to stop, or until the manager is gone, or can not be told anything."""
        current().enter(self)
        with closing(self._end):  # that it has nothing to do any more can be seen before it is gone
            self._work(Channel(self._end))

    def _work(self, channel: Channel) -> None:
        runtime = current()
        with runtime.loading():
            load_magtrack()
        processor: StackProcessor | None = None
        self._answer(channel, None)
        while not channel.is_broken:  # whoever can not answer is of no use to anybody
            runtime.wait([channel])
            try:
                raw = channel.receive()
            except EOFError:
                return
            if raw is None:
                continue
            try:
                task: Task | None = pickle.loads(raw)
            except Exception:  # no task: the stack is given back when this process is gone
                return
            if task is None:
                return
            if processor is None:  # only now the video buffer is there for certain
                try:
                    processor = self._processor()
                except FileNotFoundError:  # the session is over, and its memory removed
                    return
            self._answer(channel, self._do(processor, task))

    def _processor(self) -> StackProcessor:
        return StackProcessor(
            VideoBuffer(create=False, locks=self._locks),
            MatrixBuffer(create=False, locks=self._locks, name="TracksBuffer"),
            MatrixBuffer(create=False, locks=self._locks, name="ProfilesBuffer"),
            self._finish,
            self._tracker,
        )

    def _do(self, processor: StackProcessor, task: Task) -> Result:
        try:
            return processor.do(task)
        except Exception as error:  # one stack's failure must not end the worker
            return Result(task.epoch, problem=f"{error!r}", details=traceback.format_exc())

    def _finish(self, task: Task) -> None:
        try:
            self._shared_values.video_process_flag.finish(task.owner, task.epoch)
        except Exception:
            # It was taken for dead and its stack given back: what it has is no longer its own. Or
            # it can not give its stack back, and that is done for who has died.
            raise SystemExit(1) from None
        self._camera_bell.ring()

    @staticmethod
    def _answer(channel: Channel, result: Result | None) -> None:
        if channel.post(pickle.dumps(result, pickle.HIGHEST_PROTOCOL)):
            while not channel.flush():
                current().wait((), [channel])
