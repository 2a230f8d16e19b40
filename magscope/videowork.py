"""What a video worker is asked to do with a stack, what it answers, and how it does it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.recording.batch import TracksBatch
from magscope.recording.errors import RecordingError
from magscope.recording.video import write_video
from magscope.runtime import current
from magscope.trackers import Tracker
from magscope.tracking import Tracked, track_crops
from magscope.utils import AcquisitionMode, crop_stack_to_rois
from magscope.zlut import load_zlut

Roi = tuple[int, int, int, int]


@dataclass(frozen=True)
class Search:
    """Where no ROIs are given: find so many beads of this size."""

    roi_px: int
    max_beads: int


@dataclass(frozen=True)
class Task:
    """One stack to be processed.

    Attributes:
        epoch: The stack's number; see `PoolFlag`.
        owner: The worker that holds it.
        sequence: The number of its batch in the recording; None if its tracks are not recorded.
        recording: Which recording the stack belongs to.
        rois: By bead id.
        zlut: The Z-LUT file, and how often one was set: the same path may have new content.
        video_dir: Where video goes; None if none is saved.
        search: Find the beads in this stack first.
    """

    epoch: int
    owner: int
    mode: AcquisitionMode
    rois: dict[int, Roi]
    nm_per_px: float
    sequence: int | None = None
    recording: int = 0
    zlut: tuple[Path, int] | None = None
    video_dir: Path | None = None
    search: Search | None = None


@dataclass(frozen=True)
class Result:
    """What became of a stack.

    Attributes:
        rows: Rows of positions.
        batch: The batch to be recorded.
        rois: The beads that were found, if the task was to find them.
        problem: What went wrong with the stack; it then counts as lost.
        recording_problem: What went wrong with the video file alone.
        details: The traceback, where something did.
    """

    epoch: int
    rows: int = 0
    batch: TracksBatch | None = None
    rois: list[Roi] | None = None
    problem: str = ""
    recording_problem: str = ""
    details: str = ""


@dataclass
class StackProcessor:
    """Does tasks in a worker's process.

    Args:
        finish: Called with the task as soon as the stack's frames are no longer needed.
        tracker: What finds the beads in the crops.
    """

    video: VideoBuffer
    tracks: MatrixBuffer
    profiles: MatrixBuffer
    finish: Callable[[Task], None]
    tracker: Tracker = track_crops
    _zlut_key: tuple[Path, int] | None = None
    _zlut: np.ndarray | None = field(default=None, repr=False)

    def do(self, task: Task) -> Result:
        """Copy what is needed out of the video buffer, give the stack back, then work on it."""
        crops = whole = None
        try:
            stack, times_s = self.video.peak_stack()
            current().note("stack", f"reading {task.epoch}")
            times_s = times_s.copy()
            times_ns, numbers = self.video.peak_stack_info()
            if task.search or (task.video_dir and task.mode.saves_frames):
                whole = stack.copy(order="K")
            if not task.search:
                crops = crop_stack_to_rois(stack, list(task.rois.values()))
        finally:
            self.finish(task)
        if crops is None:
            assert whole is not None
            task = self._find(task, whole)
            crops = crop_stack_to_rois(whole, list(task.rois.values()))
        rows, batch = 0, None
        if task.mode.tracks and (task.rois or task.search):
            tracked = self._track(task, crops)
            rows, batch = self._publish(task, tracked, times_s, times_ns, numbers)
        problem = self._save(task, whole, crops, times_s)
        rois = list(task.rois.values()) if task.search else None
        return Result(task.epoch, rows=rows, batch=batch, rois=rois, recording_problem=problem)

    @staticmethod
    def _find(task: Task, stack: np.ndarray) -> Task:
        """Return the task with the beads that are in its stack."""
        assert task.search is not None
        from magscope.rois import find_rois  # slow to load, and needed once

        rois = find_rois(stack.mean(axis=2), task.search.roi_px, task.search.max_beads)
        return replace(task, rois=dict(enumerate(rois)))

    def _track(self, task: Task, crops: np.ndarray) -> Tracked:
        if task.rois:
            return self.tracker(crops, self._load(task))
        n_images = crops.shape[2]
        return Tracked(
            np.empty((n_images, 0, 2)), np.empty((n_images, 0)), np.empty((n_images, 0, 0))
        )

    def _load(self, task: Task) -> np.ndarray | None:
        if task.zlut is None:
            return None
        if task.zlut != self._zlut_key:
            self._zlut = load_zlut(task.zlut[0])
            self._zlut_key = task.zlut
        return self._zlut

    def _publish(
        self,
        task: Task,
        tracked: Tracked,
        times_s: np.ndarray,
        times_ns: np.ndarray,
        numbers: np.ndarray,
    ) -> tuple[int, TracksBatch | None]:
        beads = np.array(list(task.rois), np.uint16)
        corners = np.array([(roi[0], roi[2]) for roi in task.rois.values()], np.uint16)
        corners = corners.reshape(-1, 2)  # of no beads too
        n_images, n_beads = tracked.z_nm.shape
        positions = np.empty((n_images, n_beads, 3))
        positions[..., :2] = (tracked.positions_px + corners) * task.nm_per_px
        positions[..., 2] = tracked.z_nm
        rows = np.empty((n_images, n_beads, self.tracks.shape[1]))
        rows[..., 0] = times_s[:, None]
        rows[..., 1:4] = positions
        rows[..., 4] = beads
        rows[..., 5:7] = corners
        self.tracks.write(rows.reshape(-1, rows.shape[-1]))
        self._publish_profiles(tracked, times_s, beads)
        batch = None
        if task.sequence is not None:
            batch = TracksBatch.from_stack(
                task.sequence, times_ns.astype(np.uint64), numbers.astype(np.uint64), beads,
                positions, corners,
            )  # fmt: skip
        return n_images * n_beads, batch

    def _publish_profiles(self, tracked: Tracked, times_s: np.ndarray, beads: np.ndarray) -> None:
        bins = tracked.profiles.shape[-1]
        if bins != self.profiles.shape[1] - 2:  # ROIs of another width than the settings say
            return
        profiles = np.empty((len(times_s), len(beads), 2 + bins))
        profiles[..., 0] = times_s[:, None]
        profiles[..., 1] = beads
        profiles[..., 2:] = tracked.profiles
        self.profiles.write(profiles.reshape(-1, 2 + bins))

    @staticmethod
    def _save(task: Task, whole: np.ndarray | None, crops: np.ndarray, times_s: np.ndarray) -> str:
        if task.video_dir is None:
            return ""
        try:
            if whole is not None and task.mode.saves_frames:
                write_video(task.video_dir, whole, times_s, nm_per_px=task.nm_per_px)
            if task.mode.saves_crops and task.rois:
                write_video(task.video_dir, crops, times_s, nm_per_px=task.nm_per_px)
        except RecordingError as error:
            return str(error)
        return ""
