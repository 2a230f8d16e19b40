"""What the router knows of the pool's workers, which the video processor manager starts."""

from dataclasses import dataclass
from typing import Any

from hal.clock import NS_PER_S
from magscope.report import ProcessReport, WorkerView
from magscope.runtime import Foreign, Runtime

STRAY_S = 1.5
LOOK_AGAIN_S = 0.02


@dataclass
class _Worker:
    pid: int
    handle: Foreign
    state: str = "idle"
    stacks: int = 0
    outcome: str = ""
    exit_code: int | None = None
    ended_ns: int | None = None
    traceback: str = ""


class WorkerRoll:
    """Every worker there was, and how it ended.

    When the video processor manager dies, its workers leave by themselves; one that does not is a
    stray, and is killed after `STRAY_S`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._workers: dict[str, _Worker] = {}
        self._orphaned_ns: int | None = None

    def note(self, facts: dict[str, Any], now_ns: int) -> None:
        """Take note of what the video processor manager says of one of its workers."""
        name = facts["name"]
        if name not in self._workers:
            self._workers[name] = _Worker(facts["pid"], self._runtime.foreign(facts["pid"]))
        worker = self._workers[name]
        worker.state = facts["state"]
        worker.stacks = facts["stacks"]
        if worker.state == "gone":
            worker.outcome = facts["outcome"]
            worker.exit_code = facts["exit_code"]
            worker.traceback = facts["traceback"]
            worker.ended_ns = now_ns

    def orphan(self, now_ns: int) -> None:
        """The workers' manager is gone: from now on the router sees to them."""
        self._orphaned_ns = now_ns

    def strays(self) -> list[str]:
        """Return the workers that still run though their manager is gone."""
        if self._orphaned_ns is None:
            return []
        return [n for n, w in self._workers.items() if not w.outcome and not self._has_left(w)]

    def see_off(self, now_ns: int) -> float:
        """Kill the strays when their time is over; return in how many seconds to look again."""
        for name in self.strays():
            if self._orphaned_ns is not None and now_ns - self._orphaned_ns > STRAY_S * NS_PER_S:
                worker = self._workers[name]
                worker.handle.kill()
                worker.outcome, worker.ended_ns = "killed", now_ns
        # Nothing tells when another process' child ends, so it is looked at.
        return LOOK_AGAIN_S

    def views(self) -> tuple[WorkerView, ...]:
        """Return the workers that are there, for a snapshot."""
        alive = [(n, w) for n, w in self._workers.items() if w.state != "gone"]
        return tuple(WorkerView(name, w.state, w.stacks) for name, w in alive)

    def reports(self, quit_ns: int) -> tuple[ProcessReport, ...]:
        """Return how each worker ended."""
        return tuple(
            ProcessReport(
                name,
                worker.outcome or "clean",
                worker.exit_code,
                None
                if worker.ended_ns is None or worker.ended_ns < quit_ns
                else (worker.ended_ns - quit_ns) / NS_PER_S,
                worker.traceback,
            )
            for name, worker in self._workers.items()
        )

    def _has_left(self, worker: _Worker) -> bool:
        if worker.handle.is_alive():
            return False
        worker.state, worker.outcome = "gone", "clean"
        worker.ended_ns = self._runtime.clock.monotonic_ns()
        return True
