import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from magscope.cli.history import History
from magscope.cli.plain import PlainLines
from magscope.cli.summary import print_summary
from magscope.cli.view import LiveView, Screen
from magscope.cli.words import NONE
from magscope.report import (
    BeadView,
    FrameAccount,
    LogLine,
    MotorView,
    ProcessReport,
    ProcessView,
    SessionReport,
    Snapshot,
    WorkerView,
)

MANAGERS = ("CameraManager", "VideoProcessorManager", "ScriptManager", "RecordingManager")
SNAPSHOT = Snapshot(
    t_s=5.0,
    run_for_s=20.0,
    state="running",
    fps=100.04,
    frames=FrameAccount(1500, 1440, in_buffer=60),
    buffer_level=0.3,
    flag="RUNNING",
    busy_count=1,
    acquisition_on=True,
    acquisition_mode="track",
    tracks_rows=11520,
    messages=1200,
    recording="out",
    processes=tuple(ProcessView(name, "running", 100 + n) for n, name in enumerate(MANAGERS)),
    workers=(WorkerView("VideoWorker 1", "busy", 15), WorkerView("VideoWorker 2", "gone", 3)),
    motors=(
        MotorView("magnet_height", "nm", 12_345_678.0, 3e6, True),
        MotorView("magnet_rotation", "turn", -1.25, -1.25, False),
        MotorView("focus", "nm", 1250.4, math.nan, False),
    ),
    beads=tuple(BeadView(n, 9120.4, 6300.0, 100.0 * n) for n in range(8)),
    log=(
        LogLine(0.2, "info", "CameraManager", "camera opened"),
        LogLine(4.1, "warning", "VideoWorker 2", "ended by SIGKILL\x1b[2J\nwith more below"),
    ),
)


def history_of(*snapshots: Snapshot) -> History:
    history = History()
    for snapshot in snapshots:
        history.add(snapshot)
    return history


def drawn(snapshot: Snapshot, width: int, height: int, history: History | None = None) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(Screen(snapshot, history or history_of(snapshot)))
    return console.export_text().splitlines()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (100, 30), (60, 16), (200, 60), (30, 8)])
def test_the_view_never_leaves_the_screen(size):
    width, height = size
    crowd = replace(
        SNAPSHOT,
        beads=tuple(BeadView(n, 1e6, 1e6, -1e6) for n in range(70)),
        log=tuple(LogLine(n, "info", "S" * 40, "word " * 60) for n in range(90)),
        processes=SNAPSHOT.processes * 5,
        workers=SNAPSHOT.workers * 8,
        recording="/a/long/path" * 20,
    )
    rows = Screen(crowd, history_of(crowd)).rows(width, height)
    assert len(rows) <= height
    assert max(sum(segment.cell_length for segment in row) for row in rows) <= width


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_what_matters_is_on_the_screen(size):
    lines = drawn(SNAPSHOT, *size)
    text = "\n".join(lines)
    assert lines[0].startswith(" magscope  ● running  track")
    for shown in (
        "5.0 s of 20.0 s",
        "100.0 fps",
        "30 %",
        "flag RUNNING",
        "1 500 delivered = 1 440 processed + 60 in buffer",
        "11 520 rows",
        "recording to out",
        "● 1 busy, 15 stacks",
        "✗ 2 gone, 3 stacks",
        "12.3457 mm  →    3.0000 mm",
        "-1.250 turns",
        "1.250 µm",
        "9.120     6.300",
        "camera opened",
        "!    4.1 s  VideoWorker 2     ended by SIGKILL",
    ):
        assert shown in text
    assert "with more" not in text
    assert "\x1b" not in text


def test_a_wide_screen_shows_every_process_with_its_pid_and_every_bead():
    text = "\n".join(drawn(SNAPSHOT, 120, 40))
    for n, name in enumerate(MANAGERS):
        assert f"● {name}" in text
        assert str(100 + n) in text
    assert "more" not in text


def test_a_small_screen_says_how_many_beads_it_does_not_show():
    assert any("… and 5 more" in line for line in drawn(SNAPSHOT, 80, 22))


def test_the_progress_bar_follows_the_time():
    def filled(t_s: float) -> int:
        return drawn(replace(SNAPSHOT, t_s=t_s), 80, 24)[0].count("━")

    assert [filled(t) for t in (0.0, 10.0, 20.0, 25.0)] == [0, 12, 24, 24]


def test_a_run_without_an_end_has_no_progress_bar():
    header = drawn(replace(SNAPSHOT, run_for_s=None), 80, 24)[0]
    assert "━" not in header
    assert header.rstrip().endswith("5.0 s")


def test_states_are_told_by_more_than_colour():
    stalled = replace(SNAPSHOT.processes[-1], state="stalled")
    lines = drawn(replace(SNAPSHOT, processes=(*SNAPSHOT.processes[:-1], stalled)), 80, 24)
    (line,) = [line for line in lines if line.startswith(" processes")]
    assert line.index("■ Recording stalled") < line.index("● Camera")


def test_a_process_that_is_gone_alarms_only_while_the_system_should_run():
    gone = replace(SNAPSHOT, processes=(ProcessView("CameraManager", "gone", None),), workers=())
    assert any("✗ Camera gone" in line for line in drawn(gone, 80, 24))
    quitting = drawn(replace(gone, state="quitting"), 80, 24)
    assert any("· Camera gone" in line for line in quitting)


def test_losses_and_an_account_that_does_not_balance_are_shown():
    frames = FrameAccount(10, 4, purged=3, lost=1, discarded=1, device_lost=2)
    text = "\n".join(drawn(replace(SNAPSHOT, frames=frames), 120, 40))
    assert "10 delivered ≠ 4 processed + 1 discarded + 3 purged + 1 lost; 2 lost by" in text


def test_acquisition_off_is_said():
    assert "acquisition off" in drawn(replace(SNAPSHOT, acquisition_on=False), 80, 24)[0]


def test_a_bead_that_is_not_tracked_shows_dashes_and_a_gap_in_its_trace():
    bead = SNAPSHOT.beads[0]
    lost = BeadView(bead.bead_id, math.nan, math.nan, math.nan)
    steps = [[bead], [replace(bead, z_nm=500.0)], [lost], [bead]]
    snapshots = [replace(SNAPSHOT, t_s=n, beads=tuple(beads)) for n, beads in enumerate(steps)]
    lines = drawn(snapshots[-1], 80, 24, history_of(*snapshots))
    assert any(line.endswith("▁█ ▁") for line in lines)
    lines = drawn(snapshots[-2], 80, 24, history_of(*snapshots[:-1]))
    assert any(line.split()[:4] == ["0", NONE, NONE, NONE] for line in lines)


def test_a_quiet_bead_looks_quiet():
    noise = [replace(SNAPSHOT, beads=(BeadView(0, 0, 0, z),)) for z in (0.0, 5.0, 1.0, 4.0)]
    trace = drawn(noise[-1], 80, 24, history_of(*noise))
    (line,) = [line for line in trace if line.startswith("     0 ")]
    assert set(line.split()[-1]) <= set("▄▅")


def test_a_motor_keeps_its_unit_when_it_comes_near_zero():
    far, near = (replace(SNAPSHOT.motors[0], position=p, target=p) for p in (5e6, 0.0))
    snapshots = [replace(SNAPSHOT, motors=(m,)) for m in (far, near)]
    text = "\n".join(drawn(snapshots[-1], 80, 24, history_of(*snapshots)))
    assert "0.0000 mm" in text


def test_messages_a_second_are_those_of_the_last_two_seconds():
    steps = [(0, 0), (1, 1000), (2, 1100), (3, 1200), (4, 1300)]
    snapshots = [replace(SNAPSHOT, t_s=t, messages=n) for t, n in steps]
    assert history_of(*snapshots).messages_per_s == pytest.approx(100)


def test_the_live_view_draws_from_calls_alone_and_leaves_the_terminal_as_it_was():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24)
    with LiveView(console) as view:
        view(SNAPSHOT)
        assert "100.0 fps" in file.getvalue()
    assert file.getvalue().count("\x1b[?1049h") == file.getvalue().count("\x1b[?1049l") == 1
    assert file.getvalue().count("\x1b[?25l") == file.getvalue().count("\x1b[?25h") == 1


def test_no_color_leaves_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24)
    console.print(Screen(SNAPSHOT, history_of(SNAPSHOT)))
    assert "\x1b[3" not in file.getvalue()
    assert "\x1b[1;3" not in file.getvalue()


def test_plain_lines_tell_each_log_line_once_and_the_status_every_five_seconds():
    file = io.StringIO()
    lines = [LogLine(n, "info", "A", f"event {n}") for n in range(40)]
    with PlainLines(Console(file=file, width=40)) as view:
        for n in range(40):  # the log is a window of the last ten lines
            view(replace(SNAPSHOT, t_s=n * 0.25, log=tuple(lines[max(0, n - 9) : n + 1])))
    said = file.getvalue().splitlines()
    assert [line.split("A: ")[1] for line in said if "event" in line] == [
        f"event {n}" for n in range(40)
    ]
    assert sum("fps" in line for line in said) == 2


def test_the_summary_says_what_failed_and_what_is_on_disk():
    report = SessionReport(
        frames=FrameAccount(10, 9, lost=1),
        tracks_rows=1234,
        processes=(
            ProcessReport("CameraManager", "clean", 0, 0.1),
            ProcessReport("VideoWorker 1", "crashed", -9, None),
        ),
        recording="out",
        errors=tuple(f"error {n}\nmore" for n in range(12)),
        start_to_first_track_s=0.95,
        duration_s=125.0,
    )
    console = Console(file=io.StringIO(), width=100, record=True)
    print_summary(report, console)
    text = console.export_text()
    for shown in (
        "failed  2:05",
        "10 delivered = 9 processed + 1 lost",
        "1 234 rows, the first after 0.95 s",
        "1 clean, 1 crashed",
        "VideoWorker 1 crashed, exit code -9",
        "out",
        "error 7 more",
        "… and 4 more",
    ):
        assert shown in text
