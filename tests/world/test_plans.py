import json

import pytest

from sim.faults import Crash, Delay, Drop, FaultPlan, Hang, PlanError
from sim.world.minimise import ddmin
from sim.world.plan import Failure, FailureFileError, Plan, Workload, first_divergence
from sim.world.schedules import Deviation
from sim.world.story import story
from sim.world.trace import Step, Trace

FAULTS = (
    Crash("VideoWorker-1", site="lock.acquire", hit=6),
    Hang("focus", at_s=0.5, for_s=2.0),
    Drop("CameraManager", hit=3),
    Delay("MagScope", site="wait", hit=9, for_s=0.2),
)


def test_a_fault_plan_comes_back_from_its_file_as_it_was(tmp_path):
    plan = FaultPlan(FAULTS)
    plan.save(tmp_path / "plan.json")
    assert FaultPlan.load(tmp_path / "plan.json") == plan


def test_a_fault_plan_says_in_words_what_it_will_do():
    assert str(FaultPlan(FAULTS)).splitlines() == [
        "VideoWorker-1 is killed at its 6th lock.acquire",
        "focus hangs at 0.5 s for 2 s",
        "what CameraManager sends at its 3rd pipe.write is lost",
        "MagScope is held up at its 9th wait for 0.2 s",
    ]
    assert str(FaultPlan()) == "nothing goes wrong"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "expected"),
        ({"version": 9, "faults": []}, "version 9"),
        ({"version": 1, "faults": [{"kind": "melt"}]}, "fault 0: fault of kind 'melt'"),
        ({"version": 1, "faults": [{"kind": "crash", "at_s": 1}]}, "names no process"),
        ({"version": 1, "faults": [{"kind": "crash", "process": "a"}]}, "at_s or a site"),
        ({"version": 1, "faults": [{"kind": "crash", "process": "a", "att": 1}]}, "'att'"),
        ({"version": 1, "faults": [{"kind": "hang", "process": "a", "at_s": "1"}]}, "seconds"),
        ({"version": 1, "faults": [{"kind": "crash", "process": "a", "at_s": -1}]}, "no time"),
        ({"version": 1, "faults": [{"kind": "drop", "process": "a", "hit": 0}]}, "counts from 1"),
        ({"version": 1, "faults": [7]}, "choose one of"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_mistake(data, said, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(data))
    with pytest.raises(PlanError, match=said):
        FaultPlan.load(path)


def test_every_mistake_of_a_plan_is_named_at_once():
    with pytest.raises(PlanError, match=r"fault 0: .*; fault 2: "):
        FaultPlan.from_json({"version": 1, "faults": [{}, FAULTS[0].to_json(), {"kind": "crash"}]})


def failure():
    trace = Trace()
    for number in range(3):
        trace.add(number * 1000, "CameraManager", "pipe.write", "pipe-1a", f"S running {number}")
    plan = Plan(
        Workload(rig="seed = 1\n", seed=4, for_s=2.0, script="x = 1\n"),
        FaultPlan(FAULTS),
        (Deviation("focus", "wait", 3, 1),),
    )
    return Failure.of(plan, "S1: focus still runs", trace)


def test_a_failure_comes_back_from_its_file_as_it_was(tmp_path):
    before = failure()
    before.save(tmp_path / "failure.json")
    after = Failure.load(tmp_path / "failure.json")
    assert after == before
    assert after.steps == before.steps


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(version=2), "version 2: this program reads version 1"),
        (lambda d: d.pop("trace"), "no failure file"),
        (lambda d: d.update(trace="%%%"), "no failure file"),
        (lambda d: d.pop("workload"), "it is no plan"),
        (lambda d: d.update(deviations=[[1]]), "it is no plan"),
    ],
)
def test_a_file_that_is_no_failure_is_refused_with_the_reason(change, said, tmp_path):
    path = tmp_path / "failure.json"
    failure().save(path)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(FailureFileError, match=said):
        Failure.load(path)
    path.write_text("{")
    with pytest.raises(FailureFileError):
        Failure.load(path)


def test_a_plan_is_cut_to_some_of_its_causes():
    plan = failure().plan
    assert plan.with_causes(plan.causes) == plan
    cut = plan.with_causes([plan.causes[4], plan.causes[1]])
    assert cut.faults.faults == (FAULTS[1],)
    assert cut.deviations == plan.deviations
    assert cut.workload == plan.workload


def test_the_first_divergence_shows_both_operations():
    steps = failure().steps
    other = (steps[0], steps[1]._replace(detail="else"), steps[2])
    assert first_divergence(steps, steps) == ""
    said = first_divergence(steps, other)
    assert said.startswith("operation 1:")
    assert "S running 1" in said
    assert "else" in said
    assert "only then" in first_divergence(steps, steps[:2])
    assert "only now" in first_divergence(steps[:2], steps)


@pytest.mark.parametrize("needed", [[], [3], [0, 19], [2, 7, 11], list(range(20))])
def test_delta_debugging_finds_exactly_the_causes_that_are_needed(needed):
    left, runs = ddmin(range(20), lambda causes: set(needed) <= set(causes))
    assert left == needed
    assert runs <= 400


def test_delta_debugging_is_content_when_its_runs_are_used_up():
    left, runs = ddmin(range(64), lambda causes: set(range(0, 64, 2)) <= set(causes), most_runs=10)
    assert runs <= 11
    assert set(range(0, 64, 2)) <= set(left)


def test_a_story_has_at_most_twenty_lines_and_keeps_fault_error_and_end():
    steps = [Step(n, "VideoWorker-1", "note.info", "", f"line {n}") for n in range(100)]
    steps[50] = Step(50, "world", "fault.crash", "focus", "focus is killed at 1 s")
    steps[60] = Step(60, "MagScope", "note.error", "", "focus died")
    steps[61] = Step(61, "focus", "process.end", "focus", "-9")
    told = story(steps, ["S1: x still runs"]).splitlines()
    assert len(told) == 20
    assert any("FAULT: focus is killed" in line for line in told)
    assert any("error: focus died" in line for line in told)
    assert any("is dead (SIGKILL)" in line for line in told)
    assert told[-1].strip() == "VIOLATED: S1: x still runs"


def test_a_story_tells_in_one_line_what_several_do_in_one_moment_and_what_a_probe_does():
    names = ["CameraManager", "focus", "ScriptManager", "BeadLockManager"]
    steps = [Step(1, name, "note.state", "", "running") for name in names]
    steps.append(Step(2, "Probe-1", "note.does", "", "stall: Probe-1 does not read for 1 s"))
    steps.append(Step(2, "MagScope", "interrupt", "MagScope", ""))
    steps += [Step(3, "MagScope", "process.kill", name, "") for name in names]
    steps += [Step(3, name, "process.end", name, "-9") for name in names[:2]]
    steps.append(Step(4, "focus", "process.end", "focus", "0"))
    told = [line[14:] for line in story(steps).splitlines()]
    assert told == [
        "CameraManager, focus and 2 more  running",
        "Probe-1                 ACTION: Probe-1 does not read for 1 s",
        "MagScope                ACTION: Ctrl-C is pressed",
        "MagScope                kills CameraManager, focus and 2 more",
        "CameraManager, focus    are dead (SIGKILL)",
        "focus                   ends",
    ]


def test_a_story_tells_once_what_the_router_repeats_and_what_goes_round_and_round():
    def stack(number, t_ns, states=("RUNNING", "FINISHED", "READY")):
        names = ("VideoProcessorManager", "VideoWorker-1", "CameraManager")
        whole = dict(zip(states, names, strict=False))
        said = f"(stack {number}, worker 1)"
        return [Step(t_ns, who, "note.flag", "", f"{state} {said}") for state, who in whole.items()]

    steps = [*stack(1, 10**9), *stack(2, 2 * 10**9), *stack(3, 3 * 10**9)]
    steps += [Step(3 * 10**9, "focus", "note.warning", "", "the motor has gone")]
    steps += [Step(3 * 10**9, "MagScope", "note.warning", "", "focus: the motor has gone")]
    steps += [*stack(4, 4 * 10**9), *stack(5, 5 * 10**9, ("RUNNING", "FINISHED"))]
    quits = ("ZLutManager", "ScriptManager")
    steps += [Step(6 * 10**9, name, "note.info", "", f"{name} has quit") for name in quits]
    steps += [Step(6 * 10**9, name, "note.state", "", "quitting") for name in (*quits, "focus")]
    late = [f"R2: message {n} was in its pipe for {n / 10} s." for n in range(1, 5)]
    told = [line[14:] for line in story(steps, [*late, "S1: x still runs."]).splitlines()]
    assert told == [
        "the pool                the flag goes all the way, to READY, for the stacks 1 to 3, "
        "until 3.0000 s",
        "focus                   warning: the motor has gone",
        "the pool                the flag is RUNNING, FINISHED, READY (stack 4, worker 1)",
        "the pool                the flag is RUNNING, FINISHED (stack 5, worker 1)",
        "ZLutManager, ScriptManager  have quit",
        "focus                   quitting",
        "VIOLATED: R2: message 1 was in its pipe for 0.1 s. (and 3 more like it)",
        "VIOLATED: S1: x still runs.",
    ]


def test_a_story_tells_of_the_few_turns_that_the_schedule_took():
    steps = [
        Step(1, "MagScope", "pipe.read", "pipe-1", ""),
        Step(2, "Probe-1", "pipe.write", "pipe-1", ""),
        Step(3, "Probe-1", "pipe.write", "pipe-1", ""),
        Step(3, "MagScope", "pipe.read", "pipe-1", ""),
        Step(4, "Probe-1", "note.info", "", "Probe-1 has quit"),
    ]
    told = [
        line[14:] for line in story(steps, (), [Deviation("Probe-1", "pipe.write", 2)]).split("\n")
    ]
    assert told == [
        "MagScope                SCHEDULE: goes on before Probe-1 does its 2nd pipe.write",
        "Probe-1                 has quit",
    ]
    many = [Deviation("Probe-1", "pipe.write", hit) for hit in range(1, 9)]
    assert "SCHEDULE" not in story(steps, (), many)


def test_a_trace_hash_changes_with_any_part_of_any_step():
    def hashed(*step):
        trace = Trace(keep=False)
        trace.add(1, "a", "b", "c", "d")
        trace.add(*step)
        return trace.hash

    base = (2, "p", "s", "o", "d")
    assert hashed(*base) == hashed(*base)
    others = [(3, *base[1:]), (2, "q", *base[2:]), (*base[:4], "e"), (2, "p", "so", "", "d")]
    assert len({hashed(*base), *(hashed(*other) for other in others)}) == 5
