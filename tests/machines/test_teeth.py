"""Each machine finds defects: a version of the code with one in it fails, by the right property."""

import pytest
from defects import DEFECTS, dead_owner_is_forgotten
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sim import machines
from sim.machines.base import PlanMachine
from sim.machines.profiles import named
from sim.testing.worlds import PropertyViolated
from sim.world.plan import Failure
from sim.world.world import run_plan

QUICK = settings(
    named("ci"), max_examples=400, stateful_step_count=20, phases=[Phase.generate], print_blob=False
)
SHORT = settings(QUICK, stateful_step_count=8)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_machine_finds(defect, monkeypatch):
    defect.plant(monkeypatch)
    machine = getattr(machines, defect.machine)
    chosen = SHORT if issubclass(machine, PlanMachine) else QUICK
    with pytest.raises(PropertyViolated, match=defect.found_as) as found:
        run_state_machine_as_test(machine, settings=chosen)
    assert "VIOLATED: " in str(found.value)


def test_what_a_machine_of_plans_finds_is_small_and_is_replayed(monkeypatch, failures):
    dead_owner_is_forgotten(monkeypatch)
    with pytest.raises(PropertyViolated, match=r"[PSB]\d: (.|\n)*magscope replay"):
        run_state_machine_as_test(machines.SystemMachine, settings=SHORT)
    newest = max(failures.glob("SystemMachine-*.json"), key=lambda path: path.stat().st_mtime_ns)
    failure = Failure.load(newest)
    assert len(failure.plan.causes) <= 3
    again = run_plan(failure.plan, stop_at_violation=True)
    assert again.trace_hash == failure.trace_hash
    assert failure.violation in again.violations
