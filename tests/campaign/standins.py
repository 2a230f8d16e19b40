"""Trials that stand in for worlds: each takes no time, and does what its seed says."""

import os
import signal
from pathlib import Path

from magscope.hardware import HardwareManagerBase
from magscope.report import FrameAccount, SessionReport
from sim.faults import Delay, FaultPlan
from sim.world.plan import Plan, Workload
from sim.world.trace import Trace
from sim.world.world import Outcome, run_plan

STATES = ("quit during start-up", "purge while a worker reads")


def made(seed, *lines, violations=(), plan=None, reached=()):
    trace = Trace()
    trace.add(0, "MagScope", "process.start", str(seed))
    for t, line in enumerate(lines, 1):
        trace.add(t * 1_000_000, "CameraManager", "note.error", "log", line)
    return Outcome(
        trace.hash, trace, tuple(violations), FrameAccount(), SessionReport(), 1.0, 0.0,
        trace.count, plan or Plan(Workload(seed=seed)), reached=frozenset(reached),
    )  # fmt: skip


class Violated(Outcome):
    """Its failure file is made of what there is."""

    def failure(self):
        from sim.world.plan import Failure

        return Failure.of(self.plan, self.violations[0], self.trace)


def broken(seed, *lines, violation):
    return Violated(**vars(made(seed, *lines, violations=[violation])))


def good(seed, source, keep_trace):
    """Violates nothing; reaches a rare state with every fifth seed."""
    return made(seed, reached=STATES[:1] if seed % 5 == 0 else ())


def two_failures(seed, source, keep_trace):
    """Fails with seeds that end with 3 (two numbers differ) and with seed 7."""
    if seed % 10 == 3:
        return broken(seed, f"frame {seed} is late by {seed / 8} ms", violation=f"B2: frame {seed}")
    if seed == 7:
        return broken(seed, "a motor is stuck", violation="S7: the motor moves")
    return made(seed)


def fickle(seed, source, keep_trace, counts={}):  # noqa: B006
    """Does something else each time it is run with seed 0."""
    counts[seed] = counts.get(seed, 0) + 1
    return made(seed, f"take {counts[seed] if seed == 0 else 0}")


def deadly(seed, source, keep_trace):
    """Takes its process with it with seed 5, and does not come back with seed 25."""
    if seed == 5:
        os._exit(3)
    while seed == 25:
        signal.pause()
    return made(seed, reached=["came back"])


def raising(seed, source, keep_trace):
    if seed == 1:
        raise LookupError("no such thing")
    return made(seed)


SMALL_RIG = """
nm_per_px = 50.0
[camera]
driver = "sim.devices.truth:TruthCamera"
options = { n_tethered = 1, framerate_hz = 20 }
[motors]
[beads]
rois = [[0, 16, 0, 16]]
roi_px = 16
tracker = "sim.truth_tracker:read_truth"
[settings]
"video processors n" = 1
"video buffer n images" = 4
"video buffer n stacks" = 2
"""


def small_world(seed, source, keep_trace):
    """A real world in which nothing goes wrong."""
    plan = Plan(Workload(rig=SMALL_RIG, seed=seed, for_s=0.2), FaultPlan(()))
    return run_plan(plan, keep_trace=keep_trace)


def many_stories(seed, source, keep_trace):
    """Violates the same every time, each time with another story."""
    word = chr(ord("A") + seed)
    return broken(seed, f"trouble with {word}", violation="B1: frames are missing")


def fails_at_first(seed, source, keep_trace, counts={}):  # noqa: B006
    """Fails with seed 2, but not when it is run again."""
    counts[seed] = counts.get(seed, 0) + 1
    if seed == 2 and counts[seed] == 1:
        return broken(seed, "trouble", violation="B1: frames are missing")
    return made(seed)


class Fragile(HardwareManagerBase):
    """A device that fails when it is asked for its first reading."""

    def connect(self):
        pass

    def disconnect(self):
        pass

    def fetch(self):
        raise RuntimeError("the fragile device is broken")


def planted(seed, source, keep_trace):
    """Fails, with seed 1, of a device; the three faults have nothing to do with it."""
    if seed == 0:
        return made(seed)
    rig = SMALL_RIG.replace("[motors]", '[motors.fragile]\ndriver = "standins:Fragile"')
    faults = [Delay("CameraManager", site="wait", for_s=0.01, hit=hit) for hit in (1, 2, 3)]
    plan = Plan(Workload(rig=rig, seed=seed, for_s=0.2), FaultPlan(tuple(faults)))
    return run_plan(plan, keep_trace=keep_trace)


def waits_after_30(seed, source, keep_trace):
    """From seed 30 on, waits until it may go on, and says that it does."""
    if seed >= 30 and not Path(os.environ["STANDIN_DIR"], "go").exists():
        print("waiting", flush=True)
        while True:
            signal.pause()
    return good(seed, source, keep_trace)


def waits_for_its_worker_s_death(seed, source, keep_trace):
    """At seed 12, once, names the worker of the cluster that began this process, and waits."""
    directory = Path(os.environ["STANDIN_DIR"])
    if seed == 12 and not (directory / "batch").exists():
        (directory / "batch").write_text(str(os.getpid()))
        (directory / "part").write_text(str(os.getppid()))
        (directory / "part").rename(directory / "worker")
        while True:
            signal.pause()
    return good(seed, source, keep_trace)


def says_strange_things(seed, source, keep_trace):
    if seed == 1:
        return broken(seed, "\x1b[31m & <", violation="B1: <a> & 'b' \x00 \"c\"")
    return made(seed)
