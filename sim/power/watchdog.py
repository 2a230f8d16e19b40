"""Runs trials in a process for them alone, and ends it when it no longer comes back.

A world charges every poll and names a process that spins, so most loops without an end are found in
virtual time. One that asks the world for nothing, or for things that take no time, is not: there
the process itself must be ended, and that counts as found, for a person would notice too.
"""

import json
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from sim.power.hook import Marks
from sim.power.mutants import Mutant
from sim.power.trial import Result

WORLD_CPU_S = 20.0
WORLD_WALL_S = 300.0
MEMORY_BYTES = 1_500_000_000
LOOK_S = 0.05


class TrialError(RuntimeError):
    """A trial's process ended without a result."""


def run_trials(
    mutant: Mutant | None,
    directory: Path,
    strategy: str,
    trials: Sequence[range],
    cpu_s: float,
    *,
    stops: bool = True,
    world_cpu_s: float = WORLD_CPU_S,
) -> list[Result]:
    """Run trials in fresh processes, and return what came of each.

    Args:
        mutant: None for the code as it is.
        directory: Where the mutants are described.
        strategy: See `sim.power.trial.STRATEGIES`.
        trials: The seeds of the worlds of each.
        cpu_s: CPU seconds of a trial after which no world is begun.
        stops: Whether the first world that fails is the last.
        world_cpu_s: CPU seconds after which one world counts as hanging.

    Raises:
        TrialError: A process ended without a result.
    """
    results: list[Result] = []
    while len(results) < len(trials):  # a process that had to be ended did not do all
        left = trials[len(results) :]
        results += _run_process(mutant, directory, strategy, left, cpu_s, stops, world_cpu_s)
    return results


def _run_process(
    mutant: Mutant | None,
    directory: Path,
    strategy: str,
    trials: Sequence[range],
    cpu_s: float,
    stops: bool,
    world_cpu_s: float,
) -> list[Result]:
    words = [
        sys.executable, "-m", "sim.power.trial", "--mutants", str(directory),
        "--strategy", strategy, "--cpu-s", str(cpu_s),
    ]  # fmt: skip
    for seeds in trials:
        words += ["--seeds", f"{seeds.start}:{seeds.stop}"]
    words += ["--mutant", mutant.name] if mutant is not None else []
    words += [] if stops else ["--all"]
    with TemporaryDirectory() as scratch, _marks(Path(scratch)) as (path, marks):
        output, errors = Path(scratch, "output"), Path(scratch, "errors")
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                [*words, "--marks", str(path)],
                stdout=out,
                stderr=err,
                # What a killed world leaves of its recordings goes with the directory.
                env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": scratch},
            )
            try:
                found, cpu_used_s = _watch(process, marks, world_cpu_s)
            finally:
                process.kill()
                process.wait()
        if not found and process.returncode >= 0:
            return _results(process.returncode, output.read_text(), errors.read_text())
        found = found or "crash"
        lines = output.read_text().splitlines(keepends=True)
        results = [_result(line) for line in lines if line.endswith("\n")]
        if len(results) == len(trials):  # it ended badly after all was done
            return results
        seeds = trials[len(results)]
        tells = mutant is not None and mutant.tells_trigger
        reached = marks.times_reached
        ended = Result(
            mutant.name if mutant is not None else "",
            strategy,
            f"{seeds.start}:{seeds.stop}",
            reached,
            marks.times_triggered if tells else reached,
            detected=True,
            property=found,
            violation=f"{found}: the world of seed {marks.seed} had to be ended from outside",
            seed=marks.seed,
            worlds=marks.worlds,
            cpu_s=round(cpu_used_s, 3),
            failures=() if stops else ((marks.seed, found),),
        )
        return [*results, ended]


def _watch(
    process: "subprocess.Popen[bytes]", marks: Marks, world_cpu_s: float
) -> tuple[str, float]:
    """Wait for a process; return why it must end, or "", and its newest trial's CPU seconds."""
    of_worlds_s, world_cpu_began_s, trial_cpu_began_s = 0.0, 0.0, 0.0
    seen = trial, worlds = 0, 0
    world_began_s = time.monotonic()
    with suppress(psutil.Error):  # it has ended meanwhile
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            spent = watched.cpu_times()
            cpu_s = spent.user + spent.system
            if (marks.trials, marks.worlds) != seen:
                if marks.trials != trial or not worlds:
                    trial_cpu_began_s = cpu_s
                seen = trial, worlds = marks.trials, marks.worlds
                world_cpu_began_s, world_began_s = cpu_s, time.monotonic()
            of_worlds_s = cpu_s - trial_cpu_began_s
            hangs = worlds and cpu_s - world_cpu_began_s > world_cpu_s
            if hangs or time.monotonic() - world_began_s > WORLD_WALL_S:
                return "hang", of_worlds_s
            if watched.memory_info().rss > MEMORY_BYTES:
                return "memory", of_worlds_s
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_S)
    return "", of_worlds_s


@contextmanager
def _marks(directory: Path) -> Iterator[tuple[Path, Marks]]:
    path = directory / "marks"
    path.write_bytes(bytes(Marks.size))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), Marks.size) as memory:
        marks = Marks(memory)
        try:
            yield path, marks
        finally:
            marks.close()


def _results(code: int, output: str, errors: str) -> list[Result]:
    lines = output.splitlines()
    if code or not lines:
        last = errors.strip().splitlines()[-1:] or ["it said nothing"]
        raise TrialError(f"a trial ended with exit code {code}: {last[0]}")
    return [_result(line) for line in lines]


def _result(line: str) -> Result:
    facts = json.loads(line)
    failures = tuple((int(seed), str(text)) for seed, text in facts.pop("failures"))
    return replace(Result(**facts), failures=failures)
