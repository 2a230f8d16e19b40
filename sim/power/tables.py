"""Scores as tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from sim.power.score import Score


def table_of(strategy: str, scores: Sequence[Score], cpu_s: float) -> Table:
    """Return the table of one strategy, a row for each mutant."""
    table = Table(title=f"strategy {strategy}, {cpu_s:g} CPU-s a trial", title_justify="left")
    table.add_column("mutant", no_wrap=True)
    for name in ("reached", "triggered", "detected", "95 %", "property", "worlds", "CPU-s"):
        table.add_column(name, justify="left" if name == "property" else "right", no_wrap=True)
    for s in scores:
        table.add_row(
            s.mutant,
            f"{s.reached}/{s.trials}",
            f"{s.triggered}/{s.trials}",
            f"{s.detected}/{s.trials}",
            f"{100 * s.low:.0f}-{100 * s.high:.0f}",
            s.property + ("" if s.is_expected or not s.property else " *"),
            "-" if s.worlds is None else f"{s.worlds:g}",
            f"> {cpu_s:g}" if s.cpu_s is None else f"{s.cpu_s:.2f}",
        )
    return table


def comparison(scores: Mapping[str, Sequence[Score]]) -> Table:
    """Return the table that sets the strategies side by side: detected, and median CPU seconds."""
    table = Table(title="detected trials; median CPU-s", title_justify="left")
    table.add_column("mutant", no_wrap=True)
    for strategy in scores:
        table.add_column(strategy, justify="right", no_wrap=True)
    for row in zip(*scores.values(), strict=True):
        cells = (
            f"{s.detected}/{s.trials}" + ("" if s.cpu_s is None else f" {s.cpu_s:.1f}") for s in row
        )
        table.add_row(row[0].mutant, *cells)
    return table


def words_of(strategy: str, facts: Mapping[str, Any], cpu_s: float) -> str:
    """Return the lines that say what the scores of one strategy come to."""
    n = facts["mutants"]
    share, verdict = 100 * facts["share_found"], "reached" if facts["is_aim_reached"] else "missed"
    low, high = 100 * facts["low"], 100 * facts["high"]
    return "\n".join(
        (
            f"{strategy}: {n} mutants, {facts['reached']} reached, {facts['triggered']} triggered",
            f"  found by at least half of their trials within {cpu_s:g} CPU-s: {facts['found']} "
            f"({share:.1f} %); the aim of 95 % is {verdict}",
            f"  found by every trial: {facts['found_always']}; by any: {facts['found_ever']}",
            f"  trials that detected: {facts['detected']} of {facts['trials']} "
            f"(95 % interval {low:.1f}-{high:.1f} %)",
        )
    )
