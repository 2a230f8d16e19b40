"""Jobs on a Dask cluster: each task starts a process of its own, as a person would."""

import json
import logging
from importlib import import_module
from typing import Any

from sim.campaign.engine import Engine, EngineError, Finished
from sim.campaign.source import PLAN, Source, code_fingerprint
from sim.campaign.task import run_batch
from sim.campaign.work import Job, Result

BATCH_SEEDS = 500
LEAST_SEEDS = 50  # as the start of a process takes a second
BATCH_S = 10.0
PATIENCE_S = 120.0
CONNECT_S = 10.0
REFUSED = 2


class ClusterEngine(Engine):
    """Hands jobs to a Dask scheduler; a worker that dies costs time, and nothing else.

    Dask gives a dead worker's tasks to another one. A task begins `python -m sim.campaign.batch`:
    Dask's workers may be daemonic, which have no children by way of `multiprocessing`, and what
    takes its process with it does not take Dask's worker.

    Args:
        source: What is run.
        scheduler: Its address, as `tcp://10.0.0.5:8786`; None: a cluster of this machine's own.
        jobs: How many at a time; if None as many as the workers have threads.
    """

    def __init__(
        self, source: Source, scheduler: str | None = None, jobs: int | None = None
    ) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError as error:
            raise EngineError(
                "--engine dask needs Dask: python -m pip install 'magscope-rig[dask]'"
            ) from error
        self.batch_seeds, self.batch_s = BATCH_SEEDS, BATCH_S
        self.least_seeds = LEAST_SEEDS
        self._source = source
        self._running: dict[Any, Job] = {}
        self._dask = distributed
        self._cluster = None
        if scheduler is None:
            self._cluster = distributed.LocalCluster(
                n_workers=jobs, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0",
                silence_logs=logging.ERROR, preload=["sim.campaign.task"],
            )  # fmt: skip
        try:
            self._client = distributed.Client(self._cluster or scheduler, timeout=CONNECT_S)
        except (OSError, ValueError) as error:
            raise EngineError(
                f"--scheduler {scheduler}: no Dask scheduler answers there within "
                f"{CONNECT_S:g} s; expected an address as tcp://10.0.0.5:8786"
            ) from error
        threads = sum(self._client.nthreads().values())
        if not threads:
            self.close()
            raise EngineError(f"--scheduler {scheduler}: it has no workers; start one first")
        self.slots = min(jobs or threads, threads)

    def submit(self, job: Job) -> None:
        """Begin a job on whatever worker is free."""
        words = [
            "--leash",
            "--seeds",
            f"{job.first}:{job.end}",
            "--within",
            str(job.within_s),
            "--json",
        ]
        words += ["--code", code_fingerprint()]
        words += ["-" if word == "FILE" else word for word in self._source.words]
        if job.twice:
            words += ["--twice", *map(str, job.twice)]
        if job.do == "minimise":
            words += ["--minimise", job.trace_hash]
        text = f"{self._source.plan}\n" if self._source.runner == PLAN else ""
        future = self._client.submit(
            run_batch, words, text, job.within_s + PATIENCE_S, pure=False, retries=0
        )
        self._running[future] = job

    def wait(self, timeout_s: float) -> list[Finished]:
        """Return the jobs that are over, after a time-out none."""
        try:
            done = self._dask.wait(
                list(self._running), timeout=timeout_s, return_when="FIRST_COMPLETED"
            ).done
        except (TimeoutError, self._dask.TimeoutError):
            return []
        return [self._finished(future) for future in done]

    def _finished(self, future: Any) -> Finished:
        job = self._running.pop(future)
        try:
            code, lines, last = future.result()
        except self._dask.KilledWorker as error:
            return Finished(job, death=f"it took several of Dask's workers with it: {error}")
        except Exception as error:  # a worker's own, or that the scheduler has left
            raise EngineError(
                f"Dask can not go on: {type(error).__name__}: {error}; the same command goes on "
                "where this ended"
            ) from error
        finally:
            future.release()
        if code == REFUSED:
            raise EngineError(f"a worker refuses: {last}")
        if code is None:
            return Finished(job, death="its process did not come to an end, and was killed")
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            return Finished(job, death=f"{how}{': ' if last else ''}{last}")
        return Finished(job, tuple(Result.from_json(json.loads(line)) for line in lines))

    def close(self) -> None:
        """Take back what still waits; what runs ends by itself, soon, and nobody hears of it."""
        self._client.cancel(list(self._running))
        self._running.clear()
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
