"""P4, B2 and B3: one stack, one reader; whole frames, each with its own time; in order."""
# ruff: noqa: ARG002 - a hook takes all that is told

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.faults import CameraDuplicate, CameraTorn, ClockJump, CoarseClock
from sim.properties.base import WORK, FrameSeen
from sim.properties.facts import CAMERA, VIDEO, WORKER
from sim.properties.pool import PoolWatch
from sim.properties.reference import Flag
from sim.properties.ring import Claim, Ring, Taken
from sim.truth import CELL_PX, read_cells
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

_ODD_TIMES = (CameraDuplicate, CameraTorn, ClockJump, CoarseClock)
CLAIMED_S = 0.25  # until a whole stack is handed out
_WRITTEN_AT = 64  # bytes, in a buffer of rows
_NS_PER_S = 1_000_000_000
_MOST_VIDEOS = 12  # that are looked at


class StackWatch(PoolWatch):
    """A property of the frames in the video buffer, and of the stacks that workers are given."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        for event in ("written", "released", "claimed", "finished", "tracked"):
            if getattr(type(self), event) is not getattr(StackWatch, event):
                self.facts.stacks.tell(event, self, getattr(self, event))

    @property
    def ring(self) -> Ring:
        """The video buffer."""
        return self.facts.stacks.ring

    def written(self, process: str, index: int, frame: Taken) -> None:
        """A frame is about to be counted."""

    def released(self, process: str, released: int) -> None:
        """Frames are about to be released."""

    def claimed(self, worker: str, claim: Claim, before: Claim | None) -> None:
        """A stack was handed to a worker."""

    def finished(self, worker: str, claim: Claim) -> None:
        """A stack was given back."""

    def tracked(self, process: str, rows: int) -> None:
        """A worker is about to count rows of tracks."""


class StacksInTime(StackWatch):
    """P2: a whole stack goes to a worker at once, while one is idle and the flag is READY."""

    id = "P2"
    title = "no stack waits while a worker does"
    sites = frozenset({"note.flag", "note.message"})
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._whole_ns: dict[int, int] = {}
        self._free_ns = 0

    def frame(self, frame: FrameSeen) -> None:
        """See a worker become free: it has said that it is ready, or given its result."""
        if frame.process == VIDEO and frame.way == "receive":
            self._free_ns = frame.t_ns

    def step(self, step: Step) -> None:
        """See the flag become READY, and what may switch the processing of frames on."""
        if step.site == "note.message" or step.detail.startswith("READY"):
            self._free_ns = max(self._free_ns, step.t_ns)

    def written(self, process: str, index: int, frame: Taken) -> None:
        """See a frame come."""
        self._whole_ns[index] = self.facts.now_ns
        self._whole_ns.pop(index - self.ring.total, None)

    def claimed(self, worker: str, claim: Claim, before: Claim | None) -> None:
        """Compare when a stack was whole with when it was handed out."""
        facts = self.facts
        whole_ns = self._whole_ns.get(claim.first + self.ring.n_images - 1, facts.now_ns)
        undisturbed_ns = facts.disturbed_ns({CAMERA, VIDEO}, with_drivers=True)
        since_ns = max(whole_ns, self._free_ns, facts.struck_ns, undisturbed_ns)
        late_s = (facts.now_ns - since_ns) / _NS_PER_S
        # Who has written the last frame may die, or fail, before it tells of the stack.
        is_told = self.was_running and facts.is_alive(CAMERA)
        if late_s > CLAIMED_S and is_told and not facts.pool_is_tampered:
            self.violate(
                f"Stack {claim.epoch} waited {late_s:.2f} s for {worker}, which had nothing to do. "
                "A stack is handed out as soon as it is whole, or tracking is late and frames are "
                "purged that there was time for."
            )


class OneOwner(StackWatch):
    """P4: a stack belongs to one worker, is done once, and is let be while it is read."""

    id = "P4"
    title = "one stack, one owner"
    sites = frozenset({"note.stack"})
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._answered: set[int] = set()

    def step(self, step: Step) -> None:
        """See that who reads a stack has it."""
        epoch, flag = int(step.detail.rpartition(" ")[2]), self.flag
        if self.facts.pool_is_tampered:
            return  # a task may have come twice
        if flag != Flag("RUNNING", int(step.process.removeprefix(WORKER)), epoch):
            self.violate(
                f"{step.process} reads stack {epoch} while the flag is {flag}. Only who has the "
                "stack, and has not given it back, may read it: others write there meanwhile."
            )

    def released(self, process: str, released: int) -> None:
        """See that nothing is released under a reader, and of a finished stack its own frames."""
        ring, flag = self.ring, self.flag
        count = released - ring.released
        if self._value("flag").get_lock().holder != self.world.machine.running.pid:
            self.violate(
                f"{process} releases {count} frames without the flag's lock. "
                "They may be handed to a worker at the same moment, which then reads others."
            )
        if flag.state == "RUNNING":
            self.violate(
                f"{process} releases {count} frames while {flag}. "
                "The worker still reads them, and the camera now writes over them."
            )
        elif flag.state == "FINISHED" and count != ring.n_images:
            self.violate(
                f"{process} releases {count} frames of a finished stack of {ring.n_images}. "
                "What is released too much was never tracked, what is too little comes twice."
            )
        elif count % ring.n_images:
            self.violate(
                f"{process} releases {count} frames, and a stack has {ring.n_images}. "
                "Only whole stacks may be dropped, or all later stacks are shifted."
            )

    def claimed(self, worker: str, claim: Claim, before: Claim | None) -> None:
        """See that no frame is handed out twice."""
        if before is not None and claim.first < before.first + self.ring.n_images:
            self.violate(
                f"Stack {claim.epoch} of {worker} begins with frame {claim.first}, which stack "
                f"{before.epoch} had already. A frame is handed out once, or its track is doubled."
            )

    def finished(self, worker: str, claim: Claim) -> None:
        """See that the stack is where it was."""
        if self.ring.released != claim.first:
            self.violate(
                f"The buffer has moved from frame {claim.first} to {self.ring.released} while "
                f"{worker} read stack {claim.epoch} there. Nobody may release what is being read."
            )

    def frame(self, frame: FrameSeen) -> None:
        """See that each stack has one result."""
        if frame.way != "send" or not frame.process.startswith(WORKER):
            return
        epoch = getattr(frame.work, "epoch", None)
        if epoch is None:
            return
        if epoch in self._answered and not self.facts.pool_is_tampered:
            self.violate(
                f"{frame.process} sends a result of stack {epoch}, which had one. "
                "A stack is processed once, or its tracks are doubled."
            )
        self._answered.add(epoch)


class NoTornFrame(StackWatch):
    """B2: what a worker reads and what is tracked is what the camera wrote, with its own time."""

    id = "B2"
    title = "no frame is torn, each has its own time"
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._rows_counted: np.ndarray | None = None
        self._tracks: np.ndarray | None = None

    def written(self, process: str, index: int, frame: Taken) -> None:
        """See that a frame has a time of this session, twice the same."""
        started_ns = self.facts.managers[CAMERA].resources.started_ns
        is_odd = any(isinstance(f, _ODD_TIMES) for f in self.world.injector.struck)
        if is_odd or not self.tells_time:
            return
        time_s = self.ring.time_s(index)
        if frame.time_ns < started_ns or abs(time_s - frame.time_ns / _NS_PER_S) > 1e-6:
            self.violate(
                f"{process} counts frame {index} with the time {time_s:.6f} s, which is not its "
                "own. Its time must be there before it counts, or a reader finds another one's."
            )

    @property
    def tells_time(self) -> bool:
        """Whether the camera is one that gives each frame its time."""
        return self.world.rig.camera.driver.startswith("sim.")

    def finished(self, worker: str, claim: Claim) -> None:
        """See that the frames are still as they were written."""
        if self.ring.released != claim.first:
            return  # P4 tells of it
        for offset, frame in enumerate(claim.frames):
            now = self.ring.look(claim.first + offset)
            if now != frame:
                what = "pixels" if now.pixels != frame.pixels else "time or number"
                self.violate(
                    f"Frame {claim.first + offset} had other {what} when {worker} had read it than "
                    "when it was counted. The camera must not write where a worker reads."
                )
                return

    def tracked(self, process: str, rows: int) -> None:
        """See that the rows of tracks have the times, and the true heights, of the stack."""
        claim = self.facts.stacks.claims.get(process)
        if claim is None or self.facts.raising & {process}:
            return
        tracks, n = self._ring_of_tracks(), len(claim.frames)
        if self._rows_counted is None:
            return  # the router is dead, and the memory has been removed meanwhile
        before = int(self._rows_counted[0])  # not what a dead worker was about to count
        per_frame, rest = divmod(rows - before, n)
        if rest or not per_frame:
            return
        first = max(before, rows - len(tracks))
        found = tracks[np.arange(first, rows) % len(tracks)]
        wanted = np.repeat([frame.time_ns / _NS_PER_S for frame in claim.frames], per_frame)
        heights = np.repeat([frame.z_nm for frame in claim.frames], per_frame)
        skipped = first - before
        times_agree = np.allclose(found[:, 0], wanted[skipped:], rtol=0, atol=1e-6)
        if not times_agree:
            self._tell(process, claim, "times")
        elif self.ring._tells_truth:  # noqa: SLF001 - its own reader
            is_first = (found[:, 4] == 0) & (found[:, 5] == 0) & (found[:, 6] == 0)
            if not np.array_equal(found[is_first, 3], heights[skipped:][is_first]):
                self._tell(process, claim, "positions")

    def frame(self, frame: FrameSeen) -> None:
        """See that the batch which is to be recorded has the stack's times and numbers."""
        if frame.way != "send" or not frame.process.startswith(WORKER):
            return
        batch: Any = getattr(frame.work, "batch", None)
        claim = self.facts.stacks.claims.get(frame.process)
        if batch is None or claim is None or frame.work.epoch != claim.epoch:
            return
        times = [f.time_ns for f in claim.frames] == batch.frame_timestamps_ns.tolist()
        numbers = [f.number for f in claim.frames] == batch.frame_numbers.tolist()
        if not (times and numbers):
            self._tell(frame.process, claim, "numbers" if times else "times")

    def _ring_of_tracks(self) -> np.ndarray:
        if self._tracks is None:
            memory = self.world.block("TracksBuffer")
            if memory is None:
                return np.empty((0, 0))
            rows, columns = np.frombuffer(memory, np.int64, 2)
            self._rows_counted = np.frombuffer(memory, np.int64, 1, _WRITTEN_AT)
            found = np.frombuffer(memory, np.float64, rows * columns, 128)
            self._tracks = found.reshape(rows, columns)
        return self._tracks

    def _tell(self, process: str, claim: Claim, what: str) -> None:
        self.violate(
            f"The {what} that {process} gives for stack {claim.epoch} are not those of its frames. "
            "Each position must stand beside the time of the very frame that it was read from."
        )


class InOrder(StackWatch):
    """B3: times and numbers rise within a stack, and stacks are taken in the frames' order.

    A frame's number is higher than those of all before it, also after the camera was away.
    """

    id = "B3"
    title = "frames and stacks are in order"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._last = -1

    def written(self, process: str, index: int, frame: Taken) -> None:
        """Look at a frame's number."""
        twice = any(isinstance(f, CameraDuplicate) for f in self.world.injector.struck)
        if frame.number <= self._last and not twice:
            self.violate(
                f"Frame {index} has the number {frame.number}, and the one before it had "
                f"{self._last}. A number stands for one frame, or its position can not be found."
            )
        self._last = frame.number

    def claimed(self, worker: str, claim: Claim, before: Claim | None) -> None:
        """Look at the order of the frames of a stack, and of the stacks."""
        if before is not None and claim.first <= before.first:
            self.violate(
                f"Stack {claim.epoch} begins with frame {claim.first}, and the one before began "
                f"with frame {before.first}. Stacks must be taken in the order of their frames."
            )
        if any(isinstance(f, _ODD_TIMES) for f in self.world.injector.struck):
            return
        for name in ("time_ns", "number"):
            values = [getattr(frame, name) for frame in claim.frames]
            if any(b <= a for a, b in pairwise(values)):
                self.violate(
                    f"In stack {claim.epoch} the {name} of the frames does not rise: {values}. "
                    "A frame stands where another one belongs, or has another one's time."
                )


class VideoShowsFrames(StackWatch):
    """B2: what was saved as video are frames as the camera gave them, whole, each with its time."""

    id = "B2"
    title = "video shows whole frames, each with its own time"
    sites = frozenset({"note.device"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._times_ns: dict[int, set[int]] = defaultdict(set)
        self._next = 0
        self._firsts = range(0)

    def step(self, step: Step) -> None:
        """See the camera being opened, from when on it numbers its frames anew."""
        if step.process == CAMERA and step.detail.endswith("is open"):
            # The frame that was in hand when the camera went may have been counted.
            is_again = bool(self._firsts)
            self._firsts = range(self._next, self._next + 1 + is_again)

    def written(self, process: str, index: int, frame: Taken) -> None:
        """Remember when a frame was taken, by the camera's own number, which it shows."""
        self._next = frame.number + 1
        if self.world.record is not None:
            for first in self._firsts:
                self._times_ns[frame.number - first].add(frame.time_ns)

    def at_end(self) -> None:
        """Look at the first frames that were saved."""
        directory = self.world.record
        is_odd = any(isinstance(f, _ODD_TIMES) for f in self.world.injector.struck)
        is_truth = self.world.rig.camera.driver.startswith("sim.devices.truth:")
        if directory is None or is_odd or not is_truth or not directory.is_dir():
            return
        for path in sorted(directory.glob("*.tiff"))[:_MOST_VIDEOS]:
            if problem := self._problem(path):
                self.violate(
                    f"In a video that was saved, {problem}. A frame must be copied before its "
                    "stack is given back, and be saved with the time at which it was taken."
                )
                return

    def _problem(self, path: Path) -> str:
        """Return what is wrong with a video; that it can not be read is for F1 to say."""
        import tifffile  # slow to load

        try:
            with tifffile.TiffFile(path) as tiff:
                pixels = tiff.asarray()
                labels = (tiff.imagej_metadata or {})["Labels"]
        except Exception:  # whatever half a file does to its reader
            return ""
        if pixels.shape[-1] % CELL_PX or pixels.shape[-2] != CELL_PX:
            return ""
        for cell, label in zip(
            pixels[..., :CELL_PX].reshape(-1, CELL_PX, CELL_PX), labels, strict=False
        ):
            try:
                number = int(read_cells(cell.T[:, :, None, None])[0, 0, 3])
            except ValueError:
                return "there is a frame of which a part is another one's"
            times_ns = self._times_ns[number]
            if not any(abs(float(label) - t / _NS_PER_S) < 1e-6 for t in times_ns):
                return f"frame {number} has the time {label}, at which it was not taken"
        return ""


PROPERTIES = (StacksInTime, OneOwner, NoTornFrame, InOrder, VideoShowsFrames)
