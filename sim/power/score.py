"""What many trials say of each mutant."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.power.mutants import Mutant, digest
from sim.power.results import Results
from sim.power.statistics import censored_median, wilson
from sim.power.trial import Result
from sim.power.watchdog import TrialError, run_trials

SEEDS_A_TRIAL = 100_000
TRIALS_A_PROCESS = 5  # the program is loaded once for them


@dataclass(frozen=True)
class Job:
    """One trial to be done; `code` is a digest of the code that has the defect."""

    mutant: Mutant
    strategy: str
    seeds: range
    cpu_s: float
    code: str = ""

    @property
    def key(self) -> str:
        """What is the same only for a trial of the same defect, code, seeds and budget."""
        seeds = f"{self.seeds.start}:{self.seeds.stop}"
        parts = (digest([self.mutant])[:16], self.code, self.strategy, seeds, f"{self.cpu_s:g}")
        return " ".join(parts)


@dataclass(frozen=True)
class Score:
    """What the trials of one mutant with one strategy say.

    Attributes:
        trials: How many there were.
        reached: In how many the mutated lines ran.
        triggered: In how many they made a difference, where that can be told.
        detected: In how many a world failed within the CPU seconds.
        low: Lower end of the 95 % interval for the share that is detected.
        high: Its upper end.
        property: What was violated most often.
        is_expected: Whether that is one of the properties that the mutant names.
        worlds: Median of the worlds that it took, censored; None if half did not detect it.
        cpu_s: Median of the CPU seconds, likewise.
        example: The violation of the trial that was quickest.
    """

    mutant: str
    strategy: str
    trials: int
    reached: int
    triggered: int
    detected: int
    low: float
    high: float
    property: str
    is_expected: bool
    worlds: float | None
    cpu_s: float | None
    example: str = ""


def jobs_of(
    mutants: Iterable[Mutant],
    strategies: Iterable[str],
    trials: int,
    cpu_s: float,
    *,
    first_seed: int = 0,
    code: str = "",
) -> list[Job]:
    """Return every trial; those of one number have the same seeds, so that they can be compared."""
    strategies = list(strategies)
    starts = [first_seed + number * SEEDS_A_TRIAL for number in range(trials)]
    return [
        Job(mutant, strategy, range(start, start + SEEDS_A_TRIAL), cpu_s, code)
        for start in starts
        for strategy in strategies
        for mutant in mutants
    ]


def run_jobs(
    jobs: Sequence[Job], directory: Path, results: Results, *, at_once: int
) -> Iterator[tuple[Job, Result]]:
    """Do the trials that have no result yet, so many at once; yield each as it is done.

    Raises:
        TrialError: A trial's process ended without a result.
    """
    waiting = []
    for job in jobs:
        known = results.get(job.key)
        if known is None:
            waiting.append(job)
        else:
            yield job, known
    with ThreadPoolExecutor(at_once) as pool:  # its threads only wait for processes
        futures = {pool.submit(_run_some, some, directory): some for some in _alike(waiting)}
        try:
            for future in as_completed(futures):
                for job, result in zip(futures[future], future.result(), strict=True):
                    results.add(job.key, result)
                    yield job, result
        except (TrialError, KeyboardInterrupt):
            pool.shutdown(cancel_futures=True)
            raise


def _alike(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Yield the jobs that one process can do, a few at a time; all kinds get their turn."""
    kinds: dict[tuple[str, str, float], list[Job]] = {}
    for job in jobs:
        kinds.setdefault((job.mutant.name, job.strategy, job.cpu_s), []).append(job)
    longest = max((len(of_one) for of_one in kinds.values()), default=0)
    for first in range(0, longest, TRIALS_A_PROCESS):
        parts = (of_one[first : first + TRIALS_A_PROCESS] for of_one in kinds.values())
        yield from (part for part in parts if part)


def _run_some(jobs: Sequence[Job], directory: Path) -> list[Result]:
    one = jobs[0]
    return run_trials(one.mutant, directory, one.strategy, [j.seeds for j in jobs], one.cpu_s)


def score(mutant: Mutant, strategy: str, results: Sequence[Result], cpu_s: float) -> Score:
    """Return what the trials of a mutant with a strategy say."""
    found = [r for r in results if r.detected]
    ids = Counter(r.property for r in found)
    quickest = min(found, key=lambda r: r.cpu_s, default=None)
    most = ids.most_common(1)[0][0] if ids else ""
    low, high = wilson(len(found), len(results))
    return Score(
        mutant.name,
        strategy,
        len(results),
        sum(r.reached > 0 for r in results),
        sum(r.triggered > 0 for r in results),
        len(found),
        low,
        high,
        most,
        most in mutant.properties,
        censored_median((r.worlds, r.detected) for r in results),
        censored_median((min(r.cpu_s, cpu_s), r.detected) for r in results),
        quickest.violation if quickest is not None else "",
    )


def summary(scores: Sequence[Score]) -> dict[str, Any]:
    """Return what the scores of one strategy say together.

    A mutant counts as found if at least half of its trials found it, which is what a median within
    the budget means. The aim is that 95 % are.
    """
    trials, detected = sum(s.trials for s in scores), sum(s.detected for s in scores)
    low, high = wilson(detected, trials)
    found = sum(s.cpu_s is not None for s in scores)
    return {
        "mutants": len(scores),
        "reached": sum(s.reached > 0 for s in scores),
        "triggered": sum(s.triggered > 0 for s in scores),
        "found": found,
        "found_always": sum(s.detected == s.trials for s in scores),
        "found_ever": sum(s.detected > 0 for s in scores),
        "share_found": found / len(scores) if scores else 0.0,
        "trials": trials,
        "detected": detected,
        "low": low,
        "high": high,
        "is_aim_reached": bool(scores) and found >= 0.95 * len(scores),
    }
