"""The simulation's commands: `magscope sim`, `magscope replay`, `magscope trace`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magscope.cli.entry import BadInputError

if TYPE_CHECKING:
    from magscope.report import SessionReport
    from sim.world.world import Outcome, World

SLICE_S = 0.5
MOST_LINES = 12  # of warnings and errors that are printed

FailureFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A failure file.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def simulate(
    rig: Annotated[
        Path | None,
        typer.Argument(help="Rig file (TOML).", metavar="RIG.toml", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of all chance.")] = 0,
    run_for: Annotated[
        float, typer.Option("--for", metavar="SECONDS", help="Virtual seconds.")
    ] = 10.0,
    faults: Annotated[
        Path | None, typer.Option(metavar="PLAN.json", help="What goes wrong.")
    ] = None,
    schedule: Annotated[
        str, typer.Option(help="fifo, random, pos, jitter, pct or pct(DEPTH).")
    ] = "fifo",
    script: Annotated[Path | None, typer.Option(metavar="FILE", help="Run this script.")] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Record into this directory.")
    ] = None,
    failure: Annotated[
        Path, typer.Option(metavar="FILE", help="Where a failure is written to be replayed.")
    ] = Path("failure.json"),
    minimise: Annotated[bool, typer.Option(help="Make a failure as small as can be.")] = True,
    as_json: AsJson = False,
) -> None:
    """Run the whole system in one process, in virtual time, under a seeded schedule.

    The same seed, rig, script and faults give the same run, step for step. The exit code is 0 only
    if nothing was violated; a failure is written to a file that `magscope replay` runs again.

    Example: magscope sim --seed 7 --for 60 --schedule random --faults plan.json
    """
    from magscope.cli.run import prepare_directory  # noqa: PLC0415, RUF100
    from sim.faults import FaultPlan, PlanError  # noqa: PLC0415, RUF100
    from sim.world.world import World, minimised  # noqa: PLC0415, RUF100

    if not run_for > 0:
        raise BadInputError(f"--for {run_for:g}: expected seconds above 0")
    try:
        plan = FaultPlan.load(faults) if faults is not None else FaultPlan()
        world = World(
            rig,
            seed=seed,
            faults=plan,
            schedule=schedule,
            for_s=run_for,
            script=script,
            record=prepare_directory(record),
        )
    except (PlanError, ValueError) as error:
        raise BadInputError(str(error)) from None
    outcome = _with_progress(world, run_for, quiet=as_json)
    if outcome.violations:
        if minimise and outcome.plan.causes:
            smaller, runs = minimised(outcome)
            if smaller.violations:
                _say(
                    f"{len(outcome.plan.causes)} causes made {len(smaller.plan.causes)} in "
                    f"{runs} runs",
                    quiet=as_json,
                )
                outcome = smaller
        outcome.failure().save(failure)
    _print(outcome, failure, as_json=as_json)
    raise typer.Exit(1 if outcome.violations else 0)


def replay(file: FailureFile, as_json: AsJson = False) -> None:
    """Run a failure again, exactly, and say whether it is the same.

    The exit code is 0 if the run is the same, operation by operation, and fails in the same way.

    Example: magscope replay failure.json
    """
    from sim.world.plan import Failure, FailureFileError, first_divergence  # noqa: PLC0415, RUF100
    from sim.world.world import run_plan  # noqa: PLC0415, RUF100

    try:
        before = Failure.load(file)
    except FailureFileError as error:
        raise BadInputError(str(error)) from None
    outcome = run_plan(before.plan, stop_at_violation=True)
    is_same = outcome.trace_hash == before.trace_hash
    is_back = before.violation in outcome.violations
    parts = "" if is_same else first_divergence(before.steps, outcome.trace.steps)
    unreached = [str(cause) for cause in outcome.unreached]
    if as_json:
        facts = {
            "reproduced": is_back,
            "same_hash": is_same,
            "trace_hash": outcome.trace_hash,
            "violations": outcome.violations,
            "first_divergence": parts,
            "unreached": unreached,
        }
        typer.echo(json.dumps(facts, indent=2))
    else:
        typer.echo(outcome.story())
        typer.echo("")
        typer.echo("the same run, operation by operation" if is_same else f"it differs: {parts}")
        for cause in unreached:
            typer.echo(f"not reached any more: {cause}")
        typer.echo("it fails in the same way" if is_back else "it does not fail in this way")
    raise typer.Exit(0 if is_same and is_back else 1)


def trace(
    file: FailureFile,
    everything: Annotated[bool, typer.Option("--all", help="Every operation.")] = False,
) -> None:
    """Tell what happened in a failed run, in twenty lines at most.

    Example: magscope trace failure.json
    """
    from sim.world.plan import Failure, FailureFileError  # noqa: PLC0415, RUF100
    from sim.world.story import story  # noqa: PLC0415, RUF100

    try:
        failure = Failure.load(file)
    except FailureFileError as error:
        raise BadInputError(str(error)) from None
    if everything:
        for step in failure.steps:
            typer.echo(str(step))
        typer.echo(f"VIOLATED: {failure.violation}")
    else:
        typer.echo(story(failure.steps, [failure.violation], failure.plan.deviations))


def _with_progress(world: "World", for_s: float, *, quiet: bool) -> "Outcome":
    from rich.console import Console  # noqa: PLC0415, RUF100
    from rich.progress import Progress, TextColumn  # noqa: PLC0415, RUF100

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], TextColumn("{task.fields[virtual]}"))
    shown = Progress(*columns, console=console, transient=True, auto_refresh=False)
    with shown:
        task = shown.add_task("virtual time", total=for_s, virtual="")
        while not world.has_ended and world.now_s < for_s + 2 * SLICE_S:
            world.run_for(SLICE_S)
            virtual = f"{world.now_s:.1f} s, {world.trace.count} operations"
            shown.update(task, completed=min(world.now_s, for_s), virtual=virtual)
            if not quiet and console.is_terminal:
                shown.refresh()
    return world.finish()


def _print(outcome: "Outcome", failure: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_facts(outcome), indent=2))
        return
    frames = outcome.account
    typer.echo(
        f"{outcome.virtual_s:.2f} virtual s in {outcome.wall_s:.2f} s, {outcome.steps} operations, "
        f"{frames.delivered} frames, {outcome.report.tracks_rows} tracks rows"
    )
    typer.echo(f"trace hash {outcome.trace_hash}")
    for fault in outcome.struck:
        typer.echo(f"fault: {fault}")
    for cause in outcome.unreached:
        typer.echo(f"not reached: {cause}")
    _tell_of(outcome.report)
    if not outcome.violations:
        typer.echo("nothing was violated")
        return
    typer.echo("")
    typer.echo(outcome.story())
    typer.echo(f"\nreplay it with: magscope replay {failure}")


def _tell_of(report: "SessionReport") -> None:
    """Print who did not end well, and what the session has told in warnings and errors."""
    for process in report.processes:
        if process.outcome != "clean":
            typer.echo(f"ended: {process.name} {process.outcome}")
    told = [line for line in report.log if line.level != "info"]
    for line in told[:MOST_LINES]:
        typer.echo(f"{line.t_s:.2f} s {line.level}: {line.source}: {line.text.splitlines()[0]}")
    if len(told) > MOST_LINES:
        typer.echo(f"… and {len(told) - MOST_LINES} more warnings and errors; --json has them")


def _facts(outcome: "Outcome") -> dict[str, Any]:
    return {
        "trace_hash": outcome.trace_hash,
        "violations": outcome.violations,
        "report": outcome.report.to_json(),
        "virtual_s": outcome.virtual_s,
        "wall_s": outcome.wall_s,
        "steps": outcome.steps,
        "struck": [str(fault) for fault in outcome.struck],
        "unreached": [str(cause) for cause in outcome.unreached],
    }


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        typer.echo(text)
