import json
from pathlib import Path

import pytest
from campaign_tools import HereEngine, carried_out, source

from sim.campaign import drive
from sim.campaign.book import Book
from sim.campaign.drive import Campaign, Goal


def only(book):
    (found,) = book.distinct()
    return found


def test_each_distinct_failure_is_told_once_with_the_number_of_its_worlds(tmp_path):
    book, ending = carried_out(tmp_path, "two_failures", 40)
    assert ending == "done"
    told = {d.failed.property: (d.worlds, d.file) for d in book.distinct()}
    assert {name: worlds for name, (worlds, _) in told.items()} == {"B2": 4, "S7": 1}
    for name, (_, file) in told.items():
        assert file.startswith(f"failures/{name}-")
        assert json.loads((tmp_path / file).read_text())["violation"].startswith(name)


def test_a_failure_is_made_small_and_its_file_replays(tmp_path):
    from sim.world.plan import Failure
    from sim.world.world import run_plan

    book, _ = carried_out(tmp_path, "planted", 2)
    found = only(book)
    assert found.failed.causes == (3, 0)
    assert [path.name for path in (tmp_path / "failures").iterdir()] == [Path(found.file).name]
    failure = Failure.load(tmp_path / found.file)
    assert failure.plan.causes == []
    again = run_plan(failure.plan, stop_at_violation=True)
    assert again.trace_hash == failure.trace_hash
    assert failure.violation in again.violations


def test_a_run_that_differs_when_it_is_repeated_is_a_failure_with_the_first_difference(tmp_path):
    book, _ = carried_out(tmp_path, "fickle", 20)
    found = only(book)
    assert (found.failed.property, found.failed.seed) == ("determinism", 0)
    assert "operation 1:" in found.failed.violation
    assert "take 3" in found.failed.violation
    assert "take 4" in found.failed.violation
    assert (tmp_path / found.file).exists()


def test_one_seed_in_a_hundred_is_run_twice(tmp_path):
    book, _ = carried_out(tmp_path, "good", 3000)
    assert 15 <= book.totals["twice"] <= 50


def test_a_failure_that_does_not_come_again_is_one_of_determinism(tmp_path):
    book, _ = carried_out(tmp_path, "fails_at_first", 4)
    assert only(book).failed.property == "determinism"


def test_an_exception_in_the_simulator_is_a_failure_of_its_seed_alone(tmp_path):
    book, _ = carried_out(tmp_path, "raising", 30)
    found = only(book)
    assert len(book.done) == 30
    assert (found.failed.property, found.failed.seed, found.worlds) == ("simulator", 1, 1)
    assert "LookupError: no such thing (campaign/standins.py:" in found.failed.violation
    assert "--seeds 1:2" in json.loads((tmp_path / found.file).read_text())["again"]


def test_nothing_is_begun_once_the_budget_is_used_up(tmp_path, monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(drive.time, "monotonic", lambda: now_s[0])

    class Slow(HereEngine):
        def wait(self, timeout_s):
            now_s[0] += 3.0
            return super().wait(timeout_s)

    engine = Slow(source("good"), slots=1)
    book, ending = carried_out(tmp_path, "good", 1000, engine=engine, budget_s=10.0)
    assert ending == "budget"
    assert [job.within_s for job in engine.jobs] == [10.0, 7.0, 4.0, 1.0]
    assert len(book.done) == 40


def test_a_job_that_ran_out_of_time_leaves_the_rest_for_another(tmp_path):
    engine = HereEngine(source("good"), batch_s=-1.0)  # one seed, and the time is over
    book, ending = carried_out(tmp_path, "good", 12, engine=engine)
    assert (ending, len(book.done)) == ("done", 12)


def test_without_an_end_a_campaign_goes_on_where_it_was_until_it_is_interrupted(tmp_path):
    for start in (1, 2):
        with Book(tmp_path, source("good")) as book:
            engine = HereEngine(source("good"), slots=1)
            campaign = Campaign(
                book, engine, Goal(), is_interrupted=lambda e=engine: len(e.jobs) == 3
            )
            assert campaign.run() == "interrupted"
            assert len(book.done) == 30 * start


@pytest.mark.parametrize("slots", [1, 3])
def test_the_last_seeds_are_shared_by_all_slots(tmp_path, slots):
    engine = HereEngine(source("good"), slots=slots, batch_seeds=1000)
    carried_out(tmp_path, "good", 60, engine=engine)
    assert max(job.end - job.first for job in engine.jobs) <= 60 / slots / 2
