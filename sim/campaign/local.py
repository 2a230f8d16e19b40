"""Jobs in processes of this machine."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import psutil

from sim.campaign.engine import Engine, EngineError, Finished
from sim.campaign.source import Source
from sim.campaign.work import Job, Result, perform

BATCH_SEEDS = 100
BATCH_S = 2.0
PATIENCE_S = 120.0


@dataclass
class _Slot:
    """One process at a time; a pool of its own tells whose job it was that killed it."""

    pool: ProcessPoolExecutor
    pid: int
    job: Job | None = None
    until_s: float = 0.0
    overdue: bool = False


class LocalEngine(Engine):
    """Each slot is a fresh Python process that carries out one job after the other.

    Args:
        source: What is run.
        jobs: How many processes; one for each core if None.
        patience_s: How much longer than asked for a job may take until its process is killed.
    """

    def __init__(
        self, source: Source, jobs: int | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        self.slots = jobs or os.cpu_count() or 1
        self.batch_seeds, self.batch_s = BATCH_SEEDS, BATCH_S
        self._source = source
        self._patience_s = patience_s
        self._slots: list[_Slot] = []
        self._running: dict[Future[list[Result]], _Slot] = {}
        begun = [_begin() for _ in range(self.slots)]
        try:
            for pool, pid in begun:
                self._slots.append(_Slot(pool, pid.result()))
        except BrokenProcessPool as error:
            for pool, _ in begun:
                pool.shutdown()
            raise EngineError(f"no worker process can be started: {error}") from error

    @property
    def pids(self) -> list[int]:
        """The ids of the worker processes."""
        return [slot.pid for slot in self._slots]

    def submit(self, job: Job) -> None:
        """Begin a job in a process that has none."""
        slot = next(slot for slot in self._slots if slot.job is None)
        slot.job, slot.overdue = job, False
        slot.until_s = time.monotonic() + job.within_s + self._patience_s
        try:
            future = slot.pool.submit(perform, self._source, job)
        except BrokenProcessPool:  # somebody killed it while it had nothing to do
            self._replace(slot)
            future = slot.pool.submit(perform, self._source, job)
        self._running[future] = slot

    def wait(self, timeout_s: float) -> list[Finished]:
        """Return the jobs that are over, after a time-out none."""
        until_s = min((slot.until_s for slot in self._running.values()), default=float("inf"))
        timeout_s = max(0.0, min(timeout_s, until_s - time.monotonic()))
        done, _ = wait(self._running, timeout_s, return_when=FIRST_COMPLETED)
        for slot in self._running.values():
            if time.monotonic() > slot.until_s and not slot.overdue:
                slot.overdue = True
                _kill(slot.pid)
        return [self._finished(future) for future in done]

    def _finished(self, future: Future[list[Result]]) -> Finished:
        slot = self._running.pop(future)
        job, slot.job = slot.job, None
        assert job is not None
        try:
            return Finished(job, tuple(future.result()))
        except BrokenProcessPool:
            death = "its process ended in the middle of the run"
            if slot.overdue:
                death = "its process did not come to an end, and was killed"
        self._replace(slot)
        return Finished(job, death=death)

    def _replace(self, slot: _Slot) -> None:
        slot.pool.shutdown()
        slot.pool, pid = _begin()
        try:
            slot.pid = pid.result()
        except BrokenProcessPool as error:
            raise EngineError(f"no worker process can be started: {error}") from error

    def close(self) -> None:
        """Kill what still runs, and wait until all are gone."""
        for slot in self._running.values():
            _kill(slot.pid)
        for slot in self._slots:
            slot.pool.shutdown(cancel_futures=True)
        self._running.clear()
        self._slots.clear()


def _begin() -> tuple[ProcessPoolExecutor, "Future[int]"]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_settle_in)
    return pool, pool.submit(os.getpid)


def _settle_in() -> None:
    """Leave Ctrl-C to the parent, and leave with it: a pool's process would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()


def _leave_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _kill(pid: int) -> None:
    try:
        psutil.Process(pid).kill()
    except psutil.NoSuchProcess:
        return
