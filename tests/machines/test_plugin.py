"""The plugin in a laboratory's own test runs, each a run of pytest of its own."""

import json
import re
import subprocess
import sys

import pytest

pytest_plugins = ("pytester",)

LAB = """
import pytest
from magscope.processes import ManagerProcessBase
from magscope.utils import Message
from sim.faults import Crash

class Pump(ManagerProcessBase):
    def setup(self): self.log("info", "the pump is ready")
    def do_main_loop(self): pass
    def pump(self, ml): self.log("info", f"pumped {ml} ml")

def add(scope):
    scope.add_manager(Pump())
"""
GOOD = """
@pytest.mark.in_both_worlds
def test_the_pump_pumps(system, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from magscope.scripting import Script\\nscript = Script()\\n"
                      "script('sleep', 0.05)\\nscript('note', 'the script was here')\\n")
    system.start(add, script)
    system.send(Message(Pump, "pump", 3))
    system.wait_for(lambda now: any("pumped 3 ml" in line.text for line in now.log))
    system.wait_for(lambda now: any("was here" in line.text for line in now.log))
    assert system.stop().is_clean

@pytest.mark.sim_seeds
def test_many_seeds(world, sim_seed, record_property):
    made = world(prepare=add, for_s=0.2, schedule="random")
    assert made.seed == sim_seed
    assert made.finish().report.is_clean
    seen.append(sim_seed)

seen = []

def test_that_there_were_as_many_as_the_budget_says():
    assert seen == [7, 8, 9]

def test_that_a_rig_and_faults_are_given(world, rig, fault_plan):
    made = world(faults=[Crash("VideoWorker-1", at_s=0.1)], for_s=0.3)
    assert "[camera]" in rig and not fault_plan.faults
    assert made.finish().struck
"""
BAD = """
from sim.properties.base import Property

class NobodyDies(Property):
    id, title, sites = "X1", "nobody dies", frozenset({"process.end"})
    def step(self, step):
        if step.detail == "-9":
            self.violate(f"{step.process} died. It must not.")

def test_with_a_manager(world):
    world(prepare=add, properties=(NobodyDies,), faults=[Crash("Pump", at_s=0.1)], for_s=0.3)

def test_of_mine(world):
    made = world(for_s=0.5)
    made.problems.append("S9: this is not as it should be")
    made.run_for(0.2)
    assert made.now_s > 1, "it is too early"

def test_without_a_world():
    assert not "this"
"""


@pytest.fixture
def lab(pytester):
    """A laboratory's directory, and a function that runs its tests."""
    (pytester.path / "pytest.ini").write_text("[pytest]\naddopts = -p no:xdist --strict-markers\n")

    def run(text, *options):
        pytester.makepyfile(test_lab=LAB + text)
        return pytester.runpytest_subprocess("-q", *options)

    return run


def test_a_lab_tests_its_manager_and_its_script_in_a_world_and_in_processes(lab):
    result = lab(GOOD, "--sim-seed", "7", "--sim-budget", "3")
    result.assert_outcomes(passed=5)


def test_a_failing_test_ends_with_the_story_and_the_command(lab, pytester):
    result = lab(BAD, "--sim-out", "out")
    result.assert_outcomes(failed=3)
    text = result.stdout.str()
    assert "VIOLATED: X1: Pump died. It must not." in text
    assert "FAULT: Pump is killed at 0.1 s" in text
    assert "again: python -m pytest 'test_lab.py::test_with_a_manager' --sim-seed 0" in text
    assert "it is too early" in text
    assert "VIOLATED: S9: this is not as it should be" in text
    assert text.count("virtual world") == 2
    files = sorted((pytester.path / "out").glob("*.json"))
    violations = {json.loads(file.read_text())["violation"] for file in files}
    assert violations == {
        "X1: Pump died. It must not.", "S9: this is not as it should be",
    }  # fmt: skip


STATEFUL = """
import os
from hypothesis import Phase, reproduce_failure, settings
from magscope.flag import PoolFlag
from sim.machines import PoolVideoFlagMachine

PoolFlag.make_ready = lambda *_: None

class Again(PoolVideoFlagMachine):
    pass

TestMachine = PoolVideoFlagMachine.TestCase
TestMachine.settings = settings(TestMachine.settings, max_examples=1000, stateful_step_count=8,
                                phases=[Phase.reuse, Phase.generate])
if blob := os.environ.get("BLOB"):
    TestAgain = reproduce_failure(*eval(blob))(Again).TestCase
"""


def test_hypothesis_keeps_a_failing_example_and_a_blob_runs_it_again(pytester, monkeypatch):
    pytester.makepyfile(test_machine=STATEFUL)
    options = ("-q", "-p", "no:xdist", "--sim-hypothesis", "dev", "--hypothesis-seed=0")
    first = pytester.runpytest_subprocess(*options)
    first.assert_outcomes(failed=1)
    text = first.stdout.str()
    assert "P1: the flag is " in text
    blob, *_ = re.findall(r"@reproduce_failure(\('.*'\))", text)
    assert any((pytester.path / ".hypothesis").rglob("*"))
    monkeypatch.setenv("BLOB", blob)
    again = pytester.runpytest_subprocess(*options, "-k", "Again")
    again.assert_outcomes(failed=1, deselected=1)
    assert "P1: the flag is " in again.stdout.str()


def test_the_plugin_loads_little_and_nothing_of_the_world_or_hypothesis():
    code = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import sim.pytest_plugin\n"
        "print(*set(sys.modules) - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert not [name for name in loaded if name.partition(".")[0] in ("magscope", "hypothesis")]
    assert not [name for name in loaded if name.startswith(("sim.world", "sim.testing"))]
