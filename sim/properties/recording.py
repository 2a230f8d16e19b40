"""S6, F1, F2 and F3: what was reported as saved is on disk, readable, once, with no gap unsaid."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hal.clock import NS_PER_S
from magscope.recording.check import frames_of_tracks, problems_of_recording
from sim.faults import (
    CameraDuplicate,
    ClockJump,
    CoarseClock,
    Crash,
    Delay,
    Duplicate,
    Hang,
    MemoryMissing,
    Raise,
)
from sim.faults.base import EVERYBODY
from sim.faults.disks import DiskFault, FileGone, TornWrite
from sim.properties.base import MESSAGES, NEWS, WORK, FrameSeen, Head, Property
from sim.properties.board import Board
from sim.properties.facts import RECORDER, VIDEO, WORKER
from sim.properties.traffic import RouterWatch, called
from sim.world.plan import ROUTER
from sim.world.process import SIGKILL
from sim.world.runtime import EPOCH_NS
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

RESUMED_S = 0.5
_IS_RECORDING, _ROWS_SAVED = 1, 2
_MUST_BE_TOLD = ("open", "space", "write", "flush", "fsync")
_NOTICED_AFTER = 2  # appends: a table looks for its file after it has asked for room


class OnDisk(RouterWatch):
    """S6, F1 and F3: the files hold what was reported, and can be read, whoever was killed when.

    And while all is well, what the recording manager was given to save is reported when it has
    obeyed, late as it may have come.
    """

    id = "F3"
    title = "what was reported as saved is on disk, once, and can be read"
    sites = frozenset({"note.message", "note.error", "memory.attach", "wait", "process.join"})
    sees = MESSAGES | WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._board = Board(world)
        self._sequences: dict[int, int] = {}
        self._handed: dict[int, tuple[int, int | None]] = {}
        self._numbered = 0
        self._obeyed = 0
        self._rows: dict[int, int] = {}
        self._given = 0
        self._is_due = False
        self._has_failed = False
        self._recordings: dict[int, int] = {}

    def step(self, step: Step) -> None:
        """Count what the recording manager was given to save."""
        if step.site == "memory.attach":
            if step.object == "board" and step.process == RECORDER:
                self._board.look()
        elif step.site == "process.join":
            if step.object == RECORDER:
                self._see_what_it_leaves()
        elif step.process != RECORDER:
            return
        elif step.site == "wait":
            if self._is_due:
                self._is_due = False
                self._is_saved()
        elif step.site == "note.error":
            self._has_failed = True
        elif called(step.detail)[0] == "save_tracks":
            self._obeyed += 1
            self._given += self._rows.pop(called(step.detail)[1], 0)
            self._is_due = True

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:
        """See how many rows the recording manager is given to save."""
        if to == RECORDER and head.meth == "save_tracks" and frame.arguments is not None:
            batch, recording = (*frame.arguments[0], None)[:2]
            self._rows[head.number] = batch.n_records
            if recording is not None:
                self._recordings.update(dict.fromkeys(batch.frame_numbers.tolist(), recording))

    def _see_what_it_leaves(self) -> None:
        """See that a killed recording manager has left files that can be read, as they are."""
        process, record = self.facts.process(RECORDER), self.world.record
        if process is None or process.code != -SIGKILL or record is None:
            return
        for problem in problems_of_recording(record, 0):
            is_unfinished = problem.endswith("was left half written")
            if problem.startswith("F1: ") and not is_unfinished:
                self.world.monitor.report(
                    f"{problem}, now that the recording manager has been killed. "
                    "A file must be readable whoever is killed, before anybody has repaired it."
                )

    def _is_saved(self) -> None:
        saved = self._board.read(RECORDER, _ROWS_SAVED)
        is_well = not (self._has_failed or self._has_trouble() or self.facts.tampered_ns)
        if saved != self._given and is_well and RECORDER not in self.facts.raising:
            self._has_failed = True
            self.violate(
                f"The recording manager was given {self._given} rows to save, and shows that it "
                f"saved {saved}, with nothing the matter with it. What comes late belongs to "
                "its recording, too."
            )

    def frame(self, frame: FrameSeen) -> None:
        """See the tasks that are handed out, too."""
        if frame.raw[:1] == b"\x80" and frame.process == VIDEO:
            if frame.way == "send":
                self._handed_out(frame.work)
            else:
                self._handed.pop(getattr(frame.work, "epoch", 0), None)
        else:
            super().frame(frame)

    def _handed_out(self, task: Any) -> None:
        epoch = getattr(task, "epoch", None)
        if epoch is None:
            return
        self._handed[epoch] = (task.recording, task.owner)
        if task.sequence is None:
            return
        expected = self._sequences.get(task.recording, 0)
        self._numbered += max(task.sequence + 1 - expected, 0)
        workers = [p for p in self.world.machine.processes.values() if WORKER in p.name]
        may_skip = any(worker.code is not None for worker in workers)  # it went with a dead one
        if task.sequence < expected or (task.sequence > expected and not may_skip):
            self.violate(
                f"Stack {epoch} has the number {task.sequence} in its recording, where "
                f"{expected} comes next. The numbers tell whether a stack is missing on disk."
            )
        self._sequences[task.recording] = task.sequence + 1

    def given(self, sender: str, head: Head, frame: FrameSeen) -> None:
        """See that a recording is said to be complete only when none of its stacks is out."""
        if sender != VIDEO or head.meth != "recordings_complete" or frame.arguments is None:
            return
        (before,), _ = frame.arguments
        for epoch, (recording, owner) in self._handed.items():
            if recording < before and self.facts.is_alive(f"{WORKER}{owner}"):
                self.violate(
                    f"Recording {recording} is said to be complete while stack {epoch} of it is "
                    "with a worker. What comes of that stack can not be saved any more."
                )
                return

    def at_end(self) -> None:
        """Read what is on disk."""
        record = self.world.record
        if record is None or not record.is_dir() or not self.facts.managers:
            return
        if not self.world.has_ended:
            return  # who hangs for good has its files open
        saved = self._board.read(RECORDER, _ROWS_SAVED)
        lost = self._numbered - self._obeyed
        if self._has_trouble():
            lost = self._numbered
        for problem in problems_of_recording(record, saved, batches_lost=max(lost, 0) + 1):
            name, _, what = problem.partition(": ")
            if what.endswith("was left half written") and self._has_trouble():
                continue
            if "were reported as saved" in what and self._has_lost_a_file():
                continue
            if what.startswith("manifest.json states") and self._may_not_have_told():
                continue
            if what.endswith("twice") and self._comes_twice():
                continue
            if what.endswith("count") and self._could_not_be_mended(what):
                continue
            acknowledged = "were reported as saved" in what and name == "F3"
            self.world.monitor.report(
                f"{'S6' if acknowledged and 'but' in what else name}: In the recording, {what}. "
                "What was reported as saved must be there, once, and be readable after any kill."
            )
        self._see_each_in_its_own(record)

    def _see_each_in_its_own(self, record: Path) -> None:
        began: dict[int, int] = {}
        for name, (began_ns, numbers) in frames_of_tracks(record).items():
            recordings = {self._recordings[n] for n in numbers if n in self._recordings}
            if len(recordings) > 1:
                self.violate(
                    f"In {name} lie stacks of the recordings {sorted(recordings)}. "
                    "What comes late belongs to its own recording, and not to the next."
                )
            for recording in recordings:
                if began.setdefault(recording, began_ns) != began_ns:
                    self.violate(
                        f"{name} has stacks of recording {recording}, and says that it began at "
                        "another time than an earlier file of that recording. "
                        "What comes late belongs to its own recording, and begins no other one."
                    )

    def _could_not_be_mended(self, what: str) -> bool:
        """Whether the disk kept the router from mending a file at the end, and it said so.

        Nor does it where the recording manager's word that its recording has stopped was garbled.
        """
        if RECORDER in map(self.facts.manager_of, self.facts.tampered_ns):
            return True
        report, struck = self.world.report, self.world.injector.struck
        is_hindered = any(isinstance(f, DiskFault) and f.process == ROUTER for f in struck)
        said = () if report is None else report.errors
        return is_hindered and any(what.partition(" holds ")[0] in error for error in said)

    def _comes_twice(self) -> bool:
        """Whether the camera has delivered a frame twice, or a pipe a message."""
        twice = (CameraDuplicate, Duplicate)
        return any(isinstance(f, twice) for f in self.world.injector.struck)

    def _may_not_have_told(self) -> bool:
        """Whether what the recording manager says of its files may not have come to the router.

        Of one that has died the router counts the rows itself.
        """
        deadly = (Crash, Delay, Hang, TornWrite)
        its = (f for f in self.world.injector.struck if f.process in (RECORDER, ROUTER, EVERYBODY))
        return bool(self.facts.tampered_ns) or any(not isinstance(f, deadly) for f in its)

    def _has_lost_a_file(self) -> bool:
        return any(isinstance(f, FileGone) for f in self.world.injector.struck)

    def _has_trouble(self) -> bool:
        """Whether a fault has struck the recording itself, or who looks after it at the end."""
        return any(
            isinstance(f, DiskFault) or f.process in (RECORDER, ROUTER)
            for f in self.world.injector.struck
        )


class DiskStopsRecordingOnly(Property):
    """F2: a disk that is full or gone stops the recording, with an error, and nothing else.

    When it has said so it does not record, and says that it does not; when recording is switched on
    again, and the disk is well, it goes on.
    """

    id = "F2"
    title = "a full disk stops the recording, and nothing else"
    sites = frozenset({"process.end", "note.message", "note.error", "wait", "memory.attach"})
    sees = MESSAGES

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._board = Board(world)
        self._switches: dict[tuple[str, int], bool] = {}
        self._on_ns: int | None = None
        self._has_stopped = self._is_switched = False

    def frame(self, frame: FrameSeen) -> None:
        """See a request to switch recording on or off come in."""
        head = frame.head if frame.way == "receive" and frame.process == RECORDER else None
        if head is not None and head.meth == "set_acquisition_dir_on" and frame.arguments:
            args, _ = frame.arguments
            self._switches[head.sender, head.number] = args == (True,)

    def step(self, step: Step) -> None:
        """See who ends, and whether the recording goes on when it is told to."""
        if step.process != RECORDER:
            return
        if step.site == "memory.attach":
            if step.object == "board":
                self._board.look()
        elif step.site == "process.end":
            self._ends(step)
        elif step.site == "note.error":
            # One that stops as another is switched on is followed by that.
            is_last = step.detail.startswith("recording stopped") and not self._is_switched
            if is_last:
                self._has_stopped, self._on_ns = True, None
        elif step.site == "note.message":
            meth, number, sender = called(step.detail)
            self._is_switched = meth.startswith("set_acquisition_dir")
            if self._is_switched:
                self._has_stopped = False
            if meth == "set_acquisition_dir_on":
                is_on = self._switches.get((sender, number), False)
                self._on_ns = step.t_ns if is_on and self.world.record is not None else None
            elif meth in ("set_acquisition_dir", "quit"):
                self._on_ns = None
        else:  # it waits
            self._is_switched = False
            if self._has_stopped:
                self._has_stopped = False
                self._is_off()
            elif self._on_ns is not None:
                self._is_on_again()

    def _ends(self, step: Step) -> None:
        its = [f for f in self.world.injector.struck if f.process == RECORDER]
        only_disk = bool(its) and all(
            isinstance(f, DiskFault) and not isinstance(f, TornWrite) for f in its
        )
        if only_disk and step.detail == "1":
            self.violate(
                "The recording manager ended with an exception after an error of the disk. The "
                "disk must stop the recording, with a clear error, and never the session."
            )

    def _is_off(self) -> None:
        if RECORDER in self.facts.terminated:  # which may have been in the middle of saying so
            return
        if self._board.read(RECORDER, _IS_RECORDING):
            self.violate(
                "The recording manager has said that it stopped recording, and shows that it "
                "records. Whoever looks at the display must see that nothing is saved any more."
            )

    def _is_on_again(self) -> None:
        assert self._on_ns is not None
        facts = self.facts
        since_ns = max(self._on_ns, facts.struck_ns)
        undisturbed = facts.disturbed_ns({RECORDER, ROUTER}) < self._on_ns
        if facts.now_ns - since_ns < RESUMED_S * NS_PER_S:
            return
        if undisturbed and not self._board.read(RECORDER, _IS_RECORDING):
            self.violate(
                "Recording was switched on, the disk is well, and nothing is recorded. "
                "After an error of the disk it must go on when it is told to."
            )
        self._on_ns = None


class DiskErrorsAreTold(Property):
    """F2: what the disk refuses is told: in the log, or in what a worker answers for its stack."""

    id = "F2"
    title = "what the disk refuses is told"
    sites = frozenset({"file.refused", "note.error", "wait"})
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._untold: dict[str, str] = {}

    def step(self, step: Step) -> None:
        """See the disk refuse something, and who has it to tell tell it, or go on."""
        who = step.process
        if step.site == "file.refused":
            if step.detail in _MUST_BE_TOLD and who != ROUTER:
                self._untold[who] = step.object
        elif who == RECORDER and (name := self._untold.pop(who, None)) and step.site == "wait":
            self._say(who, name)

    def frame(self, frame: FrameSeen) -> None:
        """See a worker answer."""
        if frame.way == "send" and frame.process in self._untold:
            problem = getattr(frame.work, "recording_problem", None)
            if problem is not None:
                name = self._untold.pop(frame.process)
                if not problem:
                    self._say(frame.process, name)

    def _say(self, who: str, name: str) -> None:
        if not any(isinstance(f, Raise) and f.process == who for f in self.world.injector.struck):
            self.violate(
                f"The disk refused {who} something for {name}, and {who} goes on without a word. "
                "Whoever looks must see that something is not saved."
            )


class GoneFilesAreMissed(Property):
    """F2: who writes a file that somebody deletes says so at the next append, and stops.

    What is written to a file without a name is nowhere, though the system takes it.
    """

    id = "F2"
    title = "nobody writes on to a file that has been deleted"
    sites = frozenset({"file.gone", "file.missing"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._appended: dict[tuple[str, str], int] = {}

    def step(self, step: Step) -> None:
        """See a file go, and how often room for more was asked for since."""
        which = step.process, step.object
        is_gone = step.site == "file.gone"
        self._appended[which] = 0 if is_gone else self._appended.get(which, 0) + 1
        if self._appended[which] == _NOTICED_AFTER:
            self.violate(
                f"{step.process} writes on to {step.object}, which has been deleted. What it "
                "writes there is lost, and shown as saved: it must look for the file each time."
            )


class TelemetryInPlace(Property):
    """F3: each row of a motor's telemetry is in one file, in order: that of its own recording."""

    id = "F3"
    title = "a row of telemetry is saved once, in its own recording"
    sites = frozenset({"note.message"})
    sees = NEWS

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._switched_ns = [0]  # when each recording began
        self._began_ns: dict[str, int] = {}
        self._newest: dict[str, int] = {}

    def step(self, step: Step) -> None:
        """See the recording manager obey that the recording is switched."""
        is_switch = called(step.detail)[0].startswith("set_acquisition_dir")
        if step.process == RECORDER and is_switch:
            self._switched_ns.append(step.t_ns)

    def frame(self, frame: FrameSeen) -> None:
        """See the recording manager tell of a new file."""
        if frame.process == RECORDER and frame.way == "send" and frame.parts is not None:
            kind, fields, name = frame.parts
            if kind == "F" and fields[0] == "telemetry" and name.decode() not in self._began_ns:
                self._begins(name.decode(), frame.t_ns)

    def _begins(self, name: str, now_ns: int) -> None:
        """Take down when the recording began that a new file belongs to.

        What has gathered goes to the recording before, as it is switched: to a new file, if that
        one has none of this motor yet.
        """
        motor, present = _motor(name), len(self._switched_ns) - 1
        has_one = self._newest.get(motor) == present - 1
        is_late = present > 0 and now_ns == self._switched_ns[-1] and not has_one
        self._newest[motor] = present - is_late
        self._began_ns[name] = self._switched_ns[present - is_late]

    def at_end(self) -> None:
        """Read the telemetry of each motor."""
        record = self.world.record
        if record is None or not record.is_dir() or self._is_excused():
            return
        newest: dict[str, int] = {}
        for name, since_ns in self._began_ns.items():  # in the order in which they were made
            path, motor = record / name, _motor(name)
            times_ns = _times_ns(path) if path.exists() else []
            began_ns = EPOCH_NS + since_ns
            is_early = times_ns and times_ns[0] < began_ns - 1000  # float seconds are not exact
            if is_early and not self._is_late(motor):
                self.violate(
                    f"{path.name} begins with a row of {(began_ns - times_ns[0]) / NS_PER_S:.3f} s "
                    "before its recording. What has gathered belongs to the recording before."
                )
            for before, after in pairwise([newest.get(motor, 0), *times_ns]):
                if after < before:
                    self.violate(
                        f"In the telemetry of {motor}, in {path.name}, a row of {before} ns is "
                        f"followed by one of {after} ns. Each is saved once, in order."
                    )
                    return
            newest[motor] = max([newest.get(motor, 0), *times_ns])

    def _is_late(self, motor: str) -> bool:
        """Whether a row may be written long after its time: its motor answers late, or waits."""
        return any(
            f.process in (motor, EVERYBODY) or isinstance(f, (Hang, Delay))
            for f in self.world.injector.struck
        )

    def _is_excused(self) -> bool:
        """Whether clocks were not what they are, or somebody died half way, or failed."""
        facts, struck = self.facts, self.world.injector.struck
        odd = (ClockJump, CoarseClock, MemoryMissing, DiskFault)
        is_odd = any(isinstance(f, odd) or f.process == RECORDER for f in struck)
        return is_odd or RECORDER in facts.raising


def _motor(name: str) -> str:
    return name.split(" ")[1]


def _times_ns(path: Path) -> list[int]:
    """Return the times of the rows of a telemetry file; a last line may be cut off."""
    lines = path.read_text("ascii", "replace").split("\n")[1:-1]
    return [int(first) for line in lines if (first := line.partition(",")[0]).isdigit()]


PROPERTIES: tuple[type[Property], ...] = (
    OnDisk, DiskStopsRecordingOnly, DiskErrorsAreTold, GoneFilesAreMissed, TelemetryInPlace,
)  # fmt: skip
