"""The live view: the running system on one screen, drawn from snapshots."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style

from magscope.cli import words
from magscope.cli.history import History
from magscope.report import LogLine, MotorView, ProcessView, Snapshot

REFRESH_S = 0.25

Row = list[Segment]

_PLAIN = Style()
_DIM = Style(dim=True)
_BOLD = Style(bold=True)
_ACCENT = Style(color="cyan")
_GOOD = Style(color="green")
_WARN = Style(color="yellow")
_BAD = Style(color="red", bold=True)
_STATES = {
    "starting": ("○", _WARN),
    "running": ("●", _GOOD),
    "busy": ("●", _GOOD),
    "idle": ("○", _DIM),
    "stalled": ("■", _BAD),
    "quitting": ("○", _WARN),
    "gone": ("✗", _BAD),
}
_LEVELS = {"info": (" ", _PLAIN), "warning": ("!", _WARN), "error": ("✗", _BAD)}
_LABEL_WIDTH = 12
_WIDE = 110
_MIDDLE = 52
_LEAST_Z_SPAN_NM = 50.0


class Screen:
    """Draws a snapshot into any width and height from about 60 x 16 on.

    Rows are built of segments by hand: tables and panels that measure their cells cost ten times
    as much, four times a second.
    """

    def __init__(self, snapshot: Snapshot, history: History) -> None:
        self._now = snapshot
        self._history = history

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.size.height
        for n, row in enumerate(self.rows(options.max_width, height)):
            if n:
                yield Segment.line()
            yield from row

    def rows(self, width: int, height: int) -> list[Row]:
        """Return at most `height` rows of at most `width` cells."""
        top = [self._header(width), [], *self._status(width), []]
        motors, room = self._motors(), height - len(top)
        if width >= _WIDE:
            log_rows = max(4, min(len(self._now.log) + 2, room // 3))
            left = [*motors, [], *self._processes_list()]
            right = self._beads(width - _MIDDLE, room - log_rows)
            middle = _beside(left, right, _MIDDLE)[: max(room - log_rows, 0)]
        else:
            log_rows = max(4, min(len(self._now.log) + 2, (room - len(motors)) // 2))
            middle = [*motors, []]
            middle += self._beads(width, room - len(middle) - log_rows)
        body = top + middle
        rows = body + self._log(width, height - len(body))
        return [_cut(row, width) for row in rows[:height]]

    def _mark(self, state: str) -> tuple[str, Style]:
        if state == "gone" and self._now.state == "quitting":
            return "·", _DIM  # as it should be
        return _STATES.get(state, ("?", _BAD))

    def _header(self, width: int) -> Row:
        now = self._now
        mark, style = self._mark(now.state)
        mode = now.acquisition_mode if now.acquisition_on else "acquisition off"
        left = [
            Segment(" magscope ", _BOLD),
            Segment(f" {mark} {now.state}", style),
            Segment(f"  {mode}", _DIM if now.acquisition_on else _WARN),
        ]
        elapsed = words.duration(now.t_s)
        if now.run_for_s is None:
            return _justified(left, [Segment(f"{elapsed} ", _BOLD)], width)
        done, rest = words.bar(now.t_s / now.run_for_s, 24 if width < _WIDE else 48)
        of = f" of {words.duration(now.run_for_s)}  "
        right = [
            Segment(elapsed, _BOLD),
            Segment(of, _DIM),
            Segment(done, _ACCENT),
            Segment(rest + " ", _DIM),
        ]
        return _justified(left, right, width)

    def _status(self, width: int) -> list[Row]:
        now = self._now
        level_style = _BAD if now.buffer_level > 0.9 else _WARN if now.buffer_level > 0.7 else _GOOD
        full, empty = words.bar(now.buffer_level, 16 if width < _WIDE else 32)
        camera = [
            Segment(f"{now.fps:.1f} fps".ljust(12), _BOLD),
            Segment("buffer ", _DIM),
            Segment(full, level_style),
            Segment(empty, _DIM),
            Segment(f" {now.buffer_level * 100:3.0f} %", _PLAIN),
            Segment("    flag ", _DIM),
            Segment(now.flag, _PLAIN),
        ]
        account_style = _PLAIN if now.frames.balances else _BAD
        if now.frames.purged or now.frames.lost or now.frames.device_lost:
            account_style = account_style + _WARN
        tracks = [
            Segment(f"{words.count(now.tracks_rows)} rows", _PLAIN),
            Segment(f"    {self._history.messages_per_s:.0f} messages/s", _DIM),
        ]
        if now.recording:
            tracks += [Segment("    recording to ", _DIM), Segment(now.recording, _ACCENT)]
        rows = [
            _labelled("camera", camera),
            _labelled("frames", [Segment(words.account(now.frames), account_style)]),
            _labelled("tracks", tracks),
            _labelled("workers", self._workers()),
        ]
        return rows if width >= _WIDE else [*rows, _labelled("processes", self._processes())]

    def _workers(self) -> Row:
        row: Row = []
        for worker in self._now.workers:
            mark, style = self._mark(worker.state)
            number = worker.name.removeprefix("VideoWorker").strip(" -")
            stacks = f"{number} {worker.state}, {words.count(worker.stacks)} stacks    "
            row += [Segment(f"{mark} ", style), Segment(stacks, _PLAIN)]
        return row or [Segment(words.NONE, _DIM)]

    def _processes(self) -> Row:
        # The unusual ones first: there may be no room for all.
        ordered = sorted(self._now.processes, key=lambda p: p.state == "running")
        row: Row = []
        for process in ordered:
            mark, style = self._mark(process.state)
            name = _short(process.name)
            state = "" if process.state == "running" else f" {process.state}"
            row += [Segment(f"{mark} ", style), Segment(f"{name}{state}  ", _PLAIN)]
        return row or [Segment(words.NONE, _DIM)]

    def _processes_list(self) -> list[Row]:
        return [_title("processes")] + [self._process_row(p) for p in self._now.processes]

    def _process_row(self, process: ProcessView) -> Row:
        mark, style = self._mark(process.state)
        state_style = _DIM if process.state == "running" else style
        return [
            Segment(f"   {mark} ", style),
            Segment(words.fit(process.name, 26), _PLAIN),
            Segment(words.fit(process.state, 10), state_style),
            Segment(f"{process.pid or '':>9}", _DIM),
        ]

    def _motors(self) -> list[Row]:
        heading = f"{'position':>12}{'target':>16}"
        rows = [[*_title(words.fit("motors", 18)), Segment(heading, _DIM)]]
        return rows + [self._motor_row(motor) for motor in self._now.motors]

    def _motor_row(self, motor: MotorView) -> Row:
        largest = self._history.largest(motor)
        position = words.position(motor.position, motor.unit, largest)
        target = words.position(motor.target, motor.unit, largest)
        return [
            Segment("   " + words.fit(motor.name, 16), _PLAIN),
            Segment(f"{position:>12}", _BOLD if motor.is_moving else _PLAIN),
            Segment("  → " if motor.is_moving else "    ", _ACCENT),
            Segment(f"{target:>12}", _PLAIN if motor.is_moving else _DIM),
        ]

    def _beads(self, width: int, height: int) -> list[Row]:
        if height < 2:
            return []
        beads = self._now.beads
        shown = beads if len(beads) <= height - 1 else beads[: height - 2]
        trace_width = min(width - 38, 60)
        heading = f"{'x / µm':>9}{'y / µm':>10}{'z / µm':>10}"
        if trace_width > 12:
            heading += f"  last {trace_width * REFRESH_S:.0f} s"
        rows: list[Row] = [[*_title(words.fit("beads", 6)), Segment(heading, _DIM)]]
        for bead in shown:
            x, y, z = (words.micrometres(v) for v in (bead.x_nm, bead.y_nm, bead.z_nm))
            trace = self._history.z_trace_nm(bead.bead_id, trace_width)
            rows.append(
                [
                    Segment(f"{bead.bead_id:>6} ", _ACCENT),
                    Segment(f"{x:>9} {y:>9} ", _PLAIN),
                    Segment(f"{z:>9}  ", _BOLD),
                    Segment(words.sparkline(trace, _LEAST_Z_SPAN_NM), _ACCENT),
                ]
            )
        if not beads:
            rows.append([Segment("   none yet", _DIM)])
        elif len(shown) < len(beads):
            rows.append([Segment(f"   … and {len(beads) - len(shown)} more", _DIM)])
        return rows

    def _log(self, width: int, height: int) -> list[Row]:
        if height < 3:
            return []
        lines = self._now.log[-(height - 2) :]
        return [[], _title("log"), *(_log_row(line, width) for line in lines)]


class LiveView:
    """Shows each snapshot on the terminal; a context manager, and called with every snapshot.

    Nothing is drawn by a thread: a refresh happens inside the call.
    """

    def __init__(self, console: Console) -> None:
        self._history = History()
        self._live = Live(console=console, auto_refresh=False, screen=True, redirect_stderr=False)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        """Draw a snapshot."""
        self._history.add(snapshot)
        self._live.update(Screen(snapshot, self._history), refresh=True)


def _title(text: str) -> Row:
    return [Segment(f" {text}", _BOLD)]


def _labelled(label: str, content: Row) -> Row:
    return [Segment(words.fit(f" {label}", _LABEL_WIDTH), _DIM), *content]


def _log_row(line: LogLine, width: int) -> Row:
    mark, style = _LEVELS.get(line.level, ("?", _BAD))
    head = f" {mark} {words.duration(line.t_s):>8}  "
    source = words.fit(_short(line.source), 16) + "  "
    text = words.fit(line.text.partition("\n")[0], max(width - len(head) - len(source), 0)).rstrip()
    return [
        Segment(head, style if mark.strip() else _DIM),
        Segment(source, _DIM),
        Segment(text, style),
    ]


def _short(name: str) -> str:
    return name.removesuffix("Manager") or name


def _length(row: Iterable[Segment]) -> int:
    return sum(segment.cell_length for segment in row)


def _cut(row: Row, width: int) -> Row:
    if _length(row) <= width:
        return row
    kept: Row = []
    room = width
    for segment in row:
        if segment.cell_length >= room:  # a part that ends here is cut too: more was to come
            kept.append(Segment(words.fit(segment.text.rstrip(), room), segment.style))
            break
        kept.append(segment)
        room -= segment.cell_length
    return kept


def _justified(left: Row, right: Row, width: int) -> Row:
    gap = max(width - _length(left) - _length(right), 1)
    return [*left, Segment(" " * gap), *right]


def _beside(left: list[Row], right: list[Row], width: int) -> list[Row]:
    rows = []
    for n in range(max(len(left), len(right))):
        row = left[n] if n < len(left) else []
        if n < len(right):
            row = [*row, Segment(" " * max(width - _length(row), 0)), *right[n]]
        rows.append(row)
    return rows
