"""`magscope power`: how soon the harness finds known defects, and that it finds no others."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magscope.cli.entry import BadInputError, RunFailedError

if TYPE_CHECKING:
    from rich.progress import Progress

    from sim.power.results import Results
    from sim.power.score import Score
    from sim.power.trial import Result

ALL = "all"


def power(
    mutants: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the mutants are described.")
    ] = Path("tests/power/mutants"),
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this one, or those with it in their names."),
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", min=1, help="Trials of each.")] = 20,
    cpu_s: Annotated[
        float, typer.Option("--cpu-s", metavar="S", help="CPU seconds of a trial.")
    ] = 60.0,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="portfolio, fifo, random, pos, pct(3), jitter, plain, happy, or all of them.",
        ),
    ] = None,
    first_seed: Annotated[
        int, typer.Option("--first-seed", metavar="N", min=0, help="Of the first world.")
    ] = 0,
    false_alarms: Annotated[
        int,
        typer.Option(
            "--false-alarms", metavar="N", min=0, help="Run N worlds of the code as it is instead."
        ),
    ] = 0,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep results here; what it holds is not run again."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Processes at once.")
    ] = os.cpu_count() or 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how soon the harness finds each of the known defects.

    Each mutant is the code with one defect. A trial runs worlds with it, in a process of its own,
    until one of them fails. The exit code is 0 if at least 95 % of the mutants are found by half of
    their trials or more, with every strategy that was asked for but the two baselines; with
    --false-alarms, if no world failed.

    Example: magscope power --only router --trials 3 --cpu-s 10 --results power.jsonl
    """
    from sim.power.mutants import MutantError, chosen, load_mutants  # noqa: PLC0415, RUF100
    from sim.power.results import Results  # noqa: PLC0415, RUF100
    from sim.power.trial import STRATEGIES  # noqa: PLC0415, RUF100
    from sim.power.watchdog import TrialError  # noqa: PLC0415, RUF100

    strategies = strategy or ["portfolio"]
    if ALL in strategies:
        strategies = list(STRATEGIES)
    if wrong := [name for name in strategies if name not in STRATEGIES]:
        raise BadInputError(f"--strategy {wrong[0]}: choose {', '.join((*STRATEGIES, ALL))}")
    if not cpu_s > 0:
        raise BadInputError(f"--cpu-s {cpu_s:g}: expected seconds above 0")
    kept = Results(results)
    try:
        if false_alarms:
            seeds = range(first_seed, first_seed + false_alarms)
            fine = _false_alarms(strategies[0], seeds, mutants, kept, jobs, as_json=as_json)
        else:
            wanted = chosen(load_mutants(mutants), only or [])
            for mutant in wanted:
                for file in mutant.files:
                    mutant.applied_to(file, _text_of(file))
            fine = _power(
                wanted, strategies, trials, cpu_s, first_seed, mutants, kept, jobs, as_json=as_json
            )
    except MutantError as error:
        raise BadInputError(str(error)) from None
    except TrialError as error:
        raise RunFailedError(str(error)) from None
    raise typer.Exit(0 if fine else 1)


def _text_of(file: str) -> str:
    top = Path(__file__).parents[2]
    try:
        return (top / file).read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"{file}: {error}; mutants are of a checkout's own modules") from None


def _power(
    wanted: Sequence[Any],
    strategies: Sequence[str],
    trials: int,
    cpu_s: float,
    first_seed: int,
    directory: Path,
    kept: "Results",
    at_once: int,
    *,
    as_json: bool,
) -> bool:
    from sim.power.alarms import digest_of_code  # noqa: PLC0415, RUF100
    from sim.power.score import jobs_of, run_jobs, score, summary  # noqa: PLC0415, RUF100

    todo = jobs_of(wanted, strategies, trials, cpu_s, first_seed=first_seed, code=digest_of_code())
    found: dict[tuple[str, str], list[Result]] = {}
    with _progress(quiet=as_json) as shown:
        task = shown.add_task("trials", total=len(todo), what="")
        for job, result in run_jobs(todo, directory, kept, at_once=at_once):
            found.setdefault((job.strategy, job.mutant.name), []).append(result)
            what = result.property if result.detected else "not detected"
            shown.update(task, advance=1, what=f"{job.mutant.name}: {what}")
    scores = {
        strategy: [score(m, strategy, found[strategy, m.name], cpu_s) for m in wanted]
        for strategy in strategies
    }
    sums = {strategy: summary(of_one) for strategy, of_one in scores.items()}
    _print_scores(scores, sums, cpu_s, as_json=as_json)
    judged = [sums[s]["is_aim_reached"] for s in strategies if s not in ("plain", "happy")]
    return all(judged)


def _print_scores(
    scores: "dict[str, list[Score]]", sums: dict[str, Any], cpu_s: float, *, as_json: bool
) -> None:
    from dataclasses import asdict  # noqa: PLC0415, RUF100

    from rich.console import Console  # noqa: PLC0415, RUF100

    from sim.power.tables import comparison, table_of, words_of  # noqa: PLC0415, RUF100

    if as_json:
        facts = {
            strategy: {"summary": sums[strategy], "mutants": [asdict(s) for s in of_one]}
            for strategy, of_one in scores.items()
        }
        typer.echo(json.dumps({"cpu_s": cpu_s, "strategies": facts}, indent=2))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    for strategy, of_one in scores.items():
        console.print(table_of(strategy, of_one, cpu_s))
    if len(scores) > 1:
        console.print(comparison(scores))
    for strategy, facts in sums.items():
        typer.echo(words_of(strategy, facts, cpu_s))
    if any(s.property and not s.is_expected for of_one in scores.values() for s in of_one):
        typer.echo("* found by another property than those that the mutant names")


def _false_alarms(
    strategy: str, seeds: range, directory: Path, kept: "Results", at_once: int, *, as_json: bool
) -> bool:
    from sim.power.alarms import digest_of_code, run_alarms, upper_bound  # noqa: PLC0415, RUF100

    worlds, cpu_s, failures = 0, 0.0, list[tuple[int, str]]()
    with _progress(quiet=as_json) as shown:
        task = shown.add_task("worlds", total=len(seeds), what="")
        code = digest_of_code()
        for part in run_alarms(strategy, seeds, directory, kept, code=code, at_once=at_once):
            worlds, cpu_s = worlds + part.worlds, cpu_s + part.cpu_s
            failures += part.failures
            shown.update(task, completed=worlds, what=f"{len(failures)} failed")
    failures.sort()
    bound = upper_bound(len(failures), worlds)
    if as_json:
        facts = {
            "strategy": strategy, "worlds": worlds, "cpu_s": round(cpu_s, 1),
            "failures": failures, "upper_bound_95": bound,
        }  # fmt: skip
        typer.echo(json.dumps(facts, indent=2))
    else:
        for seed, violation in failures:
            typer.echo(f"seed {seed}: {violation}")
        rate = worlds / cpu_s if cpu_s else 0.0
        typer.echo(
            f"{strategy}: {worlds} worlds of the code as it is in {cpu_s:.0f} CPU-s ({rate:.0f} a "
            f"second), {len(failures)} false alarms"
            + ("" if failures else f"; at most 1 in {1 / bound:.0f} worlds, with 95 % confidence")
        )
    return not failures


def _progress(*, quiet: bool) -> "Progress":
    from rich.console import Console  # noqa: PLC0415, RUF100
    from rich.progress import Progress, TextColumn  # noqa: PLC0415, RUF100

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[what]}"))
    disable = quiet or not console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=disable)
