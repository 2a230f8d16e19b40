"""How many worlds a second the harness looks through, and how fast a failure is made small.

A *shutdown world* is a system that starts and is told to quit at some moment, by somebody, while
something goes wrong. A *pipeline world* is one that takes 100 frames a second for 2 virtual
seconds, with faults. All properties are checked in both. Beside them, in the same run: the same
worlds with no property watching, and with nothing going wrong.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sim.properties import Property
from sim.swarm import Trial, draw, run_trial
from sim.world.trace import Step
from sim.world.world import Outcome, minimised

WANTED = {"shutdown": 200.0, "pipeline": 100.0}


class NobodyDies(Property):
    """A property that does not hold, so that there is something to be made small."""

    id = "nobody dies"
    title = "no process is killed"
    sites = frozenset({"process.end"})

    def step(self, step: Step) -> None:
        """See a process end."""
        if step.detail == "-9":
            self.violate(f"{step.process} was killed.")


def trials(count: int, wanted: Callable[[Trial], bool], first: int = 0) -> list[Trial]:
    """Return so many trials of the portfolio that are wanted."""
    found: list[Trial] = []
    seed = first
    while len(found) < count:
        trial = draw(seed)
        if wanted(trial):
            found.append(trial)
        seed += 1
    return found


def is_small(trial: Trial) -> bool:
    """Whether a trial has no motors, and records nothing."""
    work = trial.workload
    return not work.records and "[motors.f" not in work.rig and "[motors.m" not in work.rig


def shutdowns(count: int) -> list[Trial]:
    """Return trials whose system quits as soon as it may."""
    return [
        replace(trial, workload=replace(trial.workload, for_s=0.05))
        for trial in trials(count, is_small)
    ]


def pipelines(count: int) -> list[Trial]:
    """Return trials that take frames for 2 virtual seconds."""

    def is_wanted(trial: Trial) -> bool:
        rig = trial.workload.rig
        return is_small(trial) and "framerate_hz = 100" in rig and "on = true" in rig

    return [
        replace(trial, workload=replace(trial.workload, for_s=2.0))
        for trial in trials(count, is_wanted)
    ]


def worlds_a_second(each: Iterable[Trial], **options: Any) -> tuple[float, float, float]:
    """Return worlds, and operations, a CPU second, and the mean virtual seconds of a world."""
    begin, count, steps, virtual_s = time.process_time(), 0, 0, 0.0
    for trial in each:
        outcome = run_trial(trial, **options)
        count, steps = count + 1, steps + outcome.steps
        virtual_s += outcome.virtual_s
    seconds = time.process_time() - begin
    return count / seconds, steps / seconds, virtual_s / count


def unharmed(each: Iterable[Trial]) -> list[Trial]:
    """Return the trials with nothing going wrong."""
    return [
        replace(
            t, workload=replace(t.workload, actions=()), faults=type(t.faults)(), schedule="fifo"
        )
        for t in each
    ]


def failures(count: int) -> list[Outcome]:
    """Return runs in which somebody dies, for several reasons each."""
    found: list[Outcome] = []
    for trial in trials(10 * count, lambda trial: len(trial.faults) > 1 and is_small(trial)):
        outcome = run_trial(trial, properties=[NobodyDies])
        if outcome.violations and len(found) < count:
            found.append(outcome)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=300)
    parser.add_argument("--quick", action="store_true", help="a few worlds, to see it work")
    arguments = parser.parse_args()
    count = 5 if arguments.quick else arguments.worlds
    print(f"{'':36}{'worlds/s':>10}{'wanted':>8}{'operations/s':>14}{'virtual s':>11}")
    for name, each in (("shutdown", shutdowns(count)), ("pipeline", pipelines(count))):
        worlds_a_second(each[:5])  # whatever is loaded once
        for words, those, options in (
            ("all properties", each, {}),
            ("no property", each, {"properties": ()}),
            ("all properties, nothing goes wrong", unharmed(each), {}),
        ):
            worlds, steps, virtual_s = worlds_a_second(those, **options)
            wanted = f"{WANTED[name]:8.0f}" if words == "all properties" else f"{'':8}"
            print(f"{f'{name}: {words}':36}{worlds:10.1f}{wanted}{steps:14.0f}{virtual_s:11.2f}")
    seconds, sizes = [], []
    for outcome in failures(2 if arguments.quick else 30):
        begin = time.process_time()
        smaller, runs = minimised(outcome, properties=[NobodyDies])
        seconds.append(time.process_time() - begin)
        sizes.append((len(outcome.plan.causes), len(smaller.plan.causes), runs))
    before, after, runs = (statistics.median(column) for column in zip(*sizes, strict=True))
    print(
        f"\nmade small: {len(seconds)} failures, median {statistics.median(seconds):.2f} CPU s "
        f"(wanted 5), largest {max(seconds):.2f} s; median {before:.0f} causes to {after:.0f} in "
        f"{runs:.0f} runs"
    )


if __name__ == "__main__":
    main()
