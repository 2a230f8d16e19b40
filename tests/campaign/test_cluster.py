import os
import signal
from contextlib import suppress

import psutil
import pytest
from campaign_tools import HereEngine, carried_out, source
from distributed import LocalCluster

from sim.campaign.book import Book
from sim.campaign.cluster import ClusterEngine
from sim.campaign.drive import Campaign, Goal
from sim.campaign.engine import EngineError


@pytest.fixture
def cluster(standins_everywhere):
    """A scheduler and two worker processes on this machine."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
        dashboard_address=":0",
    ) as cluster:  # fmt: skip
        yield cluster


def test_nothing_is_lost_or_counted_twice_when_a_worker_is_killed(tmp_path, cluster):
    what = source("waits_for_its_worker_s_death")
    mark = tmp_path / "worker"
    killed = []

    def kill_the_worker_of_seed_12():
        if mark.exists() and not killed:
            killed.append(int(mark.read_text()))
            assert killed[0] in {worker.pid for worker in cluster.workers.values()}
            os.kill(killed[0], signal.SIGKILL)
        return False

    with (
        Book(tmp_path / "dask", what) as book,
        ClusterEngine(what, cluster.scheduler_address) as engine,
    ):
        assert engine.slots == 2
        engine.batch_seeds = engine.least_seeds = 20
        campaign = Campaign(book, engine, Goal(0, 40), is_interrupted=kill_the_worker_of_seed_12)
        assert campaign.run() == "done"
    assert killed
    here, _ = carried_out(tmp_path / "here", "good", 40, engine=HereEngine(source("good")))
    assert (book.hash, len(book.done), book.reached) == (here.hash, 40, here.reached)
    assert book.failed_worlds == 0
    with suppress(psutil.NoSuchProcess):  # what that worker had begun has left as well
        psutil.Process(int((tmp_path / "batch").read_text())).wait(30)


def test_a_scheduler_that_does_not_answer_is_one_clear_line(monkeypatch):
    monkeypatch.setattr("sim.campaign.cluster.CONNECT_S", 0.2)
    with pytest.raises(EngineError, match="no Dask scheduler answers there"):
        ClusterEngine(source("good"), "tcp://127.0.0.1:9")
    with pytest.raises(EngineError, match="expected an address"):
        ClusterEngine(source("good"), "nonsense://1")
