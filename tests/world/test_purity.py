"""Whoever reaches around the seam is found and named (D1); nothing of the watch remains."""

import _thread
import datetime as dt
import logging
import multiprocessing
import os
import queue
import random
import secrets
import subprocess
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from random import gauss
from time import monotonic as now_s
from time import sleep as pause

import numpy as np
import pytest

import sim
from hal.clock import MachineClock
from sim.world.forbidden import FORBIDDEN
from sim.world.kernel import Kernel
from sim.world.machine import Machine
from sim.world.purity import ImpurityError, Watch
from sim.world.runtime import EPOCH_NS
from sim.world.schedules import Fifo, Recorder
from sim.world.trace import Trace

HELD = threading.Lock()
HELD.acquire()
RIG = """
[camera]
driver = "{camera}"
options = {options}
[beads]
rois = [[0, 32, 0, 32]]
roi_px = 32
[settings]
"video buffer n images" = 10
"video processors n" = 1
[motors.gauge]
driver = "impure_devices:{gauge}"
"""
BEADS = "{ width_px = 128, height_px = 128, n_tethered = 1, n_stuck = 0 }"


def live(run, *, patch_time=False):
    """Let a process of a world run, and return the watch and what it failed with."""
    kernel = Kernel(Recorder(Fifo()), Trace())
    machine = Machine(kernel)
    process = machine.launch("MyManager", lambda _: run())
    with Watch(kernel, patch_time=patch_time) as watch:
        kernel.run(lambda: process.exitcode is not None)
    return watch, [words for _, words in machine.crashes]


IMPURE = {
    "time.time()": lambda: time.time(),
    "time.monotonic()": lambda: now_s(),
    "time.perf_counter_ns()": lambda: time.perf_counter_ns(),
    "time.localtime()": lambda: time.localtime(),
    "time.strftime()": lambda: time.strftime("%H"),
    "datetime.datetime.now()": lambda: datetime.now(),  # noqa: DTZ005
    "datetime.datetime.utcnow()": lambda: dt.datetime.utcnow(),  # noqa: DTZ003
    "time.sleep()": lambda: pause(0.0),
    "hal.clock.MachineClock.now_ns()": lambda: MachineClock().now_ns(),
    "random.random()": lambda: random.random(),
    "random.gauss()": lambda: gauss(0, 1),
    "random.Random()": lambda: random.Random(),
    "numpy.random.rand()": lambda: np.random.rand(),  # noqa: NPY002
    "numpy.random.seed()": lambda: np.random.seed(1),  # noqa: NPY002
    "random.SystemRandom.getrandbits()": lambda: np.random.default_rng(),
    "os.urandom()": lambda: os.urandom(4),
    "secrets.token_hex()": lambda: secrets.token_hex(4),
    "uuid.uuid4()": lambda: uuid.uuid4(),
    "uuid.uuid1()": lambda: uuid.uuid1(),
    "threading.Thread.start()": lambda: threading.Thread(target=print).start(),
    "_thread.start_new_thread()": lambda: _thread.start_new_thread(print, ()),
    "concurrent.futures.thread.ThreadPoolExecutor.submit()": (
        lambda: ThreadPoolExecutor().submit(print)
    ),
    "multiprocessing.Process.start()": lambda: multiprocessing.Process(target=print).start(),
    "multiprocessing.context.BaseContext.Lock()": lambda: multiprocessing.Lock(),
    "multiprocessing.context.BaseContext.Queue()": lambda: multiprocessing.Queue(),
    "multiprocessing.context.BaseContext.Pipe()": lambda: multiprocessing.Pipe(),
    "os.fork()": lambda: os.fork(),
    "os.system()": lambda: os.system("true"),
    "subprocess.run()": lambda: subprocess.run(["true"]),
    "threading.Lock.acquire()": lambda: HELD.acquire(),
    "queue.Queue.get()": lambda: queue.Queue().get(),
    "queue.SimpleQueue.get()": lambda: queue.SimpleQueue().get(),
    "threading.Event.wait()": lambda: threading.Event().wait(),
    "threading.Condition.wait()": lambda: wait_for_a_condition(),
}


def wait_for_a_condition():
    condition = threading.Condition()
    with condition:
        condition.wait()


@pytest.mark.parametrize("what", IMPURE)
def test_d1_who_reaches_around_the_seam_is_stopped_and_named(what):
    watch, words = live(lambda: IMPURE[what]())
    (violation,) = watch.violations
    assert violation.startswith("D1: MyManager ")
    assert "ImpurityError" in words[0]
    assert f": {what} at tests/world/test_purity.py:" in violation


def test_d1_a_violation_gives_the_line_and_what_to_do_instead():
    space = {"time": time, "__name__": "my_driver"}
    exec(compile("def work():\n    return time.time()\n", "/lab/my_driver.py", "exec"), space)
    watch, _ = live(space["work"])
    assert list(watch.violations) == [
        "D1: MyManager reads the wall clock: time.time() at my_driver.py:2; ask current().clock"
    ]


def test_d1_is_counted_even_where_the_error_is_swallowed():
    def work():
        for _ in range(3):
            with pytest.raises(ImpurityError):
                time.time_ns()

    watch, words = live(work)
    assert len(watch.violations) == 1
    assert words == []


HARMLESS = {
    "a seeded generator": lambda: np.random.default_rng(1).random(),
    "a seeded one of the standard library": lambda: random.Random(1).random(),
    "a moment that is given": lambda: (
        time.localtime(0).tm_year + len(time.strftime("%Y", (0,) * 9))
    ),
    "a lock that is free": lambda: threading.Lock().acquire(),
    "a lock that is asked after": lambda: HELD.acquire(blocking=False),
    "a queue that has something": lambda: filled(queue.Queue()).get(timeout=1),
    "an event that is set": lambda: already_set().wait(5),
    "a file for a while": lambda: tempfile.TemporaryFile().close(),
    "a line in the log": lambda: logging.getLogger("a.driver").warning("hot"),
}


def filled(line):
    line.put(1)
    return line


def already_set():
    event = threading.Event()
    event.set()
    return event


@pytest.mark.parametrize("what", HARMLESS)
def test_what_comes_to_nobodys_ears_may_be_called(what):
    watch, words = live(HARMLESS[what])
    assert words == []
    assert list(watch.violations) == []


def originals():
    return [vars(rule.owner)[rule.name] for rule in FORBIDDEN]


def test_nothing_of_the_watch_remains_whatever_ends_it():
    before = originals(), now_s, gauss, random._urandom, datetime.now
    inside = []
    kernel = Kernel(Recorder(Fifo()), Trace())
    with pytest.raises(KeyError), Watch(kernel):
        {}[inside.extend(originals())]
    assert all(a is not b for a, b in zip(inside, before[0], strict=True))
    after = originals(), now_s, gauss, random._urandom, datetime.now
    assert after == before
    assert isinstance(time.time, type(len))


def test_a_function_imported_while_a_world_runs_works_afterwards_and_is_watched_in_the_next():
    space = {"__name__": "late_driver"}

    def load():
        exec("from time import time as t\ndef work():\n    return t()", space)

    assert not live(load)[0].violations
    assert abs(space["work"]() - time.time()) < 5
    assert live(space["work"])[0].violations


def test_the_world_outside_its_tasks_and_other_threads_are_left_alone():
    kernel = Kernel(Recorder(Fifo()), Trace())
    machine = Machine(kernel)
    times = []

    def work():
        thread_may_go.set()
        machine.running.runtime.clock.sleep_s(1.0)
        while not times:
            machine.running.runtime.clock.sleep_s(0.001)

    def beside():
        thread_may_go.wait()
        times.append(time.time())

    thread_may_go = threading.Event()
    thread = threading.Thread(target=beside)
    thread.start()
    process = machine.launch("MyManager", lambda _: work())
    with Watch(kernel) as watch:
        kernel.run(lambda: bool(time.time()) and process.exitcode is not None)
    thread.join()
    assert not watch.violations
    assert times


def test_worlds_within_worlds_take_turns():
    kernel = Kernel(Recorder(Fifo()), Trace())
    with Watch(kernel):
        assert live(IMPURE["os.urandom()"])[0].violations
        assert os.urandom is not vars(os)["urandom"].__wrapped__
    assert not hasattr(os.urandom, "__wrapped__")


def test_with_patch_time_every_clock_shows_the_worlds_time_and_sleeping_lets_it_pass():
    found = {}

    def work():
        space.update(found=found)
        space["work"]()

    source = """
import time, threading, queue
from datetime import datetime, timezone, date
def work():
    begin = time.time()
    time.sleep(1.5)
    found["slept"] = time.time() - begin
    found["time"] = time.time_ns()
    found["monotonic"] = time.monotonic_ns() - time.perf_counter_ns()
    found["now"] = datetime.now(timezone.utc)
    found["naive"] = datetime.utcnow()
    found["local"] = datetime.now().timestamp(), datetime.today().timestamp()
    found["date"] = date.today()
    found["calendar"] = time.gmtime().tm_year, time.strftime("%Y"), time.ctime()[-4:]
    found["waited"] = threading.Event().wait(2.0)
    try:
        queue.Queue().get(timeout=3.0)
    except queue.Empty:
        pass
    found["after"] = time.time() - begin
    while time.time() < begin + 7.0:
        pass
    found["spun"] = time.time() - begin
    threading.Lock().acquire(timeout=1)
    time.sleep(-1)
"""
    space = {"__name__": "my_driver"}
    exec(compile(source, "my_driver.py", "exec"), space)
    watch, words = live(work, patch_time=True)
    assert list(watch.violations) == []
    assert "sleep length must be non-negative" in words[0]
    after_s = EPOCH_NS / 1e9 + 1.5
    moment = datetime.fromtimestamp(after_s, dt.UTC)
    assert found["slept"] == pytest.approx(1.5, abs=1e-6)
    assert found["time"] == EPOCH_NS + 1_500_000_000
    assert found["monotonic"] == 0
    assert found["now"] == moment
    assert found["naive"] == moment.replace(tzinfo=None)
    assert found["local"] == (pytest.approx(after_s), pytest.approx(after_s))
    assert type(found["now"]) is datetime
    assert abs(found["date"] - moment.date()) <= dt.timedelta(days=1)
    assert found["calendar"][0] == 2026
    assert found["waited"] is False
    assert found["after"] == pytest.approx(6.5, abs=1e-3)
    assert found["spun"] == pytest.approx(7.0, abs=1e-3)


def test_patch_time_gives_nobody_chance_or_threads_and_our_own_code_no_time():
    for what in ("os.urandom()", "threading.Thread.start()", "threading.Lock.acquire()"):
        assert live(IMPURE[what], patch_time=True)[0].violations
    space = {"time": time, "__name__": "magscope.sneaky"}
    exec("def work():\n    return time.time()", space)
    assert live(space["work"], patch_time=True)[0].violations


def test_d1_our_own_code_takes_no_bare_lock_even_where_it_is_free():
    space = {"lock": threading.Lock(), "__name__": "magscope.sneaky"}
    exec(compile("def work():\n    with lock: pass", "/x/magscope/sneaky.py", "exec"), space)
    watch, _ = live(space["work"])
    assert next(iter(watch.violations)).startswith(
        "D1: MyManager locks or waits as only threads can: "
        "threading.Lock.acquire() at magscope/sneaky.py:2"
    )


def rig_file(directory, gauge="Gauge", camera="sim.bead-camera", options=BEADS):
    path = directory / "rig.toml"
    path.write_text(RIG.format(camera=camera, gauge=gauge, options=options))
    return path


@pytest.mark.parametrize(
    ("gauge", "what"),
    [
        ("WallClockGauge", "reads the wall clock: time.time()"),
        ("RandomGauge", "draws at random without a seed: random.random()"),
        ("EntropyGauge", "draws at random without a seed: os.urandom()"),
        ("ThreadGauge", "starts a thread: threading.Thread.start()"),
        ("LockGauge", "locks or waits as only threads can: threading.Lock.acquire()"),
        ("QuietGauge", "reads the wall clock: time.time()"),
    ],
)
def test_d1_an_impure_manager_fails_its_world(tmp_path, gauge, what):
    outcome = sim.run(rig_file(tmp_path, gauge), for_s=0.3)
    assert outcome.violations[0].startswith(f"D1: gauge {what} at impure_devices.py:")
    assert any(step.site == "impurity" for step in outcome.trace.steps)


def test_d1_an_impure_camera_fails_its_world(tmp_path):
    wall_clock = rig_file(tmp_path, camera="impure_devices:WallClockCamera", options="{}")
    outcome = sim.run(wall_clock, for_s=0.3)
    assert outcome.violations[0].startswith("D1: CameraManager reads the wall clock: time.time()")
    random_camera = rig_file(tmp_path, camera="impure_devices:RandomCamera", options="{}")
    outcome = sim.run(random_camera, for_s=0.3, patch_time=True)
    assert outcome.violations[0].startswith("D1: CameraManager draws at random without a seed")


def test_a_pure_rig_violates_nothing(tmp_path):
    assert sim.run(rig_file(tmp_path), for_s=0.3).violations == ()


def test_outside_code_that_reads_the_wall_clock_runs_with_patch_time_the_same_twice(tmp_path):
    rig = rig_file(tmp_path, "SleepyGauge", "impure_devices:WallClockCamera", "{}")
    first, second = (sim.run(rig, for_s=1.0, patch_time=True) for _ in range(2))
    assert first.violations == ()
    assert first.trace_hash == second.trace_hash
    assert first.account.delivered == pytest.approx(50, abs=3)
    assert sim.world.world.run_plan(first.plan).trace_hash == first.trace_hash
