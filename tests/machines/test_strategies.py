"""The strategies draw what they say: rigs that can be read, plans that survive being kept."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from magscope.protocol import Kind, MessageError, envelope, unpack
from magscope.rig import read_rig
from sim import strategies
from sim.faults import KINDS, FaultPlan
from sim.machines.profiles import named
from sim.world.plan import Action, Plan

QUICK = settings(named("ci"), max_examples=25)


@given(text=strategies.rigs())
@QUICK
def test_every_rig_can_be_read_and_names_its_processes(text):
    rig = read_rig(text, Path("rig.toml"))
    names = strategies.processes_of(text)
    assert set(rig.motors) <= set(names)
    workers = [name for name in names if name.startswith("VideoWorker")]
    assert len(workers) == rig.settings["video processors n"]


@given(plan=strategies.plans(kinds=tuple(KINDS)))
@QUICK
def test_every_plan_is_the_same_after_it_was_kept(plan):
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert len(plan.faults) <= 3


@given(plan=strategies.fault_plans(("CameraManager", "focus"), tuple(KINDS), most=5))
@QUICK
def test_every_fault_plan_is_the_same_after_it_was_kept(plan):
    assert FaultPlan.from_json(plan.to_json()) == plan


@given(raw=strategies.hostile_bytes())
@QUICK
def test_r3_hostile_bytes_are_no_message(raw):
    try:
        frame = unpack(raw)
        if frame.kind is Kind.MESSAGE:
            envelope(frame)
    except MessageError:
        return
    assert frame.kind is not Kind.MESSAGE


@given(action=st.one_of(strategies.messages(), strategies.hostile(), strategies.ends()))
@QUICK
def test_every_action_can_be_told_in_words(action):
    assert isinstance(action, Action)
    assert action.process in str(action)


@given(text=strategies.scripts(motors=("focus",)))
@QUICK
def test_every_script_is_python_with_steps(text):
    steps = {}
    exec(text, steps)
    assert len(steps["script"].steps) >= 1
