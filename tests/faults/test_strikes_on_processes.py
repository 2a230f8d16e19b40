import pytest
from fault_tools import CAMERA, POOL, RECORDER, ROUTER, WORKER, ended, run, seconds_of, steps

import sim
from sim.faults import (
    Crash,
    Delay,
    Drop,
    Hang,
    InjectedError,
    MemoryMissing,
    Raise,
    StaleMemory,
)
from sim.world.world import World


@pytest.mark.parametrize(
    ("fault", "before"),
    [
        (Crash(CAMERA, state="flag FINISHED", hit=2), "FINISHED (stack 2, worker 1)"),
        (Crash(POOL, state="flag READY", hit=2), "READY (stack 2, worker 1)"),
        (Crash(WORKER, state="worker busy", hit=3), "RUNNING (stack 3, worker 1)"),
        (Crash(WORKER, state="worker tracking"), "FINISHED (stack 1, worker 1)"),
        (Crash(POOL, state="manager RUNNING"), "running"),
        (Crash("focus", state="manager DRAINING"), "quitting"),
        (Crash("focus", state="manager LEAVING"), "quitting"),
        (Hang(RECORDER, state="session QUITTING", for_s=0.1), "the session ends"),
    ],
    ids=str,
)
def test_a_fault_strikes_in_its_state(rig, fault, before):
    outcome = run(rig, fault)
    sites = ("note.flag", "note.state", f"fault.{fault.kind}")
    told = [step for step in outcome.trace.steps if step.site in sites]
    place = next(i for i, step in enumerate(told) if step.site.startswith("fault"))
    assert told[place - 1].detail == before
    assert told[place - 1].t_ns == told[place].t_ns


def test_s4_the_manager_failed_and_the_router_that_dies_of_it_leave_nothing(rig):
    fails, dies = Raise(CAMERA, at_s=0.2), Crash(ROUTER, state="session QUITTING")
    outcome = run(rig, fails, dies)
    assert steps(outcome, "note.state", CAMERA)[-1].detail == "failed"
    assert outcome.virtual_s < 0.4


def test_a_process_is_killed_as_it_settles_in_and_as_it_sets_its_quitting_event(rig):
    outcome = run(rig, Crash("focus", state="manager STARTING"))
    assert ended(outcome)["focus"] == "crashed"
    assert steps(outcome, "process.enter", "focus")
    assert not steps(outcome, "memory.attach", "focus")
    outcome = run(rig, Crash(CAMERA, state="manager QUITTING"))
    last = [s for s in outcome.trace.steps if s.process == CAMERA][-2:]
    assert [s.site for s in last] == ["value.set", "process.end"]


@pytest.mark.parametrize("hit", [1, 2, 3])
def test_b5_a_process_dies_while_it_holds_a_lock_and_nobody_waits_for_ever(rig, hit):
    fault = Crash(WORKER, state="holds lock", hit=hit)
    outcome = run(rig, fault, for_s=1.0)
    its = [s for s in outcome.trace.steps if s.process == WORKER]
    assert [s.site for s in its[-3:]] == ["lock.acquire", "lock.held", "process.end"]
    assert outcome.account.processed >= 60


@pytest.mark.parametrize(
    ("fault", "who", "says"),
    [
        (Raise(CAMERA, site="call.setup"), CAMERA, "failed: InjectedError"),
        (Raise(CAMERA, site="call.do_main_loop", hit=9, error="OSError"), CAMERA, "InjectedOSErr"),
        (Raise("focus", site="call.setup", error="DisconnectedError"), "focus", "focus: injected"),
        (Raise(POOL, state="flag RUNNING"), POOL, "failed: InjectedError"),
    ],
    ids=str,
)
def test_an_exception_ends_its_manager_and_the_session_and_is_no_violation(rig, fault, who, says):
    outcome = run(rig, fault)
    assert ended(outcome)[who] == "crashed"
    assert any(says in error for error in outcome.report.errors)
    assert outcome.virtual_s < 0.45


def test_r3_an_exception_in_a_handler_is_reported_and_the_manager_goes_on(rig, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    outcome = run(rig, Raise(RECORDER, site="call.save_tracks", hit=2), record=out)
    assert ended(outcome)[RECORDER] == "clean"
    assert "save_tracks failed: InjectedError" in outcome.report.errors[0]


@pytest.mark.parametrize(
    "fault",
    [
        Raise(WORKER, site="call.task", hit=2),
        Raise(WORKER, state="worker busy"),
        *(Raise(WORKER, site="lock.acquire", hit=hit) for hit in (1, 2, 3)),
        *(Raise(WORKER, site="value.set", hit=hit) for hit in (1, 2)),
    ],
    ids=str,
)
def test_p2_an_exception_in_a_task_costs_one_stack_wherever_it_is_raised(rig, fault):
    outcome = run(rig, fault, for_s=1.0)
    assert outcome.account.lost == 10
    assert outcome.account.processed >= 70


def test_an_exception_in_the_router_ends_everybody(rig):
    world = World(rig, seed=1, for_s=0.5, faults=[Raise(ROUTER, site="wait", hit=9)])
    outcome = world.finish()
    assert outcome.violations == ()
    assert InjectedError.__name__ in world.process(ROUTER).words
    assert outcome.virtual_s < 0.5


def test_missing_memory_fails_whoever_attaches_to_it(rig):
    outcome = run(rig, MemoryMissing(CAMERA))
    assert ended(outcome)[CAMERA] == "crashed"
    outcome = run(rig, MemoryMissing(WORKER, at_s=0.0), for_s=1.0)
    assert outcome.account.lost == 10
    assert outcome.account.processed >= 70


def test_s3_what_a_dead_session_left_is_swept(rig):
    world = World(rig, seed=1, for_s=0.1, faults=[StaleMemory(blocks=5)])
    assert len(world.machine.memory) == 5
    stale = set(world.machine.memory)
    world.run_for(0.05)
    assert world.machine.memory
    assert not stale & set(world.machine.memory)
    outcome = world.finish()
    assert outcome.struck == (StaleMemory(blocks=5),)
    assert outcome.violations == ()


def test_who_hangs_twice_at_once_goes_on_after_the_longer_one(rig):
    faults = (Hang("focus", at_s=0.1, for_s=0.3), Hang("focus", at_s=0.2, for_s=0.1))
    outcome = run(rig, *faults)
    its = [s.t_ns / 1e9 for s in outcome.trace.steps if s.process == "focus"]
    assert not [t for t in its if 0.1 < t < 0.4]
    assert [t for t in its if t >= 0.4]


def test_of_several_faults_at_one_operation_all_strike(rig):
    faults = (
        Delay(CAMERA, site="pipe.write", hit=3, for_s=0.02),
        Drop(CAMERA, hit=3),
        Crash(CAMERA, site="pipe.write", hit=3),
    )
    outcome = run(rig, *faults)
    delayed_s, dropped_s = (seconds_of(outcome, f"fault.{k}")[0] for k in ("delay", "crash"))
    assert dropped_s - delayed_s == pytest.approx(0.02)


def test_the_end_of_the_last_effect_is_known(rig):
    def ends_ns(*faults):
        world = World(rig, seed=1, for_s=0.3, faults=faults)
        world.finish()
        return world.injector.effect_ends_ns

    assert ends_ns() == 0
    assert ends_ns(Crash(WORKER, at_s=0.1)) == 100_000_000
    assert ends_ns(Hang("focus", at_s=0.1, for_s=0.1), Crash(WORKER, at_s=0.15)) == 200_000_000
    killed_ns = ends_ns(Hang(POOL, at_s=0.1))
    assert 8.2e9 < killed_ns < 8.4e9, "a hang for good is over when its process is killed"
    assert ends_ns(Crash("nobody", at_s=0.1)) == 0


def test_what_never_ends_has_no_end_until_it_is_healed(rig):
    world = World(rig, seed=1, faults=[Hang("focus", at_s=0.1)])
    world.run_for(0.3)
    assert world.injector.effect_ends_ns is None
    world.heal()
    assert world.injector.effect_ends_ns == 300_000_000
    world.stop()
    assert world.finish().report.is_clean


def test_a_run_with_any_faults_is_the_same_every_time(rig):
    faults = [
        Crash(WORKER, state="worker busy", hit=2),
        Raise("focus", at_s=0.2),
        Drop(POOL, hit=9),
        Delay(CAMERA, state="holds lock", hit=4),
    ]
    hashes = {
        sim.run(rig, seed=1, for_s=0.4, faults=faults, schedule="random").trace_hash
        for _ in range(2)
    }
    assert len(hashes) == 1


def test_s1_who_has_said_goodbye_and_hangs_is_killed(rig):
    outcome = run(rig, Hang("focus", state="manager LEAVING"))
    assert ended(outcome)["focus"] == "killed"
    assert outcome.report.shutdown_s == pytest.approx(8.0, abs=0.1)
