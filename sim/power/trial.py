"""A trial: worlds of consecutive seeds, in a process for this defect alone, until one fails.

`python -m sim.power.trial --mutant NAME --strategy portfolio --seeds 0:1000 --cpu-s 60` prints one
JSON line, and one more for each further `--seeds`. Without `--mutant` the code is as it is.
"""

import argparse
import json
import mmap
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sim.power.hook import Marks, install
from sim.power.mutants import MutantError, load_mutants, named

if TYPE_CHECKING:
    from sim.swarm import Trial

# Nothing of the system is imported here: the mutant comes first.

MUTANTS = Path("tests/power/mutants")
STRATEGIES = ("portfolio", "fifo", "random", "pos", "pct(3)", "jitter", "plain", "happy")
STORY_S = 5.0  # a world that took longer is not run again for its story
HARNESS = "harness: "
_ID = re.compile(r"([A-Z]\d+|[a-z]+)\b")


@dataclass(frozen=True)
class Result:
    """What came of a trial.

    Attributes:
        mutant: Its name; "" for the code as it is.
        seeds: The range that was to be run, `A:B`.
        reached: How often the mutated lines ran.
        triggered: How often they made a difference; as `reached` where that can not be told.
        detected: Whether a world failed.
        property: The id of what was violated first, or `deadlock`, `exception`; or why
            the process had to be ended: `hang`, `memory`, or that it ended itself: `crash`.
        violation: Its first line.
        story: The first line of the story of the world that failed.
        seed: Of the last world that was run: the one that failed, if one did.
        worlds: How many were run.
        cpu_s: CPU seconds, from the first world to the last, without loading the program.
        failures: Seed and violation of every world that failed, where a trial does not end with
            the first.
    """

    mutant: str
    strategy: str
    seeds: str
    reached: int = 0
    triggered: int = 0
    detected: bool = False
    property: str = ""
    violation: str = ""
    story: str = ""
    seed: int = 0
    worlds: int = 0
    cpu_s: float = 0.0
    failures: tuple[tuple[int, str], ...] = ()

    def to_json(self) -> str:
        """Return it in one line."""
        return json.dumps(asdict(self))


def seed_range(text: str) -> range:
    """Return the seeds of `A:B`, without B; raises ValueError."""
    first, colon, end = text.partition(":")
    if not (colon and first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise ValueError(f"seeds {text!r}: expected A:B, two whole numbers, the second above")
    return range(int(first), int(end))


def property_of(violation: str) -> str:
    """Return the id of what a violation says is violated; `exception` if it names none."""
    head, colon, _ = violation.partition(":")
    match = _ID.fullmatch(head)
    return match[1] if colon and match else "exception"


def run_worlds(
    marks: Marks, strategy: str, seeds: range, cpu_s: float, *, stops: bool = True
) -> Result:
    """Run worlds until one fails, the seeds are used up, or the CPU seconds are spent.

    Args:
        marks: Counts what is reached.
        strategy: One of `STRATEGIES`.
        seeds: Of the worlds.
        cpu_s: CPU seconds; the world in which they end is still run.
        stops: Whether the first world that fails is the last.
    """
    from sim.swarm import draw  # with the mutant, if there is one

    _load()
    failures: list[tuple[int, str]] = []
    began_s, world_s, seed, trial = time.process_time(), 0.0, seeds.start, None
    for seed in seeds:
        marks.begin_world(seed)
        world_began_s = time.process_time()
        trial = draw(seed, strategy)
        if violation := _violation(trial, blames_harness=not stops):
            failures.append((seed, violation))
        world_s = time.process_time() - world_began_s
        if (failures and stops) or time.process_time() - began_s >= cpu_s:
            break
    spent_s = time.process_time() - began_s
    reached, triggered, worlds = marks.times_reached, marks.times_triggered, marks.worlds
    first = failures[0][1] if failures else ""
    shown = trial if failures and stops and world_s < STORY_S else None
    return Result(
        "",
        strategy,
        f"{seeds.start}:{seeds.stop}",
        reached,
        triggered,
        bool(failures),
        property_of(first) if first else "",
        first,
        "" if shown is None else _story(shown),
        seed,
        worlds,
        round(spent_s, 3),
        () if stops else tuple(failures),
    )


def _load() -> None:
    """Load what is otherwise loaded in the first world, whose time would not be its own."""
    from magscope.tracking import load_magtrack

    load_magtrack()
    for module in ("devices.motors", "devices.truth", "rigs", "truth_tracker"):
        import_module(f"sim.{module}")


def _violation(trial: "Trial", *, blames_harness: bool) -> str:
    """Return what a world violates first; a property's own mistake finds no defect."""
    from sim.swarm import run_trial

    try:
        violations = run_trial(trial).violations
        if not blames_harness:
            violations = tuple(v for v in violations if not v.startswith(HARNESS))
    except Exception as error:  # a defect may break what no process of the world is answerable for
        violations = (f"exception: {type(error).__name__}: {error}",)
    return str(violations[0]).partition("\n")[0] if violations else ""


def _story(trial: "Trial") -> str:
    from sim.swarm import run_trial

    with suppress(Exception):
        outcome = run_trial(trial, keep_trace=True)
        return outcome.story().strip().partition("\n")[0]
    return ""


def main(words: Sequence[str] | None = None) -> int:
    """Run trials and print the result of each as one JSON line; exit code 2 for bad input.

    A process that has taken the CPU seconds of one trial begins no other: what worlds leave behind
    in memory stays small.
    """
    parser = argparse.ArgumentParser(prog="python -m sim.power.trial", description=__doc__)
    parser.add_argument("--mutant", default="", metavar="NAME")
    parser.add_argument("--mutants", type=Path, default=MUTANTS, metavar="DIR")
    parser.add_argument("--strategy", default="portfolio", choices=STRATEGIES)
    parser.add_argument("--seeds", action="append", metavar="A:B", help="0:100000")
    parser.add_argument("--cpu-s", type=float, default=60.0, metavar="S")
    parser.add_argument("--all", action="store_true", help="go on after a world that failed")
    parser.add_argument("--marks", type=Path, metavar="FILE", help="where others read the counters")
    given = parser.parse_args(words)
    marks = Marks(_shared(given.marks) if given.marks else None)
    try:
        trials = [seed_range(text) for text in given.seeds or ["0:100000"]]
        mutant = None
        if given.mutant:
            mutant = named(load_mutants(given.mutants), given.mutant)
            install(mutant, marks)
        for seeds in trials:
            marks.begin_trial()
            result = run_worlds(marks, given.strategy, seeds, given.cpu_s, stops=not given.all)
            if mutant is not None:
                triggered = result.triggered if mutant.tells_trigger else result.reached
                result = replace(result, mutant=mutant.name, triggered=triggered)
            print(result.to_json(), flush=True)
            if time.process_time() > given.cpu_s:
                break
    except (MutantError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _shared(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), Marks.size)


if __name__ == "__main__":
    raise SystemExit(main())
