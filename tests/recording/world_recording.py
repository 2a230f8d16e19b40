"""A short recording in a world, whose disk can fill up, and what is found in it afterwards."""

import errno
import tomllib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from magscope.board import Board
from magscope.recording.check import problems_of_recording
from magscope.rig import RigFile
from sim import Outcome, World
from sim.faults import Crash

FRAMERATE_HZ = 100
N_IMAGES = 10
FOR_S = 0.7
FULL_S = 0.15
ON_AGAIN_S = 0.35
TAKES_NO_SPACE = ("file.reopen", "file.patch", "file.truncate", "file.remove")
RIG = RigFile.model_validate(
    tomllib.loads(f"""
[camera]
driver = "sim.devices.truth:TruthCamera"
options = {{ framerate_hz = {FRAMERATE_HZ} }}
[beads]
roi_px = 16
rois = [[0, 16, 0, 16]]
tracker = "sim.truth_tracker:read_truth"
[acquisition]
mode = "track-and-full-video"
[motors.focus]
driver = "sim.focus"
[settings]
"video processors n" = 1
"video buffer n images" = {N_IMAGES}
""")
)
SCRIPT = f"""
from magscope.scripting import Script
script = Script()
script('sleep', {ON_AGAIN_S})
script('set_acquisition_dir_on', True)
"""


@dataclass(frozen=True)
class Operation:
    """The n-th operation of a kind of a process on files."""

    process: str
    site: str
    hit: int
    t_s: float = 0.0

    def __str__(self):
        return f"{self.process} {self.site} {self.hit}"


@dataclass(frozen=True)
class Recorded:
    """A session that recorded, what it reported as saved, and what is wrong with its files."""

    outcome: Outcome
    rows: int
    problems: tuple[str, ...]
    names: tuple[str, ...]


@contextmanager
def rows_reported():
    """Give a counter whose total is the rows that recording managers report as saved."""
    rows = Counter()
    write = Board.write

    def overheard(board, name, values):
        write(board, name, values)
        rows.update({name: values["rows_saved"] - rows[name]} if "rows_saved" in values else {})

    with mock.patch.object(Board, "write", overheard):
        yield rows


class FullDisk:
    """A disk on which there is no more space from an operation of a process on."""

    def __init__(self, world, operation, number=errno.ENOSPC, for_s=FULL_S):
        self.world, self.operation, self.number = world, operation, number
        self.hits = Counter()
        self.for_ns = int(for_s * 1e9)
        self.until_ns = None
        world.machine.on_file = self.look

    def look(self, process, operation, path, size):
        now_ns = self.world.kernel.now_ns
        site = f"file.{operation}"
        self.hits[process.name, site] += 1
        wanted = self.operation
        if (process.name, site, self.hits[process.name, site]) == (
            wanted.process,
            wanted.site,
            wanted.hit,
        ):
            self.until_ns = now_ns + self.for_ns
        is_full = self.until_ns is not None and now_ns <= self.until_ns
        if is_full and site not in TAKES_NO_SPACE:
            raise OSError(self.number, "No space left on device")


def world(directory: Path, script: Path | None = None, **options) -> World:
    return World(RIG, record=directory, for_s=FOR_S, script=script, **options)


def record(faults=(), full=None, **options) -> Recorded:
    """Record in a directory that is gone afterwards; `full` is where the disk fills up."""
    with TemporaryDirectory() as directory, rows_reported() as rows:
        out = Path(directory) / "out"
        out.mkdir()
        script = None
        if full is not None:
            script = Path(directory) / "script.py"
            script.write_text(SCRIPT)
        run = world(out, script, faults=faults, **options)
        if full is not None:
            FullDisk(run, full)
        outcome = run.finish()
        lost = outcome.account.lost // N_IMAGES
        problems = problems_of_recording(out, rows.total(), batches_lost=lost)
        names = tuple(sorted(path.name for path in out.iterdir()))
        return Recorded(outcome, rows.total(), tuple(problems), names)


def operations(recorded: Recorded) -> list[Operation]:
    """Return every operation on files of a session, in order."""
    hits, found = Counter(), []
    for step in recorded.outcome.trace.steps:
        if step.site.startswith("file."):
            hits[step.process, step.site] += 1
            hit = hits[step.process, step.site]
            found.append(Operation(step.process, step.site, hit, step.t_ns / 1e9))
    return found


def wrong_after_kill(operation: Operation) -> list[str]:
    """Kill a process at an operation, and return what is wrong afterwards."""
    crash = Crash(operation.process, site=operation.site, hit=operation.hit)
    recorded = record([crash])
    wrong = [*recorded.problems]
    if recorded.outcome.unreached:
        wrong.append("the operation was not reached")
    # With a dead router and nobody else left, the next start has to sweep the memory.
    wrong += [v for v in recorded.outcome.violations if not v.startswith("S3: shared memory")]
    return wrong


def wrong_after_full_disk(operation: Operation, usual: Recorded) -> list[str]:
    """Let the disk be full from an operation on for a while, and return what is wrong."""
    recorded = record(full=operation)
    report = recorded.outcome.report
    wrong = [*recorded.problems]
    errors = " ".join(report.errors)
    if operation.process == "MagScope" and operation.hit == 1:  # the manifest before the start
        if "disk full" not in " ".join(recorded.outcome.violations):
            wrong.append("refused to start without saying why")
        return wrong
    wrong += [
        v for v in recorded.outcome.violations if not v.startswith("S5: the log has an error")
    ]
    usual_frames = usual.outcome.account
    if report.frames.processed < usual_frames.processed or report.frames.lost:
        wrong.append(f"F2: the acquisition suffered: {report.frames}, usually {usual_frames}")
    is_over_in_time = operation.t_s + FULL_S < ON_AGAIN_S
    missed = int((ON_AGAIN_S - operation.t_s) * FRAMERATE_HZ) + N_IMAGES
    if is_over_in_time and recorded.rows < usual.rows - missed:
        wrong.append(f"F2: did not resume: {recorded.rows} rows, usually {usual.rows}")
    said = {"RecordingManager": "recording stopped", "VideoWorker-1": "video is no longer recorded"}
    is_refused = operation.site not in TAKES_NO_SPACE
    if is_refused and said.get(operation.process, "") not in errors:
        wrong.append(f"F2: no clear error: {errors!r}")
    return wrong
