"""The seam between a campaign and the processes that carry out its jobs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType

from sim.campaign.work import Job, Result


class EngineError(RuntimeError):
    """No job can be carried out any more; the text says why, and what to do."""


@dataclass(frozen=True)
class Finished:
    """A job that is over.

    Attributes:
        results: Of as many of its seeds as there was time for, in order.
        death: How its process died; then there are no results. Empty if it did not.
    """

    job: Job
    results: tuple[Result, ...] = ()
    death: str = ""


class Engine(ABC):
    """Carries out jobs, several at a time, and hands over what came of each exactly once.

    A context manager: what still runs at its end is ended.

    Attributes:
        slots: How many jobs it takes at a time.
        batch_seeds: How many seeds a job should have at most.
        least_seeds: How many are worth a job, where there are so many left.
        batch_s: How many seconds a job should take at most.
    """

    slots: int
    batch_seeds: int
    least_seeds: int = 1
    batch_s: float

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Begin a job; there is a free slot."""

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Finished]:
        """Return the jobs that are over, as soon as there is one; none after the time-out.

        Raises:
            EngineError: It can not go on.
        """

    @abstractmethod
    def close(self) -> None:
        """End what still runs."""

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
