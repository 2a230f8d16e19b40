"""A world hangs on its inputs alone: not on the interpreter, nor on how it puts sets in order."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GATE = Path(__file__).parents[2] / "ci" / "determinism.py"
SCENARIOS = ["jitter", "script", "crash-worker"]


@pytest.fixture(scope="module")
def gate():
    spec = importlib.util.spec_from_file_location("determinism", GATE)
    module = sys.modules["determinism"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["determinism"]


@pytest.fixture(scope="module")
def elsewhere(gate):
    """What two other interpreters make of the scenarios."""
    return list(gate.found_by([sys.executable], SCENARIOS, jobs=2))


@pytest.mark.parametrize("name", SCENARIOS)
def test_d1_separate_interpreters_and_this_one_give_the_same_trace(
    gate, elsewhere, name, tmp_path, capsys
):
    one, other = (found[name] for found in elsewhere)
    assert one.who != other.who
    assert gate.difference(one, other) == ""
    assert gate.difference(one, gate.play(gate.SCENARIOS[name], tmp_path)) == ""
    assert gate.compare(elsewhere)
    assert "3 scenarios: 0 differ, 0 violate a property" in capsys.readouterr().out
    assert len(one.steps) > 500
    assert one.violations == ()


def test_a_recording_is_part_of_what_is_compared(gate, elsewhere):
    one, other = (found["jitter"] for found in elsewhere)
    assert one.tracks == other.tracks != ""
    assert one.tracks != elsewhere[0]["crash-worker"].tracks


def run_with_hash_seed(rig, seed):
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("hash_of.py"), rig],
        env={**os.environ, "PYTHONHASHSEED": seed},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_d1_the_order_of_a_set_that_reaches_a_message_is_found_out(gate, tmp_path):
    rig = tmp_path / "rig.toml"
    rig.write_text(gate.SMALL + '[motors.gauge]\ndriver = "impure_devices:SetGauge"\n')
    running = [run_with_hash_seed(rig, seed) for seed in ("1", "2")]
    found = []
    for output, _ in [process.communicate() for process in running]:
        digest, steps, violations = json.loads(output)
        assert violations == []
        found.append(gate.Found(f"seed {len(found) + 1}", digest, tuple(steps)))
    first, *lines = gate.difference(*found).splitlines()
    assert first.startswith("operation ")
    assert [line.split(":")[0] for line in lines] == ["  seed 1", "  seed 2"]
    assert all("MSetGauge take gauge" in line for line in lines)


def test_the_gate_shows_the_first_operation_that_differs_and_fails(gate, capsys):
    same = gate.Found("Python A", "aa", ("1 wait", "2 wait"), wall_s=1.0)
    other = gate.Found("Python B", "bb", ("1 wait", "2 read", "3 read"))
    assert gate.difference(same, same) == ""
    assert not gate.compare([{"fifo": same}, {"fifo": other}])
    printed = capsys.readouterr().out
    assert "DIFFERS" in printed
    assert "operation 2 is the first" in printed
    assert "Python A: 2 wait" in printed
    assert "Python B: 2 read" in printed
    longer = gate.Found("Python C", "cc", ("1 wait", "2 wait", "3 wait"))
    assert "Python A: (ended)" in gate.difference(same, longer)
    recorded = gate.Found("Python D", "aa", same.steps, tracks="1234")
    assert "tracks differ" in gate.difference(same, recorded)


def test_a_violation_fails_the_gate_even_where_all_agree(gate):
    found = gate.Found("Python A", "aa", ("1 wait",), violations=("B1: lost",))
    assert not gate.compare([{"fifo": found}, {"fifo": found}])


def test_the_gate_names_an_unknown_scenario():
    done = subprocess.run([sys.executable, GATE, "fivo"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no scenario 'fivo': choose from default-rig" in done.stderr
