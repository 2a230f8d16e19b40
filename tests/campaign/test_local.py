import multiprocessing
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import connection

import psutil
import pytest
from campaign_tools import carried_out, source

from sim.campaign.local import LocalEngine

DEADLINE_S = 30.0


@pytest.fixture
def engine():
    made = []

    def make(name, jobs=1, **options):
        engine = LocalEngine(source(name), jobs, **options)
        engine.batch_seeds = 10
        made.append(engine)
        return engine

    yield make
    for each in made:
        pids = each.pids
        each.close()
        assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_seed_that_ends_its_process_or_never_comes_back_is_named_and_no_other_is_lost(
    tmp_path, engine
):
    stubborn = engine("deadly", patience_s=1.0)
    stubborn.batch_s = 0.1
    stubborn.batch_seeds = stubborn.least_seeds = 30
    idle = next(p for p in multiprocessing.active_children() if p.pid == stubborn.pids[0])
    idle.kill()  # while it has nothing to do: it is replaced
    assert connection.wait([idle.sentinel], DEADLINE_S)  # its pool alone may ask for its exit code
    book, ending = carried_out(tmp_path, "deadly", 30, engine=stubborn)
    assert (ending, len(book.done), book.reached["came back"]) == ("done", 30, 28)
    told = {d.failed.seed: (d.failed.violation, d.worlds) for d in book.distinct()}
    assert told == {
        5: ("simulator: the simulator died: its process ended in the middle of the run", 1),
        25: (
            "simulator: the simulator died: its process did not come to an end, and was killed", 1
        ),
    }  # fmt: skip


def test_workers_leave_when_their_campaign_is_killed():
    program = """
import sys
from sim.campaign.local import LocalEngine
from sim.campaign.source import Source
if __name__ == "__main__":
    engine = LocalEngine(Source(runner="standins:good"), 1)
    print(engine.pids[0], flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    with suppress(psutil.NoSuchProcess):
        worker.wait(DEADLINE_S)


def test_ctrl_c_ends_a_campaign_and_the_same_command_goes_on(tmp_path):
    from sim.campaign.book import RESULTS

    words = [sys.executable, "-m", "campaign_program", str(tmp_path), "waits_after_30", "80"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "waiting\n"
        first.send_signal(signal.SIGINT)
        assert first.stdout.read().startswith("interrupted\n")
    assert first.returncode == 0
    assert 0 < (tmp_path / RESULTS).read_text().count("\n") < 5
    (tmp_path / "go").touch()
    again, ending = carried_out(tmp_path, "waits_after_30", 80)
    here, _ = carried_out(tmp_path / "here", "good", 80)
    assert (ending, again.hash) == ("done", here.hash)
