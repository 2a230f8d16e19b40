"""A campaign: hands out seeds, takes down what comes of them, makes small what failed."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from sim.campaign.book import Book, Distinct, Found
from sim.campaign.engine import Engine, Finished
from sim.campaign.work import MINIMISE_S, Job, Result, died

Ending = Literal["done", "budget", "interrupted"]

REFRESH_S = 0.25
ONE_IN = 100


@dataclass(frozen=True)
class Goal:
    """When a campaign is over.

    Attributes:
        first: The first seed.
        end: The first seed that is not run; None: there is none.
        budget_s: Seconds after which nothing new is begun; None: as long as it takes.
    """

    first: int = 0
    end: int | None = None
    budget_s: float | None = None


@dataclass(frozen=True)
class Progress:
    """How far a campaign is.

    Attributes:
        done: Seeds of the goal that were run, in earlier starts too.
        worlds: Worlds that were run since this start.
        elapsed_s: Seconds since this start.
        minimising: How many failures are being made small.
        distinct: What failed.
    """

    goal: Goal
    done: int
    worlds: int
    elapsed_s: float
    minimising: int
    distinct: tuple[Distinct, ...]


class Campaign:
    """Runs worlds on an engine until the goal is reached.

    Args:
        book: Where results go, and what there is already.
        engine: What carries jobs out.
        goal: When it is over.
        is_interrupted: Asked now and then.
        show: Called with the progress now and then.
    """

    def __init__(
        self,
        book: Book,
        engine: Engine,
        goal: Goal,
        *,
        is_interrupted: Callable[[], bool] = lambda: False,
        show: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self.book = book
        self.engine = engine
        self.goal = goal
        self._is_interrupted = is_interrupted
        self._show = show
        self._next = goal.first
        self._again: deque[tuple[int, int]] = deque()
        self._suspects: set[int] = set()
        self._minimising: dict[int, Found] = {}
        self._in_flight = 0
        self._worlds = 0
        self._began_s = time.monotonic()

    def run(self) -> Ending:
        """Run until the goal is reached, and say how it ended."""
        self._began_s = time.monotonic()
        while True:
            if self._is_interrupted():
                return "interrupted"
            while self._in_flight < self.engine.slots and (job := self._next_job()):
                self.engine.submit(job)
                self._in_flight += 1
            if not self._in_flight:
                return "budget" if self._left_s <= 0 and not self._is_done else "done"
            for finished in self.engine.wait(REFRESH_S):
                self._in_flight -= 1
                self._take(finished)
            self._show(self.progress)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            goal=self.goal,
            done=self.book.done.count(self.goal.first, self.goal.end),
            worlds=self._worlds,
            elapsed_s=time.monotonic() - self._began_s,
            minimising=len(self._minimising),
            distinct=tuple(self.book.distinct()),
        )

    @property
    def _left_s(self) -> float:
        if self.goal.budget_s is None:
            return float("inf")
        return self.goal.budget_s - (time.monotonic() - self._began_s)

    @property
    def _is_done(self) -> bool:
        end = self.goal.end
        if end is None or self.book.to_minimise:
            return False
        return self.book.done.count(self.goal.first, end) == end - self.goal.first

    def _next_job(self) -> Job | None:
        left_s = self._left_s
        if left_s <= 0:
            return None
        within_s = min(self.engine.batch_s, left_s)
        for found in self.book.to_minimise:
            seed = found.failed.seed
            if seed not in self._minimising:
                self._minimising[seed] = found
                return Job(
                    seed,
                    seed + 1,
                    "minimise",
                    within_s=min(left_s, MINIMISE_S),
                    trace_hash=found.trace_hash,
                )
        if self._again:
            first, end = self._again.popleft()
        else:
            size = self.engine.batch_seeds
            if self.goal.end is not None:  # the last ones are shared by all
                each = (self.goal.end - self._next) // (2 * self.engine.slots)
                size = max(self.engine.least_seeds, min(size, each))
            missing = self.book.done.missing(self._next, self.goal.end, size)
            first, end = next(missing, (self._next, self._next))
            if first == end:
                return None
            self._next = end
        twice = tuple(seed for seed in range(first, end) if self._is_run_twice(seed))
        return Job(first, end, twice=twice, within_s=within_s)

    def _is_run_twice(self, seed: int) -> bool:
        if seed == self.goal.first:
            return True
        digest = blake2b(str(seed).encode(), digest_size=4).digest()
        return int.from_bytes(digest) % ONE_IN == 0

    def _take(self, finished: Finished) -> None:
        job = finished.job
        if job.do == "minimise":
            found = self._minimising.pop(job.first)
            small = finished.results[0].failed if finished.results else None
            self.book.add_minimised(found.failed.digest, small or found.failed)
        elif finished.death:
            self._take_death(job, finished.death)
        else:
            self.book.add(job.first, finished.results)
            self._worlds += len(finished.results)
            stopped = job.first + len(finished.results)
            if stopped < job.end:
                self._again.append((stopped, job.end))

    def _take_death(self, job: Job, how: str) -> None:
        """Run each seed alone, to see which one it was; one that does it again is a failure."""
        if job.end - job.first == 1 and job.first in self._suspects:
            self._suspects.discard(job.first)
            self.book.add(job.first, [Result(job.first, failed=died(job.first, how))])
            self._worlds += 1
            return
        seeds = range(job.first, job.end)
        self._suspects.update(seeds)
        self._again.extendleft((seed, seed + 1) for seed in reversed(seeds))
