"""A job for one process, and what comes of it: plain data both ways."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from sim.campaign.source import Runner, Source
from sim.campaign.stories import story_digest
from sim.world.plan import Failure, first_divergence
from sim.world.story import story
from sim.world.world import Outcome, minimised

SIMULATOR = "simulator"
DETERMINISM = "determinism"
MINIMISE_S = 20.0
MOST_RUNS = 300


@dataclass(frozen=True)
class Job:
    """What one process is to do.

    Attributes:
        first: The first seed.
        end: The first seed that is not run.
        do: `run` the seeds, or make the failure of the first one small (`minimise`).
        twice: Those that are run twice.
        within_s: Begin no further seed after so many seconds.
        trace_hash: To minimise: of the run that failed.
    """

    first: int
    end: int
    do: Literal["run", "minimise"] = "run"
    twice: tuple[int, ...] = ()
    within_s: float = 30.0
    trace_hash: str = ""


@dataclass(frozen=True)
class Failed:
    """A run that failed.

    Attributes:
        seed: Of the run.
        property: Which was violated first.
        violation: What was violated first.
        digest: What it has in common with the same failures, see `stories`.
        story: What happened, in a few lines.
        file: The text of a failure file; empty if nothing can be replayed.
        causes: How many there were, and are left; None if it was not minimised.
        runs: How many runs it took to minimise.
    """

    seed: int
    property: str
    violation: str
    digest: str
    story: str = ""
    file: str = field(default="", repr=False)
    causes: tuple[int, int] | None = None
    runs: int = 0


@dataclass(frozen=True)
class Result:
    """What came of one seed.

    Attributes:
        trace_hash: Of its run; empty if the simulator broke down.
        steps: Operations.
        virtual_s: Virtual seconds.
        wall_s: Seconds it took, all its runs together.
        reached: The rare states it came to.
        twice: Whether it was run twice to compare.
        failed: What failed, if anything.
    """

    seed: int
    trace_hash: str = ""
    steps: int = 0
    virtual_s: float = 0.0
    wall_s: float = 0.0
    reached: tuple[str, ...] = ()
    twice: bool = False
    failed: Failed | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Result":
        """Return the result that `dataclasses.asdict` made plain, by way of JSON or not."""
        failed = data["failed"]
        if failed is not None:
            causes = failed["causes"] and tuple(failed["causes"])
            failed = Failed(**{**failed, "causes": causes})
        return cls(**{**data, "failed": failed, "reached": tuple(data["reached"])})


def perform(source: Source, job: Job) -> list[Result]:
    """Carry out a job, and return what came of it."""
    return list(carry_out(source, job))


def carry_out(source: Source, job: Job) -> Iterator[Result]:
    """Yield what comes of a job; of a range, as much as there is time for, and at least a seed."""
    runner = source.load()
    if job.do == "minimise":
        yield _minimise(runner, source, job)
        return
    until_s = time.monotonic() + job.within_s
    told: set[str] = set()
    for seed in range(job.first, job.end):
        result = run_seed(runner, source, seed, twice=seed in job.twice)
        if (failed := result.failed) is not None:
            if failed.digest in told:  # one file tells of all that are the same
                result = replace(result, failed=replace(failed, file="", story=""))
            told.add(failed.digest)
        yield result
        if time.monotonic() > until_s:
            break


def run_seed(runner: Runner, source: Source, seed: int, *, twice: bool = False) -> Result:
    """Run one seed; if it fails, once more to see how."""
    began_s = time.monotonic()
    try:
        outcome = runner(seed, source, False)
        failed = None
        if twice:
            failed = _difference(runner, source, seed, outcome.trace_hash)
        if failed is None and outcome.violations:
            failed = _look_closer(runner, source, seed, outcome)
    except Exception as error:  # whatever the simulator does wrong, the campaign goes on
        return Result(seed, wall_s=time.monotonic() - began_s, failed=_broken(seed, error))
    return Result(
        seed,
        trace_hash=outcome.trace_hash,
        steps=outcome.steps,
        virtual_s=outcome.virtual_s,
        wall_s=time.monotonic() - began_s,
        reached=tuple(sorted(outcome.reached)),
        twice=twice,
        failed=failed,
    )


def died(seed: int, how: str) -> Failed:
    """Return the failure of a seed that took its process with it."""
    violation = f"{SIMULATOR}: the simulator died: {how}"
    return Failed(seed, SIMULATOR, violation, story_digest(violation), violation)


def _broken(seed: int, error: Exception) -> Failed:
    violation = f"{SIMULATOR}: the simulator raised {type(error).__name__}: {error}"
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    if where is not None:
        path = Path(where.tb_frame.f_code.co_filename)
        violation += f" ({path.parent.name}/{path.name}:{where.tb_lineno})"
    return Failed(seed, SIMULATOR, violation, story_digest(violation), violation)


def _look_closer(runner: Runner, source: Source, seed: int, before: Outcome) -> Failed:
    outcome = runner(seed, source, True)
    if outcome.trace_hash != before.trace_hash:
        found = _difference(runner, source, seed, before.trace_hash)
        return found or _not_again(seed, before.trace_hash, outcome)
    return _failed(seed, outcome)


def _difference(runner: Runner, source: Source, seed: int, trace_hash: str) -> Failed | None:
    """Return how a second run differs from the first, if it does."""
    again = runner(seed, source, False)
    if again.trace_hash == trace_hash:
        return None
    one, two = runner(seed, source, True), runner(seed, source, True)
    where = " ".join(first_divergence(one.trace.steps, two.trace.steps).split())
    if not where:
        return _not_again(seed, trace_hash, one)
    violation = f"{DETERMINISM}: the same seed, run twice, did not do the same; {where}"
    return _of(seed, violation, one, Failure.of(one.plan, violation, one.trace))


def _not_again(seed: int, trace_hash: str, outcome: Outcome) -> Failed:
    violation = (
        f"{DETERMINISM}: the run had the trace hash {trace_hash}, and later "
        f"{outcome.trace_hash}; what differed did not come again"
    )
    return _of(seed, violation, outcome, Failure.of(outcome.plan, violation, outcome.trace))


def _minimise(runner: Runner, source: Source, job: Job) -> Result:
    began_s = time.monotonic()
    seed = job.first
    outcome = runner(seed, source, True)
    if outcome.trace_hash != job.trace_hash:
        failed = _not_again(seed, job.trace_hash, outcome)
    else:
        runs, before = 0, len(outcome.plan.causes)
        if before:
            each_s = max(time.monotonic() - began_s, 1e-4)
            most = int(min(MINIMISE_S, job.within_s) / each_s)
            smaller, runs = minimised(outcome, most_runs=max(1, min(most, MOST_RUNS)))
            outcome = smaller if smaller.violations else outcome
        after = len(outcome.plan.causes)
        failed = replace(_failed(seed, outcome), causes=(before, after), runs=runs)
    took_s = time.monotonic() - began_s
    return Result(seed, outcome.trace_hash, wall_s=took_s, failed=failed)


def _failed(seed: int, outcome: Outcome) -> Failed:
    return _of(seed, outcome.violations[0], outcome, outcome.failure())


def _of(seed: int, violation: str, outcome: Outcome, failure: Failure) -> Failed:
    steps = outcome.trace.steps
    with TemporaryDirectory() as directory:
        path = Path(directory) / "failure.json"
        failure.save(path)
        file = path.read_text(encoding="utf-8")
    return Failed(
        seed,
        violation.partition(":")[0].strip(),
        violation,
        story_digest(violation, steps),
        story(steps, [violation], failure.plan.deviations),
        file,
    )
