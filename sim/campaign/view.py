"""A campaign while it runs: a bar on a terminal, plain lines everywhere else."""

from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from magscope.cli.words import count, duration
from sim.campaign.drive import Progress
from sim.campaign.stories import violation_key
from sim.campaign.work import Failed

STATUS_EVERY_S = 5.0


class View(Protocol):
    """Shows a campaign's progress; a context manager."""

    def __enter__(self) -> "View": ...
    def __exit__(self, *_: object) -> None: ...
    def __call__(self, progress: Progress) -> None:
        """Show how far it is."""


class News:
    """Tells each violation once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def of(self, progress: Progress) -> list[Failed]:
        """Return the failures that were not told yet."""
        news = {}
        for distinct in progress.distinct:
            key = violation_key(distinct.failed.violation)
            if key not in self._told:
                self._told.add(key)
                news[key] = distinct.failed
        return list(news.values())


class LiveBar:
    """A bar that fills, and failures above it as they are found."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            BarColumn(30), TextColumn("{task.fields[text]}"), console=console, transient=True
        )
        self._task = self._bars.add_task("", total=None, text="")
        self._news = News()

    def __enter__(self) -> "LiveBar":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show how far it is."""
        for failed in self._news.of(progress):
            self._bars.console.print(Text(news_line(failed)), soft_wrap=True)
        part = fraction(progress)
        self._bars.update(
            self._task, total=None if part is None else 1.0, completed=part or 0.0,
            text=status_line(progress),
        )  # fmt: skip


class PlainLines:
    """A line for each violation, and a status line every `every_s` seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._news = News()
        self.every_s = STATUS_EVERY_S
        self._told_at_s = 0.0

    def __enter__(self) -> "PlainLines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, progress: Progress) -> None:
        """Print what is new."""
        for failed in self._news.of(progress):
            self._console.out(news_line(failed), highlight=False)
        if progress.elapsed_s >= self._told_at_s + self.every_s:
            self._console.out(status_line(progress), highlight=False)
            self._told_at_s = progress.elapsed_s


def view_for(console: Console) -> View:
    """Return what suits a console."""
    return LiveBar(console) if console.is_terminal else PlainLines(console)


def fraction(progress: Progress) -> float | None:
    """Return how much is done, from 0 to 1; None if nobody can know."""
    goal = progress.goal
    parts = []
    if goal.end is not None:
        parts.append(progress.done / (goal.end - goal.first))
    if goal.budget_s:
        parts.append(min(progress.elapsed_s / goal.budget_s, 1.0))
    return max(parts, default=None)


def status_line(progress: Progress) -> str:
    """Return how far it is, in a line."""
    goal = progress.goal
    of = f"/{count(goal.end - goal.first)}" if goal.end is not None else ""
    budget = f"/{duration(goal.budget_s)}" if goal.budget_s is not None else ""
    rate = progress.worlds / progress.elapsed_s if progress.elapsed_s else 0.0
    parts = [
        f"{count(progress.done)}{of} seeds",
        f"{duration(progress.elapsed_s)}{budget}",
        f"{rate:.0f} worlds/s",
        f"{len(progress.distinct)} failures" if progress.distinct else "no failure",
    ]
    if progress.minimising:
        parts.append(f"{progress.minimising} being minimised")
    return "  ".join(parts)


def news_line(failed: Failed) -> str:
    """Return a failure in a line."""
    return f"seed {failed.seed}: {failed.violation.strip().partition(chr(10))[0]}"
