import subprocess
import sys
from pathlib import Path

import pytest

from sim import swarm
from sim.power import trial
from sim.power.hook import Marks
from sim.power.mutants import chosen, load_mutants
from sim.power.trial import main, property_of, run_worlds, seed_range
from sim.power.watchdog import TrialError, _watch, run_trials

MUTANTS = Path(__file__).parent / "mutants"
TOP = MUTANTS.parents[2]


class _Outcome:
    def __init__(self, *violations):
        self.violations = violations


@pytest.fixture
def worlds(monkeypatch):
    """Worlds that cost nothing: a function of the seed gives their violations."""
    ran = []

    def prepare(violation_of):
        def run(seed, **_):
            ran.append(seed)
            return _Outcome(*violation_of(seed))

        monkeypatch.setattr(trial, "_load", lambda: None)
        monkeypatch.setattr(swarm, "draw", lambda seed, strategy: seed)
        monkeypatch.setattr(swarm, "run_trial", run)
        return ran

    return prepare


def test_a_trial_ends_with_the_first_world_that_fails(worlds):
    ran = worlds(lambda seed: ["R1: message 3 is missing\nmore of it"] if seed == 7 else [])
    result = run_worlds(Marks(), "portfolio", range(5, 100), 60.0)
    assert ran[:3] == [5, 6, 7]
    assert (result.detected, result.property, result.worlds, result.seed) == (True, "R1", 3, 7)
    assert result.violation == "R1: message 3 is missing"
    assert result.seeds == "5:100"


def test_a_trial_ends_when_its_time_is_spent(worlds):
    worlds(lambda _: [])
    result = run_worlds(Marks(), "fifo", range(100), 0.0)
    assert (result.detected, result.worlds) == (False, 1)


def test_a_trial_may_go_on_after_a_world_that_failed(worlds):
    worlds(lambda seed: ["S1: hangs"] if seed % 4 == 1 else [])
    result = run_worlds(Marks(), "fifo", range(8), 60.0, stops=False)
    assert result.worlds == 8
    assert result.failures == ((1, "S1: hangs"), (5, "S1: hangs"))


def test_a_propertys_own_mistake_finds_no_defect_but_is_a_false_alarm(worlds):
    worlds(lambda seed: ["harness: the property R1 itself failed", *(["R1: x"] * (seed == 2))])
    result = run_worlds(Marks(), "fifo", range(8), 60.0)
    assert (result.worlds, result.violation) == (3, "R1: x")
    assert len(run_worlds(Marks(), "fifo", range(8), 60.0, stops=False).failures) == 8


def test_what_breaks_the_world_itself_is_detected(worlds):
    def fail(_):
        raise ZeroDivisionError("of the world")

    worlds(fail)
    result = run_worlds(Marks(), "fifo", range(8), 60.0)
    assert (result.property, result.worlds) == ("exception", 1)
    assert result.violation == "exception: ZeroDivisionError: of the world"


@pytest.mark.parametrize(
    ("violation", "expected"),
    [
        ("S1: CameraManager still runs", "S1"),
        ("deadlock: nobody is ready", "deadlock"),
        ("CameraManager failed: Traceback", "exception"),
        ("harness: the property R1 itself failed", "harness"),
        ("nothing that is known", "exception"),
    ],
)
def test_a_violation_names_its_property(violation, expected):
    assert property_of(violation) == expected


def test_seeds_are_given_as_a_range():
    assert seed_range("3:9") == range(3, 9)
    for bad in ("3", "9:3", "a:b", "3:3", "-1:4"):
        with pytest.raises(ValueError, match="expected A:B"):
            seed_range(bad)


def test_bad_input_is_one_line_and_exit_code_2(capsys):
    assert main(["--mutant", "no-such", "--mutants", str(MUTANTS)]) == 2
    assert "no mutant 'no-such'" in capsys.readouterr().err


def test_a_process_without_a_result_is_an_error():
    with pytest.raises(TrialError, match="exit code 2"):
        run_trials(None, MUTANTS / "missing", "no-strategy", [range(1)], 1.0)


def test_the_watchdog_ends_a_world_that_takes_no_virtual_time(tmp_path):
    marks = Marks()
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        marks.begin_world(5)
        found, cpu_s = _watch(process, marks, world_cpu_s=0.2)
    finally:
        process.kill()
        process.wait()
    assert found == "hang"
    assert cpu_s > 0.2


def test_two_known_defects_are_found_in_processes_of_their_own(monkeypatch):
    monkeypatch.chdir(TOP)
    for name in ("router-knows-no-broadcast", "scope-leaves-shared-memory"):
        (mutant,) = chosen(load_mutants(MUTANTS), [name])
        trials = [range(1000), range(500, 1500)]
        results = run_trials(mutant, MUTANTS, "portfolio", trials, 10.0)
        assert [result.seeds for result in results] == ["0:1000", "500:1500"]
        for result in results:
            assert result.mutant == name
            assert result.reached > 0
            assert result.detected
            assert result.property in (*mutant.properties, "exception")


def test_what_a_process_did_not_come_to_when_it_was_ended_another_one_does(tmp_path, monkeypatch):
    monkeypatch.chdir(TOP)
    (mutant,) = chosen(load_mutants(MUTANTS), ["router-knows-no-broadcast"])
    (change,) = mutant.changes
    spins = "        while True:\n            __reached__()\n"
    described = "\n".join(
        [
            "[[mutant]]",
            'name = "spins"',
            'defect = "It goes on for ever."',
            f'file = "{change.file}"',
            'properties = ["S1"]',
            f"old = '''\n{change.old}'''",
            f"new = '''\n{spins}{change.old}'''",
        ]
    )
    (tmp_path / "router.toml").write_text(described)
    (mutant,) = load_mutants(tmp_path)
    trials = [range(5, 9), range(2, 4)]
    results = run_trials(mutant, tmp_path, "portfolio", trials, 10.0, world_cpu_s=0.3)
    assert [(r.seeds, r.property, r.seed) for r in results] == [
        ("5:9", "hang", 5),
        ("2:4", "hang", 2),
    ]
    assert all(r.reached > 100 and r.detected and 0.2 < r.cpu_s < 5.0 for r in results)
