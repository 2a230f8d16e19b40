"""`magscope campaign`: many worlds in parallel."""

import json
import re
import signal
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magscope.cli.entry import INTERRUPTED, BadInputError, RunFailedError

if TYPE_CHECKING:
    from sim.campaign.drive import Goal
    from sim.campaign.engine import Engine
    from sim.campaign.source import Source

DEFAULT_SEEDS = (0, 1000)
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0}


class EngineName(StrEnum):
    """Where worlds are run."""

    LOCAL = "local"
    DASK = "dask"


def campaign(
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="A:B",
            help="Seeds from A up to, not including, B; 0:1000, or no end if there is a budget.",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Run this plan or failure with every seed."),
    ] = None,
    swarm: Annotated[
        bool, typer.Option("--swarm", help="Let every seed draw its own rig and faults (default).")
    ] = False,
    strategy: Annotated[
        str, typer.Option(metavar="NAME", help="portfolio, or one schedule as of magscope sim.")
    ] = "portfolio",
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="End after so long: 90s, 10m, 1h30m.")
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="This machine's processes, or a Dask cluster.")
    ] = EngineName.LOCAL,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Dask cluster: tcp://HOST:8786.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Worlds at a time; one for each core.")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Results; what is there is gone on with.")
    ] = Path("campaign"),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away the results in DIR first.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object.")
    ] = False,
) -> None:
    """Run many worlds in parallel, each with its own seed, and make small what fails.

    Results are kept in DIR: the same command goes on where it was ended, by Ctrl-C too. The exit
    code is 0 only if no world violated anything.

    Example: magscope campaign --seeds 0:10000 --budget 10m --out nightly
    """
    from rich.console import Console  # noqa: PLC0415, RUF100

    from sim.campaign.summary import show  # noqa: PLC0415, RUF100

    if plan is not None and swarm:
        raise BadInputError("--plan and --swarm: choose one")
    if scheduler is not None and engine is not EngineName.DASK:
        raise BadInputError(f"--scheduler {scheduler}: it needs --engine dask")
    goal = _goal(seeds, budget)
    source = _source(plan, strategy)
    summary = _carry_out(source, goal, out, engine, scheduler, jobs, fresh=fresh)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        show(summary, out, Console(highlight=False))
    if summary["ended"] == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if not summary["worlds"]:
        raise RunFailedError("no world was run: give it more time (--budget)")
    raise typer.Exit(1 if summary["failed_worlds"] else 0)


def _carry_out(
    source: "Source",
    goal: "Goal",
    out: Path,
    engine: EngineName,
    scheduler: str | None,
    jobs: int | None,
    *,
    fresh: bool,
) -> dict[str, Any]:
    from rich.console import Console  # noqa: PLC0415, RUF100

    from sim.campaign.book import Book, BookError  # noqa: PLC0415, RUF100
    from sim.campaign.drive import Campaign  # noqa: PLC0415, RUF100
    from sim.campaign.engine import EngineError  # noqa: PLC0415, RUF100
    from sim.campaign.source import known_states  # noqa: PLC0415, RUF100
    from sim.campaign.summary import summarise, write  # noqa: PLC0415, RUF100
    from sim.campaign.view import view_for  # noqa: PLC0415, RUF100

    try:
        book = Book(out, source, fresh=fresh)
    except BookError as error:
        raise BadInputError(str(error)) from None
    except OSError as error:
        raise BadInputError(f"--out {out}: {error}") from None
    with book, CtrlC() as ctrl_c, view_for(Console(stderr=True, highlight=False)) as view:
        try:
            with _engine(source, engine, scheduler, jobs) as running:
                drive = Campaign(book, running, goal, is_interrupted=ctrl_c.asked, show=view)
                ending = drive.run()
        except EngineError as error:
            raise RunFailedError(str(error)) from None
        summary = summarise(book, drive.progress, ending, known_states())
        write(summary, out)
    return summary


class CtrlC:
    """While it is open, the first Ctrl-C only asks for the end, and the second is one."""

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def __enter__(self) -> "CtrlC":
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def asked(self) -> bool:
        """Whether it was pressed."""
        return self._asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, self._before)


def _engine(
    source: "Source", name: EngineName, scheduler: str | None, jobs: int | None
) -> "Engine":
    if name is EngineName.DASK:
        from sim.campaign.cluster import ClusterEngine  # noqa: PLC0415, RUF100

        return ClusterEngine(source, scheduler, jobs)
    from sim.campaign.local import LocalEngine  # noqa: PLC0415, RUF100

    return LocalEngine(source, jobs)


def _goal(seeds: str | None, budget: str | None) -> "Goal":
    from sim.campaign.drive import Goal  # noqa: PLC0415, RUF100
    from sim.campaign.seeds import parse  # noqa: PLC0415, RUF100

    budget_s = parse_duration(budget) if budget is not None else None
    if seeds is None:
        first, end = DEFAULT_SEEDS
        return Goal(first, end if budget_s is None else None, budget_s)
    try:
        first, end = parse(seeds)
    except ValueError as error:
        raise BadInputError(f"--seeds {error}") from None
    return Goal(first, end, budget_s)


def _source(plan: Path | None, strategy: str) -> "Source":
    from sim.campaign.source import SWARM, Source, check_strategy, plan_source  # noqa: PLC0415, RUF100

    try:
        check_strategy(strategy)
        if plan is None:
            return Source(SWARM, strategy)
        return plan_source(plan.read_text(encoding="utf-8"), strategy)
    except OSError as error:
        raise BadInputError(f"--plan {plan}: {error.strerror}") from None
    except ValueError as error:
        given = "--strategy" if plan is None else f"--plan {plan}"
        raise BadInputError(f"{given}: {error}") from None


def parse_duration(text: str) -> float:
    """Return the seconds of `90s`, `10m`, `1h30m` or a plain number.

    Raises:
        BadInputError: It is no time, or none at all.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    elif "".join(number + unit for number, unit in parts) != text:
        seconds = 0.0
    if not seconds > 0:
        raise BadInputError(f"--budget {text}: expected a time, as in 90s, 10m or 1h30m")
    return seconds
