"""The reference machines, over crafted traces, over those of worlds, and of real processes."""

import multiprocessing
import os
from pathlib import Path

import pytest
from property_tools import PINGS, RIG, run

from magscope.rig import read_rig
from magscope.runtime import OsRuntime, machine
from magscope.scope import MagScope
from sim.faults import Crash
from sim.properties.reference import FLAG, MANAGER, Flag, Said, check

# pytest-xdist's workers have threads, and Python 3.12 on warns of a fork beside them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")

CAMERA, VIDEO, WORKER = "CameraManager", "VideoProcessorManager", "VideoWorker-1"
ROUND = [
    Said(VIDEO, "flag", "RUNNING (stack 1, worker 1)"),
    Said(WORKER, "flag", "FINISHED (stack 1, worker 1)"),
    Said(CAMERA, "flag", "READY (stack 1, worker 1)"),
]


def test_the_tables_hold_every_state():
    assert {state for pair in FLAG for state in pair} == {"READY", "RUNNING", "FINISHED"}
    assert {state for says in MANAGER.values() for state in says.values()} <= set(MANAGER)


def test_a_flag_is_read_from_its_word_and_from_what_is_said():
    flag = Flag("RUNNING", owner=3, epoch=7)
    assert Flag.of((7 << 14 | 3) << 2 | 1) == flag == Flag.noted(str(flag))
    with pytest.raises(ValueError, match="does not tell"):
        Flag.noted("RUNNING")


def test_a_session_in_order_is_allowed():
    quits = [Said(CAMERA, "state", "running"), Said(CAMERA, "state", "quitting")]
    assert (
        check([*quits[:1], *ROUND, Said("MagScope", "state", "the session ends"), *quits[1:]]) == []
    )


def test_the_stack_of_a_dead_worker_may_be_given_back_for_it():
    for_dead = Said(VIDEO, "flag", "FINISHED (stack 1, worker 1)")
    assert check([ROUND[0], Said(WORKER, "end", ""), for_dead, ROUND[2]]) == []
    assert "this is for VideoWorker-1 to do" in check([ROUND[0], for_dead])[0]


@pytest.mark.parametrize(
    ("trace", "problem"),
    [
        ([ROUND[1]], "can not become FINISHED from READY"),
        ([ROUND[0], ROUND[2]], "can not become READY from RUNNING"),
        ([Said(CAMERA, *ROUND[0][1:])], "this is for VideoProcessorManager to do"),
        ([*ROUND, ROUND[0]], "the next stack is 2"),
        ([ROUND[0], Said(WORKER, "flag", "FINISHED (stack 2, worker 1)")], "the stack is number 1"),
        ([Said(CAMERA, "state", "quitting")] * 2, "S2: CameraManager said 'quitting' when it was"),
        ([Said("MagScope", "state", "the session ends")] * 2, "S2: MagScope said"),
        ([Said(CAMERA, "end", ""), Said(CAMERA, "state", "running")], "after its end"),
    ],
)
def test_what_the_tables_do_not_allow_is_told(trace, problem):
    assert problem in check(trace)[0]


@pytest.mark.parametrize(
    "fault", [None, Crash("VideoWorker-1", site="note.stack"), Crash("MagScope", at_s=0.3)], ids=str
)
def test_p1_s2_the_trace_of_a_world_is_allowed(fault):
    topics = {"note.flag": "flag", "note.state": "state", "process.end": "end"}
    trace = [
        Said(step.process, topics[step.site], step.detail)
        for step in run(() if fault is None else (fault,), PINGS).trace.steps
        if step.site in topics
    ]
    assert sum(said.topic == "flag" for said in trace) >= 9
    assert check(trace) == []


def test_p1_s2_the_trace_of_processes_of_the_operating_system_is_allowed(monkeypatch, tmp_path):
    path = tmp_path / "trace"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def noted(_, topic, text):
        """Write a line, whole: what is said of the flag is said under its lock."""
        if topic in ("flag", "state"):
            name = multiprocessing.current_process().name
            line = f"{'MagScope' if name == 'MainProcess' else name}\t{topic}\t{text}\n"
            os.write(descriptor, line.encode())

    monkeypatch.setattr(OsRuntime, "note", noted)
    text = RIG.format(
        framerate_hz=100,
        motors="",
        on="true",
        workers=2,
        mode="track",
        tracker="read_truth",
        camera="",
    )
    scope = MagScope(read_rig(text, Path.cwd() / "rig.toml"))
    scope.run_for_s = 20.0
    scope.observe(lambda now: scope.stop() if now.frames.processed >= 20 else None, 0.02)
    scope.start()
    machine().singletons().clear()
    os.close(descriptor)
    trace = [Said(*line.split("\t")) for line in path.read_text().splitlines()]
    assert scope.report.is_clean
    assert sum(said.topic == "flag" for said in trace) >= 9
    assert {said.process for said in trace} >= {"MagScope", CAMERA, VIDEO, WORKER}
    assert check(trace) == []
