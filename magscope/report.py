"""What the router says of a session: snapshots while it runs, one report at its end."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class FrameAccount:
    """Where every frame went; `delivered` equals the sum of the next five, always.

    Attributes:
        delivered: Frames that the camera wrote into the video buffer.
        processed: Frames whose stack a worker finished.
        purged: Frames dropped because the buffer was filling up faster than it was emptied.
        discarded: Frames dropped while acquisition was off.
        lost: Frames in the hands of a worker that died or failed.
        in_buffer: Frames still in the video buffer.
        device_lost: Frames that the device numbered but never delivered; not among `delivered`.
    """

    delivered: int = 0
    processed: int = 0
    purged: int = 0
    discarded: int = 0
    lost: int = 0
    in_buffer: int = 0
    device_lost: int = 0

    @property
    def balances(self) -> bool:
        """Whether every delivered frame is accounted for."""
        kept = self.processed + self.purged + self.discarded + self.lost + self.in_buffer
        return self.delivered == kept


@dataclass(frozen=True)
class LogLine:
    """One thing that happened.

    Attributes:
        t_s: Seconds since the session's start.
        level: `info`, `warning` or `error`.
        source: The process that it came from.
        text: What happened, in one line.
    """

    t_s: float
    level: str
    source: str
    text: str


@dataclass(frozen=True)
class ProcessView:
    """A manager as the router sees it: `starting`, `running`, `stalled`, `quitting` or `gone`."""

    name: str
    state: str
    pid: int | None


@dataclass(frozen=True)
class WorkerView:
    """A worker of the video pool: `idle`, `busy` or `gone`, and how many stacks it has done."""

    name: str
    state: str
    stacks: int


@dataclass(frozen=True)
class MotorView:
    """A motor's latest telemetry, in its own unit (`nm` or `turn`)."""

    name: str
    unit: str
    position: float
    target: float
    is_moving: bool


@dataclass(frozen=True)
class BeadView:
    """A bead's latest tracked position."""

    bead_id: int
    x_nm: float
    y_nm: float
    z_nm: float


@dataclass(frozen=True)
class Snapshot:
    """The running system at one moment, for a view of it.

    Attributes:
        t_s: Seconds since the session's start.
        run_for_s: When the session is to end, or None.
        state: `starting`, `running` or `quitting`.
        fps: Frames a second that the camera delivered lately.
        buffer_level: Filled part of the video buffer, 0 to 1.
        flag: The `PoolVideoFlag` by name.
        busy_count: Workers inside a task.
        acquisition_on: Whether frames are processed.
        acquisition_mode: The `AcquisitionMode` in words.
        messages: Messages routed since the start.
        log: The newest lines, oldest first.
        recording: The directory that is recorded to, or None.
    """

    t_s: float
    run_for_s: float | None
    state: str
    fps: float
    frames: FrameAccount
    buffer_level: float
    flag: str
    busy_count: int
    acquisition_on: bool
    acquisition_mode: str
    tracks_rows: int
    messages: int
    recording: str | None
    processes: tuple[ProcessView, ...] = ()
    workers: tuple[WorkerView, ...] = ()
    motors: tuple[MotorView, ...] = ()
    beads: tuple[BeadView, ...] = ()
    log: tuple[LogLine, ...] = ()


@dataclass(frozen=True)
class ProcessReport:
    """How one process of the session ended.

    Attributes:
        name: The manager's or worker's name.
        outcome: `clean` (also that of a worker which was dismissed before it was ready, or when its
            work was done), `crashed`, `terminated` (SIGTERM from the router), `killed` (SIGKILL
            from the router) or `never started`.
        exit_code: 0, or the code, or minus the signal.
        seconds_to_exit: From the request to quit to its end; None where it ended before.
        traceback: Its last words, where it crashed with an exception.
    """

    name: str
    outcome: str
    exit_code: int | None
    seconds_to_exit: float | None
    traceback: str = ""


@dataclass(frozen=True)
class SessionReport:
    """A session from its start to its end; what `magscope run --json` prints.

    Attributes:
        frames: Where every frame went.
        tracks_rows: Rows of bead positions that were tracked.
        processes: How each process ended.
        shutdown_s: From the first request to quit to the end of the last process.
        start_to_first_track_s: From the start to the first tracked row; None if there was none.
        fps: Mean frame rate that the camera delivered.
        recording: The directory of the recording, or None.
        errors: One line for each error, oldest first.
        warnings: One line for each warning, oldest first.
        undelivered: Messages that could not be delivered.
    """

    frames: FrameAccount = FrameAccount()
    tracks_rows: int = 0
    processes: tuple[ProcessReport, ...] = ()
    shutdown_s: float = 0.0
    start_to_first_track_s: float | None = None
    fps: float = 0.0
    recording: str | None = None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    undelivered: int = 0
    duration_s: float = 0.0
    log: tuple[LogLine, ...] = field(default=(), repr=False)

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed: the exit code of `magscope run` follows it."""
        return not self.errors and all(p.outcome == "clean" for p in self.processes)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data, without the log."""
        data = asdict(self)
        del data["log"]
        return data
