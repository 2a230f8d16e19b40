import json

import pytest
import typer
from typer.testing import CliRunner

from sim.power import alarms as alarms_module
from sim.power import score as score_module
from sim.power.alarms import SEEDS_A_CHUNK, chunks, run_alarms, upper_bound
from sim.power.commands import power
from sim.power.mutants import Change, Mutant
from sim.power.results import Results
from sim.power.score import jobs_of, run_jobs, score, summary
from sim.power.trial import Result
from sim.power.watchdog import TrialError

MUTANT = Mutant("a-defect", "It is wrong.", ("R1",), (Change("hal/x.py", "a", "__reached__()"),))
OTHER = Mutant("b-defect", "It is wrong.", ("R1",), (Change("hal/x.py", "b", "__reached__()"),))


def _result(cpu_s, detected, worlds=10, property_="R1", **facts):
    property_ = property_ if detected else ""
    return Result(
        "a-defect", "fifo", "0:9", reached=1, detected=detected, property=property_,
        worlds=worlds, cpu_s=cpu_s, **facts,
    )  # fmt: skip


def test_a_score_counts_and_takes_medians_of_what_is_censored():
    results = [
        _result(1.0, True, 5, triggered=2, violation="R1: soon"),
        _result(3.0, True, 20, "S1"),
        _result(2.0, True, 9),
        _result(60.4, False, 300),
        _result(60.1, False, 310),
    ]
    found = score(MUTANT, "fifo", results, 60.0)
    assert (found.trials, found.reached, found.triggered, found.detected) == (5, 5, 1, 3)
    assert (found.worlds, found.cpu_s) == (20, 3.0)
    assert (found.property, found.is_expected, found.example) == ("R1", True, "R1: soon")
    assert 0 < found.low < 0.6 < found.high < 1


def test_a_mutant_that_is_found_by_less_than_half_has_no_median():
    found = score(MUTANT, "fifo", [_result(1.0, True), _result(60, False), _result(60, False)], 60)
    assert found.cpu_s is None
    facts = summary([found])
    assert (facts["found"], facts["found_ever"], facts["is_aim_reached"]) == (0, 1, False)


def test_another_property_than_the_expected_is_told_apart():
    assert not score(MUTANT, "fifo", [_result(1.0, True, property_="S1")], 60.0).is_expected


def test_the_aim_is_that_95_percent_are_found():
    good = [score(MUTANT, "fifo", [_result(1.0, True)], 60.0)] * 19
    bad = score(MUTANT, "fifo", [_result(60.0, False)], 60.0)
    assert summary([*good, bad])["is_aim_reached"]
    assert not summary([*good, bad, bad])["is_aim_reached"]


def test_trials_of_one_number_have_the_same_seeds():
    jobs = jobs_of([MUTANT, OTHER], ["fifo", "pos"], 2, 60.0, first_seed=7)
    assert len(jobs) == 8
    assert {job.seeds.start for job in jobs} == {7, 100_007}
    assert len({job.key for job in jobs}) == 8


def test_results_are_kept_and_not_measured_again(tmp_path, monkeypatch):
    ran = []

    def run(mutant, directory, strategy, trials, cpu_s):
        ran.extend(seeds.start for seeds in trials)
        return [_result(1.0, True, failures=((3, "R1: x"),))] * len(trials)

    monkeypatch.setattr(score_module, "run_trials", run)
    path, jobs = tmp_path / "results.jsonl", jobs_of([MUTANT], ["fifo"], 2, 60.0)
    first = list(run_jobs(jobs, tmp_path, Results(path), at_once=2))
    with path.open("a") as file:
        file.write('{"key": "cut o')
    more = jobs_of([MUTANT], ["fifo"], 3, 60.0)
    again = list(run_jobs(more, tmp_path, Results(path), at_once=2))
    assert sorted(ran) == [0, 100_000, 200_000]
    assert len(first) == 2
    assert [result for _, result in again] == [_result(1.0, True, failures=((3, "R1: x"),))] * 3


def test_a_process_does_a_few_trials_of_one_kind_and_every_kind_gets_its_turn(
    tmp_path, monkeypatch
):
    ran = []

    def run(mutant, directory, strategy, trials, cpu_s):
        ran.append((mutant.name, strategy, [seeds.start // 100_000 for seeds in trials]))
        return [_result(float(seeds.start), True) for seeds in trials]

    monkeypatch.setattr(score_module, "run_trials", run)
    jobs = jobs_of([MUTANT, OTHER], ["fifo", "pos"], 7, 60.0)
    done = list(run_jobs(jobs, tmp_path, Results(), at_once=1))
    kinds = [(m.name, s) for m in (MUTANT, OTHER) for s in ("fifo", "pos")]
    assert sorted(ran[:4]) == sorted((*kind, [0, 1, 2, 3, 4]) for kind in kinds)
    assert sorted(ran[4:]) == sorted((*kind, [5, 6]) for kind in kinds)
    assert len(done) == len(jobs)
    assert all(result.cpu_s == job.seeds.start for job, result in done)


def test_a_result_is_not_taken_for_that_of_other_code(tmp_path):
    one, other = (jobs_of([MUTANT], ["fifo"], 1, 60.0, code=code)[0] for code in ("a", "b"))
    assert one.key != other.key


def test_a_trial_without_a_result_ends_the_measurement(tmp_path, monkeypatch):
    def fail(*_):
        raise TrialError("it said nothing")

    monkeypatch.setattr(score_module, "run_trials", fail)
    with pytest.raises(TrialError):
        list(run_jobs(jobs_of([MUTANT], ["fifo"], 2, 60.0), tmp_path, Results(), at_once=1))


def test_false_alarms_are_looked_for_in_ranges_and_resumed(tmp_path, monkeypatch):
    ran = []

    def run(mutant, directory, strategy, trials, cpu_s, stops):
        assert mutant is None
        assert not stops
        (seeds,) = trials
        ran.append((seeds.start, seeds.stop))
        return [_result(1.0, False, len(seeds))]

    monkeypatch.setattr(alarms_module, "run_trials", run)
    path = tmp_path / "results.jsonl"

    def worlds_of(n):
        parts = run_alarms("fifo", range(n), tmp_path, Results(path), code="c", at_once=1)
        return sum(part.worlds for part in parts)

    assert worlds_of(2 * SEEDS_A_CHUNK) == 2 * SEEDS_A_CHUNK
    assert worlds_of(3 * SEEDS_A_CHUNK) == 3 * SEEDS_A_CHUNK
    assert ran == [(part.start, part.stop) for part in chunks(range(3 * SEEDS_A_CHUNK))]


def test_the_bound_without_failures_is_the_rule_of_three():
    assert upper_bound(0, 100_000) == pytest.approx(3.0 / 100_000, rel=2e-3)
    assert upper_bound(1, 100_000) == upper_bound(0, 0) == 1.0


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(power)
    return lambda *words: CliRunner().invoke(app, words)


def test_the_command_prints_a_table_and_what_it_comes_to(command, monkeypatch):
    monkeypatch.setattr(
        score_module,
        "run_trials",
        lambda mutant, _directory, _strategy, trials, _cpu_s: [
            _result(1.0, mutant.name == "channel-overtakes", property_="B1") for _ in trials
        ],
    )
    words = ("--only", "channel-overtakes", "--trials", "2", "--jobs", "1")
    done = command(*words, "--strategy", "portfolio", "--strategy", "happy")
    assert done.exit_code == 0, done.output
    assert "channel-overtakes" in done.output
    assert "B1 *" in done.output
    assert "found by at least half of their trials within 60 CPU-s: 1 (100.0 %)" in done.output
    again = command("--only", "channel-refuses-what-it-queues", "--trials", "1", "--json")
    assert again.exit_code == 1
    facts = json.loads(again.output)["strategies"]["portfolio"]
    assert facts["summary"]["found"] == 0
    assert facts["mutants"][0]["mutant"] == "channel-refuses-what-it-queues"


def test_the_command_reports_false_alarms(command, monkeypatch):
    def run(*_, **__):
        return [_result(2.0, False, 250, failures=((12, "R1: a ghost"),))]

    monkeypatch.setattr(alarms_module, "run_trials", run)
    done = command("--false-alarms", "250", "--jobs", "1")
    assert done.exit_code == 1
    assert "seed 12: R1: a ghost" in done.output
    assert "1 false alarms" in done.output


@pytest.mark.parametrize(
    "words", [("--strategy", "luck"), ("--cpu-s", "0"), ("--only", "no-such"), ("--mutants", "/no")]
)
def test_the_command_refuses_bad_input(command, words):
    done = command(*words)
    assert done.exit_code == 1
    assert type(done.exception).__name__ == "BadInputError"
