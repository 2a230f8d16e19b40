"""No property says anything of the code as it is, whatever goes wrong around it."""

import pytest
from property_tools import PINGS, run

from sim.faults import (
    CameraBurst,
    CameraDuplicate,
    CameraTorn,
    ClockJump,
    Corrupt,
    Crash,
    DelayMessage,
    DiskFull,
    Drop,
    Duplicate,
    Hang,
    LateTimers,
    Oversize,
    PipeClosed,
    PipeFull,
    Raise,
    Reorder,
    SlowReader,
)
from sim.properties.sometimes import ALL_STATES
from sim.world.plan import Action

FAULTS = {
    "nothing": (),
    "a worker dies while it reads": (Crash("VideoWorker-1", site="note.stack"),),
    "a worker dies before it has its task": (Crash("VideoWorker-2", site="pipe.read", hit=2),),
    "a worker hangs with its stack": (Hang("VideoWorker-1", site="note.stack", for_s=0.3),),
    "a worker raises": (Raise("VideoWorker-1", site="call.task"),),
    "the camera manager dies": (Crash("CameraManager", site="memory.set", hit=20),),
    "the router dies": (Crash("MagScope", at_s=0.2),),
    "the router dies at once": (Crash("MagScope", site="process.start", hit=3),),
    "somebody hangs for good": (Hang("ZLutManager", at_s=0.1),),
    "somebody dies with a lock": (Crash("VideoProcessorManager", state="holds lock"),),
    "messages are lost": (Drop("Probe-1", hit=4), Drop("MagScope", hit=20)),
    "messages come twice": (Duplicate("Probe-1", hit=4), Duplicate("VideoProcessorManager", hit=9)),
    "messages are garbled": (Corrupt("Probe-1", hit=4), Corrupt("MagScope", hit=22, part="header")),
    "messages are late, and overtaken": (DelayMessage("Probe-1", hit=3), Reorder("Probe-2", hit=3)),
    "what is sent is no frame": (Oversize("Probe-2", hit=4),),
    "a pipe has no room": (
        PipeFull("MagScope", at_s=0.1, for_s=0.3),
        SlowReader("Probe-1", at_s=0),
    ),
    "a pipe is closed": (PipeClosed("Probe-1", hit=5),),
    "clocks are wrong": (ClockJump("*", at_s=0.15, by_s=-1.0), LateTimers("*", at_s=0.2)),
    "the camera is wrong": (CameraTorn("CameraManager", hit=9), CameraDuplicate("CameraManager")),
    "frames come in a burst": (CameraBurst("CameraManager", for_s=0.2),),
    "the disk is full": (DiskFull("RecordingManager", at_s=0.2),),
    "the recorder dies": (Crash("RecordingManager", site="file.write", hit=9),),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_no_property_takes_what_a_fault_does_for_a_defect(faults):
    motors = '[motors.focus]\ndriver = "sim.focus"'
    outcome = run(faults, PINGS, for_s=0.5, motors=motors, records=True, keep_trace=False)
    assert outcome.violations == ()


def test_no_property_takes_what_probes_do_for_a_defect():
    actions = [
        *PINGS,
        Action(0.05, "Probe-1", "post", args=("ff" * 40,)),
        Action(0.06, "Probe-1", "send_bad", "Probe-2", "unpicklable"),
        Action(0.07, "Probe-1", "send", "Probe-2", "fail"),
        Action(0.08, "Probe-1", "send", "ScriptManager", "terminate"),
        Action(0.10, "Probe-2", "stall", args=(0.2,)),
        Action(0.11, "Probe-1", "flood", "Probe-2", "hear", (300, "x" * 2000)),
        Action(0.35, "Probe-1", "quit"),
        Action(0.35, "MagScope", "interrupt"),
    ]
    assert run((), actions, keep_trace=False).violations == ()


def test_a_run_says_through_which_rare_states_it_came():
    faults = [Crash("VideoWorker-1", site="note.stack"), Hang("VideoWorker-2", at_s=0.3, for_s=0.1)]
    actions = [Action(0.2, "Probe-1", "send", "ManagerProcessBase", "set_acquisition_on", (False,))]
    reached = run(faults, actions, for_s=0.6, keep_trace=False).reached
    assert reached <= ALL_STATES
    assert "a worker dies while it reads its stack" in reached
    assert "frames are discarded while acquisition is off" in reached
    assert "the router dies while the session runs" not in reached


def test_being_watched_changes_nothing():
    faults, hashes = [Crash("VideoWorker-1", at_s=0.2)], set()
    for options in ({}, {"properties": ()}):
        hashes.add(run(faults, PINGS, keep_trace=False, **options).trace_hash)
    assert len(hashes) == 1
