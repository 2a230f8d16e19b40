"""What is said when a run has ended."""

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from magscope.cli import words
from magscope.report import ProcessReport, SessionReport

_SHOWN_LINES = 8


def print_summary(report: SessionReport, console: Console) -> None:
    """Print how a session ended, in about ten lines."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    verdict = Text("clean", "bold green") if report.is_clean else Text("failed", "bold red")
    verdict.append(f"  {words.duration(report.duration_s)} at {report.fps:.1f} fps", "default")
    table.add_row("run", verdict)
    balance = "" if report.frames.balances else "bold red"
    table.add_row("frames", Text(words.account(report.frames), balance))
    table.add_row("tracks", _tracks(report))
    table.add_row("processes", _processes(report.processes))
    table.add_row("shutdown", f"{report.shutdown_s:.2f} s")
    if report.recording:
        table.add_row("recording", Text(report.recording, "cyan"))
    if report.undelivered:
        table.add_row("undelivered", Text(f"{report.undelivered} messages", "yellow"))
    _add_lines(table, "warnings", report.warnings, "yellow")
    _add_lines(table, "errors", report.errors, "red")
    console.print(table)


def _tracks(report: SessionReport) -> str:
    rows = f"{words.count(report.tracks_rows)} rows"
    first = report.start_to_first_track_s
    return rows if first is None else f"{rows}, the first after {first:.2f} s"


def _processes(processes: tuple[ProcessReport, ...]) -> Text:
    text = Text(
        ", ".join(f"{n} {what}" for what, n in Counter(p.outcome for p in processes).items())
    )
    for process in processes:
        if process.outcome != "clean":
            code = "" if process.exit_code is None else f", exit code {process.exit_code}"
            text.append(f"\n{process.name} {process.outcome}{code}", "red")
    return text


def _add_lines(table: Table, label: str, lines: tuple[str, ...], style: str) -> None:
    for n, line in enumerate(lines[:_SHOWN_LINES]):
        table.add_row("" if n else label, Text(" ".join(line.split()), style))
    if len(lines) > _SHOWN_LINES:
        table.add_row("", Text(f"… and {len(lines) - _SHOWN_LINES} more", style))
