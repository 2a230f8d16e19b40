"""The virtual world on one core: virtual seconds a wall second, and what a world and a step cost.

- idle: the simulated camera at 1 frame/s, three motors, three workers, acquisition off.
- protocol: 100 frames/s of 16 x 16 px that hold the truth, read by a worker in place of tracking.
- tracking: 10 beads drawn and tracked at 64 px, 20 frames/s.
- a world: built, all its processes started, told to quit at once, and gone.

The ratios are those of a running system: it has started and found its beads before the clock of
the wall is looked at. Traces are hashed, and not kept. The fastest of the repeats counts.

Run `python benchmarks/world.py [--repeats N] [--quick]`.
"""

import argparse
import os
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# One core; before numpy reads them.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import simpy  # noqa: E402
from greenlet import getcurrent, greenlet  # noqa: E402

from magscope.rig import RigFile  # noqa: E402
from sim import Outcome, World  # noqa: E402
from sim.world.kernel import Kernel  # noqa: E402
from sim.world.schedules import Fifo, Recorder  # noqa: E402
from sim.world.trace import Trace  # noqa: E402

IDLE = """
[camera]
driver = "sim.bead-camera"
options = { width_px = 100, height_px = 100, framerate_hz = 1, n_tethered = 0, n_stuck = 0 }
[acquisition]
on = false
"""
PROTOCOL = """
[camera]
driver = "sim.devices.truth:TruthCamera"
options = { framerate_hz = 100 }
[beads]
roi_px = 16
rois = [[0, 16, 0, 16]]
tracker = "sim.truth_tracker:read_truth"
"""
TRACKING = """
[camera]
driver = "sim.bead-camera"
options = { width_px = 512, height_px = 512, framerate_hz = 20, n_tethered = 8, n_stuck = 2 }
[beads]
roi_px = 64
rois = "auto"
"""
SMALL = """
[motors]
[settings]
"video processors n" = 1
"""
SETTLE_S = 10.0  # until the beads are found and everything is loaded


@dataclass(frozen=True)
class Case:
    """A rig, how many virtual seconds of it are run, and the ratio that is asked for."""

    name: str
    rig: RigFile
    length_s: float
    wanted: float


@dataclass(frozen=True)
class Rates:
    """What happens in one virtual second."""

    steps: float
    frames: float
    rows: float
    writes: float


def settled(case: Case, **options: Any) -> World:
    """Return a world whose system has started and found its beads."""
    world = World(case.rig, **options)
    world.run_for(SETTLE_S)
    return world


def end(world: World) -> Outcome:
    """Let the system quit, and see that all went well."""
    world.stop()
    outcome = world.finish()
    assert not outcome.violations, outcome.violations
    return outcome


def rates(case: Case, length_s: float) -> Rates:
    """Return what happens while the speed is measured."""
    world = settled(case)
    first = len(world.trace.steps)
    world.run_for(length_s)
    steps = world.trace.steps[first:]
    report = end(world).report
    writes = sum(step.site == "pipe.write" for step in steps)
    return Rates(
        len(steps) / length_s,
        report.frames.delivered / report.duration_s,
        report.tracks_rows / report.duration_s,
        writes / length_s,
    )


def wall_s(case: Case, length_s: float) -> float:
    """Return how long so many virtual seconds take."""
    world = settled(case, keep_trace=False)
    begin = time.perf_counter()
    world.run_for(length_s)
    seconds = time.perf_counter() - begin
    end(world)
    return seconds


def speed(case: Case, repeats: int, share: float) -> None:
    """Print a line of the table."""
    length_s = max(case.length_s * share, 1.0)
    each = rates(case, length_s)
    best_s = min(wall_s(case, length_s) for _ in range(repeats))
    print(
        f"{case.name:12}{length_s / best_s:10.0f}{case.wanted:8.0f}{each.frames:10.1f}"
        f"{each.rows:10.1f}{each.writes:11.1f}{each.steps:10.0f}"
        f"{best_s / length_s / each.steps * 1e6:10.1f}",
        flush=True,
    )


def world_ms(text: str, repeats: int) -> tuple[float, float]:
    """Return the median and the least time in ms of a world with nothing to do, all in all.

    The rig file is read once, as a campaign does.
    """
    rig = RigFile.model_validate(tomllib.loads(text))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        outcome = World(rig, for_s=0.0, keep_trace=False, rig_text=text).finish()
        times.append((time.perf_counter() - begin) * 1e3)
        assert not outcome.violations, outcome.violations
    times.sort()
    return times[len(times) // 2], times[0]


def greenlet_switch_us(count: int) -> float:
    """Return what it takes to switch to a greenlet and back, halved."""
    hub = getcurrent()

    def task() -> None:
        while True:
            hub.switch()

    other = greenlet(task)
    begin = time.perf_counter()
    for _ in range(count):
        other.switch()
    return (time.perf_counter() - begin) / count / 2 * 1e6


def simpy_event_us(count: int) -> float:
    """Return what one timeout of a simpy process takes."""
    environment = simpy.Environment()

    def process() -> object:
        for _ in range(count):
            yield environment.timeout(1)

    environment.process(process())
    begin = time.perf_counter()
    environment.run()
    return (time.perf_counter() - begin) / count * 1e6


def in_a_world(count: int, work: Callable[[Kernel, int], None], tasks: int) -> float:
    """Return what one of `count` operations takes, in us, when so many tasks do them."""
    kernel = Kernel(Recorder(Fifo()), Trace(keep=False))
    done: list[int] = []

    def task() -> None:
        work(kernel, count // tasks)
        done.append(1)

    for number in range(tasks):
        kernel.spawn(f"task-{number}", task)
    begin = time.perf_counter()
    kernel.run(lambda: len(done) == tasks)
    us = (time.perf_counter() - begin) / count * 1e6
    kernel.close()
    return us


def operations(kernel: Kernel, count: int) -> None:
    """Come to scheduling points, and go on."""
    for _ in range(count):
        kernel.operation("benchmark", "thing")


def waits(kernel: Kernel, count: int) -> None:
    """Come to scheduling points, and wait there until another time."""
    for _ in range(count):
        kernel.operation("benchmark", "thing")
        kernel.sleep(1)


def main() -> None:
    """Print the table, the cost of a world, and the cost of a scheduling point."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--quick", action="store_true", help="a few virtual seconds, to see it work"
    )
    arguments = parser.parse_args()
    repeats, share = (1, 0.01) if arguments.quick else (arguments.repeats, 1.0)
    cases = [
        Case(name, RigFile.model_validate(tomllib.loads(text)), length_s, wanted)
        for name, text, length_s, wanted in (
            ("idle", IDLE, 600.0, 1000.0),
            ("protocol", PROTOCOL, 60.0, 50.0),
            ("tracking", TRACKING, 20.0, 10.0),
        )
    ]
    for case in cases:
        end(settled(case))  # whatever is loaded once
    print(f"{'':12}{'virtual s':>10}{'':>8}{'frames':>10}{'rows':>10}{'pipe':>11}")
    print(
        f"{'':12}{'/ wall s':>10}{'wanted':>8}{'/ s':>10}{'/ s':>10}{'writes / s':>11}"
        f"{'steps / s':>10}{'us / step':>10}"
    )
    for case in cases:
        speed(case, repeats, share)
    print(f"\n{'a world, built and torn down':44}{'median':>8}{'least':>8}  ms; wanted 5")
    for name, text in (("three motors and workers: 13 processes", ""), ("none and one: 8", SMALL)):
        median_ms, least_ms = world_ms(IDLE + text, 3 if arguments.quick else 200)
        print(f"{name:44}{median_ms:8.1f}{least_ms:8.1f}")
    count = 2_000 if arguments.quick else 100_000
    rounds = range(1 if arguments.quick else 5)
    switch_us = min(greenlet_switch_us(count) for _ in rounds)
    event_us = min(simpy_event_us(count) for _ in rounds)
    print(f"\n{'':44}{'us':>7}{'switches':>10}{'events':>8}")
    for name, us in (
        ("bare greenlet switch", switch_us),
        ("bare simpy event (process and timeout)", event_us),
        ("scheduling point, alone", min(in_a_world(count, operations, 1) for _ in rounds)),
        ("scheduling point, others ready", min(in_a_world(count, operations, 10) for _ in rounds)),
        ("scheduling point, and a wait", min(in_a_world(count, waits, 10) for _ in rounds)),
    ):
        print(f"{name:44}{us:7.2f}{us / switch_us:10.1f}{us / event_us:8.1f}")


if __name__ == "__main__":
    main()
