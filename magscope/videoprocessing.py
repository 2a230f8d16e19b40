"""The video processor manager: it hands stacks to its workers and takes care of them."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hal.clock import NS_PER_S
from magscope.channel import Channel
from magscope.datatypes import VideoBuffer
from magscope.flag import AGAIN_S, FlagHeldError
from magscope.processes import HEARTBEAT_S, ManagerProcessBase, left_when_told, signal_name
from magscope.protocol import Kind, pack
from magscope.runtime import current
from magscope.trackers import Tracker
from magscope.tracking import load_magtrack, track_crops
from magscope.utils import AcquisitionMode, Message, PoolVideoFlag, registerwithscript
from magscope.videowork import Result, Search, Task
from magscope.videoworker import VideoWorker
from magscope.zlut import load_zlut

HOLD_LIMIT_S = 1.5
TASK_LIMIT_S = 30.0
FINISH_S = 1.5
LEAVE_S = 1.5
EXIT_S = 0.5
SEARCHES = 10


@dataclass(eq=False)
class _Hand:
    """A worker and what it is doing; `number` is its mark on the flag."""

    number: int
    worker: VideoWorker
    channel: Channel
    is_ready: bool = False
    task: Task | None = None
    since_ns: int = 0
    stacks: int = 0
    force: str = ""
    is_dismissed: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether it can not be heard any more, or was killed, and is not yet buried."""
        return self.channel.is_broken or bool(self.force)


class VideoProcessorManager(ManagerProcessBase):
    """Owns the pool: hands out stacks, takes in results, replaces workers that died or hang.

    It is the one writer of the busy count, and the one that makes the flag RUNNING. A worker copies
    what it needs and gives the stack back at once, so several work at the same time.

    Args:
        max_beads: Find so many beads in the first frames; 0: do not look for any.
        zlut: The Z-LUT file to begin with.
        tracker: What finds the beads in the crops.
    """

    quit_phase: ClassVar[int] = 1
    status_fields = (
        "processed", "lost", "tracks_rows", "first_track_ns", "acquisition_on", "mode",
    )  # fmt: skip

    def __init__(
        self, *, max_beads: int = 0, zlut: Path | None = None, tracker: Tracker = track_crops
    ) -> None:
        super().__init__()
        self._tracker = tracker
        self._max_beads = max_beads
        self._first_zlut = zlut
        self._hands: list[_Hand] = []
        self._hired = 0
        self._sequence = 0
        self._recording = 0
        self._complete = 0
        self._zlut: tuple[Path, int] | None = None
        self._zluts_set = 0
        self._searches_left = SEARCHES if max_beads else 0
        self._is_recording_video = True
        self._is_held_up = False

    def _warm_up(self) -> None:
        """Start the workers, with what they need loaded already where they inherit it."""
        if current().children_inherit:
            with current().loading():
                load_magtrack()
        for _ in range(self.settings["video processors n"]):
            self._hire()

    def setup(self) -> None:
        """Load the Z-LUT to begin with, unless the settings have another width than it."""
        roi_px = self.settings["bead roi width"]
        if self._first_zlut is not None and (n_bins := len(load_zlut(self._first_zlut)) - 1) != (
            roi_px // 2
        ):
            self.log(
                "warning",
                f"no heights: {self._first_zlut.name} was made for ROIs of {2 * n_bins} px, and "
                f"'bead roi width' is {roi_px} px",
            )
        else:
            self.set_zlut(self._first_zlut)
        self._publish_mode()

    def wait_sources(self) -> Sequence[Any]:
        """Wake for a new stack, a result, and a worker's end."""
        return (
            self.resources.bells["video"],
            *(hand.channel for hand in self._hands if not hand.channel.is_broken),
            *(hand.worker for hand in self._hands),
        )

    def _writable(self) -> tuple[Channel, ...]:
        """Send on tasks, too."""
        waiting = [hand.channel for hand in self._hands if hand.channel.wants_room]
        return (*super()._writable(), *(c for c in waiting if not c.flush()))

    def seconds_to_next_loop(self) -> float:
        """Look after busy workers when their time is over."""
        if self._is_held_up:
            return AGAIN_S
        since_ns = [hand.since_ns for hand in self._hands if hand.task is not None]
        if not since_ns:
            return HEARTBEAT_S
        left_s = HOLD_LIMIT_S - (current().clock.monotonic_ns() - min(since_ns)) / NS_PER_S
        return left_s if left_s > 0 else HEARTBEAT_S / 2

    def do_main_loop(self) -> None:
        """Take in results, bury the dead, hand out what waits."""
        self.resources.bells["video"].clear()
        self._is_held_up = False
        for hand in list(self._hands):
            is_dead = not hand.worker.is_alive()  # asked first: then all that it said is there
            self._take_in(hand)
            if is_dead and self._bury(hand):
                self._hire()
        self._tell_complete()
        self._end_hanging()
        self._hand_out()

    def _hire(self) -> None:
        self._hired += 1
        mine, its = current().pipe()
        worker = VideoWorker(
            f"VideoWorker-{self._hired}",
            its,
            self.locks,
            self.shared_values,
            self.resources.bells["camera"],
            self._tracker,
        )
        hand = _Hand(self._hired, worker, Channel(mine))
        self._hands.append(hand)
        worker.start()
        self._tell(hand, "starting")

    def _hand_out(self) -> None:
        buffer = self.video_buffer
        assert buffer is not None
        for hand in self._hands:
            if not self._acquisition_on or not buffer.check_read_stack():
                return
            if not hand.is_ready or hand.task is not None or hand.is_lost:
                continue
            flag = self.shared_values.video_process_flag
            try:
                epoch = flag.claim(hand.number, buffer.check_read_stack)
            except FlagHeldError:  # by a worker that will be killed for it
                self._is_held_up = True
                return
            if epoch is None:
                return
            hand.task = self._task(epoch, hand.number, buffer)
            hand.since_ns = current().clock.monotonic_ns()
            self._count_busy()
            hand.channel.post(pickle.dumps(hand.task, pickle.HIGHEST_PROTOCOL))
            self._tell(hand, "busy")

    def _task(self, epoch: int, owner: int, buffer: VideoBuffer) -> Task:
        mode = self._acquisition_mode
        records = self._acquisition_dir_on and self._acquisition_dir is not None
        needs_rois = mode is not AcquisitionMode.FULL_VIDEO
        search = None
        if needs_rois and not self.bead_rois and self._searches_left:
            self._searches_left -= 1
            search = Search(self.settings["bead roi width"], self._max_beads)
        saves_video = records and self._is_recording_video
        width, height = buffer.image_shape
        rois = {b: r for b, r in self.bead_rois.items() if r[1] <= width and r[3] <= height}
        sequence = None
        if records and mode.tracks and (rois or search):
            sequence, self._sequence = self._sequence, self._sequence + 1
        return Task(
            epoch,
            owner,
            mode,
            rois,
            self.resources.nm_per_px,
            sequence=sequence,
            recording=self._recording,
            zlut=self._zlut,
            video_dir=self._acquisition_dir if saves_video else None,
            search=search,
        )

    def _take_in(self, hand: _Hand) -> None:
        try:
            while (raw := hand.channel.receive()) is not None:
                try:
                    result: Result | None = pickle.loads(raw)
                except Exception as error:  # whatever bytes that make no sense do to their reader
                    self._end(hand, f"answers what can not be read ({error})")
                    return
                if result is None:
                    hand.is_ready = True
                elif hand.task is not None and result.epoch == hand.task.epoch:
                    self._settle(hand, hand.task, result)
                self._tell(hand, "idle")
        except EOFError:
            hand.channel.break_off()

    def _settle(self, hand: _Hand, task: Task, result: Result) -> None:
        hand.task = None
        hand.stacks += 1
        self._count_busy()
        n_images = self.video_buffer.n_images if self.video_buffer else 0
        if result.problem:
            # A task that failed before it gave its stack back has given it back all the same.
            self.publish(lost=self._status["lost"] + n_images)
            self.log(
                "error",
                f"stack {task.epoch} lost ({n_images} frames): {result.problem}\n{result.details}",
            )
            return
        changes = {"processed": self._status["processed"] + n_images}
        if result.rows:
            changes["tracks_rows"] = self._status["tracks_rows"] + result.rows
            if not self._status["first_track_ns"]:
                changes["first_track_ns"] = current().clock.now_ns()
        self.publish(**changes)
        if result.batch is not None:
            self.send_ipc(Message("RecordingManager", "save_tracks", result.batch, task.recording))
        if result.recording_problem and self._is_recording_video:
            self._is_recording_video = False
            self.log("error", f"video is no longer recorded: {result.recording_problem}")
        if task.search is not None:
            self._found(result.rois or [])

    def _found(self, rois: list[tuple[int, int, int, int]]) -> None:
        if self.bead_rois:
            return
        if rois:
            self._searches_left = 0
            self.log("info", f"found {len(rois)} beads")
            self.set_bead_rois(rois)
            self.send_ipc(Message(ManagerProcessBase, "set_bead_rois", dict(self.bead_rois)))
        elif not self._searches_left:
            self.log("warning", "found no beads in the first frames: give [beads] rois")

    def _bury(self, hand: _Hand) -> bool:
        """Settle what a dead worker leaves: its stack, its place in the busy count.

        False if its stack can not be given back yet, as somebody else hangs with the flag.
        """
        try:
            has_given_back = self.shared_values.video_process_flag.finish_for_dead(hand.number)
        except FlagHeldError:
            self._is_held_up = True
            return False
        self._hands.remove(hand)
        hand.worker.join()
        exit_code = hand.worker.exitcode
        hand.is_dismissed = hand.is_dismissed and left_when_told(exit_code)
        hand.worker.forget()
        hand.channel.break_off()
        hand.channel.end.close()
        if has_given_back:
            self.resources.bells["camera"].ring()
        frames = 0
        if hand.task is not None and self.video_buffer is not None:
            frames = self.video_buffer.n_images
            self.publish(lost=self._status["lost"] + frames)
        self._count_busy()
        went_as_told = hand.is_dismissed or (exit_code == 0 and self._has_quit)
        force = hand.force if exit_code else ""  # it had ended by itself before it was made to
        outcome = force or ("clean" if went_as_told else "crashed")
        self._tell(hand, "gone", outcome=outcome, exit_code=exit_code)
        if outcome != "clean":
            lost = f", {frames} frames lost" if frames else ""
            self.log("error", f"{hand.worker.name} died: {signal_name(exit_code)}{lost}")
        return True

    def _end_hanging(self) -> None:
        """Kill a worker that holds a stack, or works on one, for too long."""
        flag = self.shared_values.video_process_flag
        now_ns = current().clock.monotonic_ns()
        for hand in sorted(self._hands, key=lambda hand: hand.since_ns):
            if hand.task is None or hand.force:
                continue
            busy_s = (now_ns - hand.since_ns) / NS_PER_S
            holds = flag.read()[:2] == (PoolVideoFlag.RUNNING, hand.number)
            has_no_say = hand.channel.is_broken
            if busy_s > TASK_LIMIT_S or ((holds or has_no_say) and busy_s > HOLD_LIMIT_S):
                self._end(hand, f"hangs in stack {hand.task.epoch}")
            elif busy_s > HOLD_LIMIT_S and flag.is_stuck():
                self._end(hand, f"hangs with the flag's lock in stack {hand.task.epoch}")
                return  # if it was not this one, the next in its turn

    def _end(self, hand: _Hand, why: str) -> None:
        """Kill a worker that is of no use any more; another one takes its place."""
        if not hand.force:
            hand.force = "killed"
            self.log("error", f"{hand.worker.name} {why}: killed")
            hand.worker.kill()

    def _count_busy(self) -> None:
        busy = sum(hand.task is not None for hand in self._hands)
        self.shared_values.video_process_busy_count.value = busy

    def _tell(
        self, hand: _Hand, state: str, *, outcome: str = "", exit_code: int | None = None
    ) -> None:
        facts = {
            "name": hand.worker.name,
            "pid": hand.worker.pid,
            "state": state,
            "stacks": hand.stacks,
            "outcome": outcome,
            "exit_code": exit_code,
            "traceback": "",
        }
        self.send_control(pack(Kind.WORKER, payload=json.dumps(facts).encode()))

    @registerwithscript("set_zlut")
    def set_zlut(self, path: str | Path | None) -> None:
        """Look heights up in this Z-LUT file from now on; None: track x and y alone."""
        if path is None:
            self._zlut = None
            return
        load_zlut(path, roi_px=self.settings["bead roi width"])
        self._zluts_set += 1
        self._zlut = (Path(path), self._zluts_set)

    def set_acquisition_on(self, value: bool) -> None:
        """Switch the processing of frames on or off."""
        super().set_acquisition_on(value)
        self._publish_mode()

    def set_acquisition_mode(self, mode: AcquisitionMode | str) -> None:
        """Choose what becomes of the frames."""
        super().set_acquisition_mode(mode)
        self._publish_mode()

    def set_acquisition_dir(self, value: str | Path | None) -> None:
        """Choose the directory of the recording."""
        super().set_acquisition_dir(value)
        self._begin_recording()

    def set_acquisition_dir_on(self, value: bool) -> None:
        """Switch recording on or off; on, after an error, tries again."""
        super().set_acquisition_dir_on(value)
        self._begin_recording()

    def _begin_recording(self) -> None:
        self._is_recording_video = True
        self._sequence = 0
        self._recording += 1
        self._tell_complete()

    def _tell_complete(self) -> None:
        """Tell the recording manager which recordings are complete, when that changes."""
        open_ones = (hand.task.recording for hand in self._hands if hand.task is not None)
        oldest = min(open_ones, default=self._recording)
        if oldest > self._complete:
            self._complete = oldest
            self.send_ipc(Message("RecordingManager", "recordings_complete", oldest))

    def _publish_mode(self) -> None:
        mode = list(AcquisitionMode).index(self._acquisition_mode)
        self.publish(acquisition_on=self._acquisition_on, mode=mode)

    def shutdown(self) -> None:
        """Let the workers finish what they have, and end them; make those that do not."""
        # Where a start has failed, there is one that never was.
        self._hands = [hand for hand in self._hands if hand.worker.pid is not None]
        try:
            self._end_workers()
        finally:  # told to terminate meanwhile, or a worker that nothing ends in time
            for hand in self._hands:
                hand.worker.kill()
                hand.channel.end.close()

    def _end_workers(self) -> None:
        self._acquisition_on = False
        self._wait_for(FINISH_S, lambda: not any(hand.task for hand in self._hands))
        for hand in self._hands:
            hand.channel.post(pickle.dumps(None))
            if not hand.is_ready:  # it is still loading what it would have needed, and has nothing
                self._dismiss(hand)
        self._wait_for(LEAVE_S, lambda: not self._hands)
        for hand in self._hands:
            if hand.channel.is_broken and hand.task is None:  # its work is done
                self._dismiss(hand)
            elif hand.worker.is_alive():  # a dead one may wait for the flag, to be buried
                hand.force = "terminated"
                hand.worker.terminate()
        self._wait_for(EXIT_S, lambda: not self._hands)
        for hand in self._hands:
            if hand.worker.is_alive():
                hand.force = "killed"
                hand.worker.kill()
        self._wait_for(EXIT_S, lambda: not self._hands)

    @staticmethod
    def _dismiss(hand: _Hand) -> None:
        hand.is_dismissed = True
        hand.worker.terminate()

    def _wait_for(self, seconds: float, is_done: Any) -> None:
        clock = current().clock
        deadline_ns = clock.monotonic_ns() + int(seconds * NS_PER_S)
        while not is_done() and (left_ns := deadline_ns - clock.monotonic_ns()) > 0:
            left_s = min(left_ns / NS_PER_S, HEARTBEAT_S)
            current().wait(self.wait_sources(), self._writable(), left_s)
            self._beat()
            self.resources.bells["video"].clear()
            for hand in list(self._hands):
                is_dead = not hand.worker.is_alive()
                self._take_in(hand)
                if is_dead:
                    self._bury(hand)
