import json
import subprocess
import sys

import pytest
from standins import SMALL_RIG

from sim.campaign import batch
from sim.campaign.source import Source, check_code, plan_source
from sim.campaign.work import Job, perform
from sim.faults import Crash, FaultPlan
from sim.world.plan import Plan, Workload
from sim.world.schedules import Deviation

PLAN = Plan(
    Workload(rig=SMALL_RIG, seed=99, for_s=0.1),
    FaultPlan((Crash("VideoWorker-1", at_s=0.05),)),
    (Deviation("MagScope", "wait", 1),),
)


def test_a_plan_is_run_with_the_seeds_and_schedules_of_the_campaign_and_its_own_faults():
    source = plan_source(json.dumps(PLAN.to_json()))
    run = source.load()
    outcomes = [run(seed, source, False) for seed in (0, 1)]
    assert [o.plan.workload.seed for o in outcomes] == [0, 1]
    assert all(o.plan.faults == PLAN.faults for o in outcomes)
    assert [bool(o.plan.deviations) for o in outcomes] == [False, True]  # fifo, then random
    assert run(1, plan_source(json.dumps(PLAN.to_json()), "fifo"), False).plan.deviations == ()


def test_faults_alone_are_a_plan_as_well():
    source = plan_source(json.dumps(PLAN.faults.to_json()))
    assert json.loads(source.plan)["faults"] == PLAN.to_json()["faults"]


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 9}', '{"version": 1, "faults": [{}]}'])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        plan_source(text)


def test_a_runner_that_does_not_exist_is_named():
    for runner in ("nowhere:f", "standins:nothing", "standins"):
        with pytest.raises(ValueError, match="expected module:function"):
            Source(runner=runner).load()


def test_a_swarm_s_seed_gives_the_same_trace_again():
    one, two = (perform(Source(), Job(0, 1))[0] for _ in range(2))
    assert one.trace_hash == two.trace_hash
    assert one.steps > 100


def test_other_code_is_refused():
    with pytest.raises(ValueError, match="install the same version"):
        check_code("0")


def test_a_batch_prints_a_line_for_each_seed_and_is_what_a_person_replays(capsys):
    words = ["--seeds", "2:14", "--runner", "standins:two_failures"]
    assert batch.main([*words, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["seed"] for line in lines] == list(range(2, 14))
    failed = {line["seed"]: line["failed"] for line in lines if line["failed"]}
    assert [(seed, f["property"]) for seed, f in failed.items()] == [
        (3, "B2"), (7, "S7"), (13, "B2"),
    ]  # fmt: skip
    assert [bool(f["file"]) for f in failed.values()] == [True, True, False]
    assert batch.main(words) == 0
    assert "seed 3: B2: frame 3\n" in capsys.readouterr().out


def test_a_batch_makes_a_failure_small_and_says_when_it_does_not_come_again(capsys):
    from standins import planted

    words = ["--seeds", "1:2", "--runner", "standins:planted", "--json", "--minimise"]
    assert batch.main([*words, planted(1, None, False).trace_hash]) == 0
    failed = json.loads(capsys.readouterr().out)["failed"]
    assert failed["causes"] == [3, 0]
    assert json.loads(failed["file"])["violation"] == failed["violation"]
    assert batch.main([*words, "another hash"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"]["property"] == "determinism"


@pytest.mark.parametrize(
    "words",
    [["--seeds", "5:5"], ["--seeds", "0:1", "--plan", "none.json"],
     ["--seeds", "0:1", "--runner", "a:b"], ["--seeds", "0:1", "--code", "0"]],
)  # fmt: skip
def test_a_batch_that_can_not_begin_says_why_in_a_line(words, capsys):
    assert batch.main(words) == batch.REFUSED
    assert capsys.readouterr().err.count("\n") == 1


def test_a_batch_on_a_leash_ends_when_its_reader_has_gone():
    with subprocess.Popen(
        [sys.executable, "-m", "sim.campaign.batch", "--seeds", "30:31", "--leash",
         "--runner", "standins:waits_after_30"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "waiting\n"
            process.stdin.close()
            assert process.wait(30) == 1
        finally:
            process.kill()
