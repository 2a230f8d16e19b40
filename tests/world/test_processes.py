"""What makes a process of a world a process: its own memory, and a death that nothing follows."""

import gc
import mmap
from collections import Counter as Tally

import conformance_memory
import pytest
from conformance_memory import Counter, Failing, Talker
from conformance_tools import begin, end_of, in_a_world, kill, over_os_processes, raises, receive
from greenlet import greenlet

from magscope.rig import load_rig
from magscope.runtime import Runtime, current, machine
from magscope.scope import MagScope
from sim.faults import Crash, Delay
from sim.world.kernel import Kernel
from sim.world.machine import Machine
from sim.world.world import World

# pytest-xdist's workers have threads, and Python 3.12 on warns of a fork beside them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")

on_both = pytest.mark.parametrize("do", [over_os_processes, in_a_world])


class WorldWith(World):
    """A world whose system has one more manager."""

    def __init__(self, rig, make_manager, **options):
        self._make_manager = make_manager
        super().__init__(rig, **options)

    def _run_router(self, _):
        self.scope = scope = MagScope(self.rig, seed=self.seed)
        scope.run_for_s = self._for_s
        scope.add_hardware(self._make_manager())
        scope.start()
        self.report = scope.report


@on_both
def test_nothing_that_a_killed_process_had_still_to_do_is_done(do):
    def scenario(runtime: Runtime) -> None:
        marks, bell = runtime.shared_memory("marks", 2), runtime.bell()
        events = [runtime.event() for _ in range(4)]
        child = begin(conformance_memory.tidy_everywhere, bell, events)
        assert runtime.wait([bell], timeout_s=20)
        kill(child)
        gc.collect()
        assert [event.is_set() for event in events] == [False] * 4
        assert bytes(marks.buf) == b"\x01\x00"
        marks.unlink()

    do(scenario)


@pytest.mark.parametrize("name", ["CameraManager", "VideoProcessorManager", "VideoWorker-1"])
@pytest.mark.parametrize("site", ["wait", "lock.acquire", "pipe.write", "value.get"])
def test_a_process_that_is_killed_at_an_operation_does_neither_it_nor_any_other(small, name, site):
    crash = Crash(name, site=site, hit=3)
    outcome = World(small, seed=1, for_s=0.6, faults=[crash]).finish()
    assert outcome.struck == (crash,)
    theirs = [step for step in outcome.trace.steps if step.process == name]
    assert [(step.site, step.detail) for step in theirs][-1] == ("process.end", "-9")
    assert theirs[-2].site == site
    assert Tally(step.site for step in theirs)[site] == 3
    assert outcome.violations == ()


@on_both
def test_what_a_module_or_a_class_keeps_is_each_processs_own(do):
    before = conformance_memory.count

    def scenario(runtime: Runtime) -> None:
        pipes = {name: runtime.pipe() for name in ("one", "other")}
        children = [
            begin(conformance_memory.count_here, name, ends=[its])
            for name, (_, its) in pipes.items()
        ]
        conformance_memory.count += 100
        for turn in (1, 2, 3):
            for name, (mine, _) in pipes.items():
                mine.send(b"count")
                now = before + turn
                assert receive(mine).decode() == repr((now, [name] * turn, turn, {name: now}, True))
        assert [end_of(child) for child in children] == [0, 0]

    do(scenario)
    assert conformance_memory.count == before + 100
    assert (conformance_memory.seen, Counter.made, Counter.names) == ([], 0, {})


@on_both
def test_a_child_goes_on_from_what_its_parent_kept(do):
    before = conformance_memory.count

    def scenario(runtime: Runtime) -> None:
        mine, its = runtime.pipe()
        child = begin(conformance_memory.begin_a_counting_child, ends=[its])
        mine.send(b"count")
        assert receive(mine).startswith(b"(%d, ['grandchild'], 1, " % (before + 11))
        mine.close()
        assert end_of(child) == 0

    do(scenario)
    assert conformance_memory.count == before


@on_both
def test_a_forked_child_has_copies_of_functions_that_no_module_has(do):
    given = [1]

    class Local:
        kept = 5

    def change(end):
        given.append(len(given))
        answer = (given, Local.kept, (lambda: again is change)())
        end.send(repr(answer).encode())

    again = change

    def scenario(runtime: Runtime) -> None:
        mine, its = runtime.pipe()
        child = begin(change, ends=[its])
        assert receive(mine) == b"([1, 1], 5, True)"
        assert end_of(child) == 0
        assert given == [1]

    do(scenario)


@on_both
def test_a_message_is_its_senders_words_and_each_receivers_own(do, small):
    def scenario(runtime: Runtime) -> None:
        runtime.end_session()
        scope = MagScope(load_rig(small))
        scope.run_for_s = 15.0
        scope.add_hardware(Talker("speaker", ("first", "second")))
        scope.add_hardware(Talker("first"))
        scope.add_hardware(Talker("second"))
        scope.start()
        assert scope.report.errors == ()
        assert scope.report.duration_s < 15.0  # it quit when both had answered

    do(scenario)


def test_singletons_are_one_in_each_process_of_each_world(small):
    worlds = [World(small, seed=seed, for_s=0.3) for seed in range(3)]
    outside = dict(machine().singletons())
    for world in worlds:
        assert world.run_until(lambda world=world: world.now_s > 0.1)
    assert len({id(world.scope) for world in worlds}) == 3
    for world in reversed(worlds):
        assert world.router.runtime.singletons()[MagScope] is world.scope
        assert world.process("CameraManager").runtime.singletons() == {}
    for world in worlds:
        assert world.finish().violations == ()
        assert world.router.runtime.singletons() == {}
    assert machine().singletons() == outside
    assert current() is machine()


def test_a_second_singleton_in_one_process_of_a_world_is_refused(small):
    def scenario(_: Runtime) -> None:
        MagScope(load_rig(small))
        assert raises(TypeError, lambda: MagScope(load_rig(small)))

    for _ in range(2):
        in_a_world(scenario)


def test_s3_hundreds_of_worlds_leave_nothing_of_themselves():
    def scenario(runtime: Runtime) -> None:
        mine, its = runtime.pipe()
        block = runtime.shared_memory("block", 8)
        child = begin(conformance_memory.begin_a_counting_child, ends=[its])
        mine.send(b"count")
        receive(mine)
        kill(child)
        mine.close()
        del block

    def state():
        gc.collect()
        kinds = (Kernel, Machine, greenlet, mmap.mmap)
        things = Tally(type(thing) for thing in gc.get_objects() if isinstance(thing, kinds))
        return things, len(machine().singletons())

    def run():
        return in_a_world(scenario).kernel.trace.hash

    first, before = run(), state()
    assert {run() for _ in range(300)} == {first}
    assert state() == before


@pytest.mark.parametrize(
    ("where", "faults"),
    [
        *((where, ()) for where in ("setup", "handler", "loop", "shutdown")),
        *((where, (Delay("CameraManager", at_s=0.1),)) for where in ("setup", "handler", "loop")),
    ],
)
def test_an_exception_that_no_fault_injected_fails_the_run(small, where, faults):
    outcome = WorldWith(small, lambda: Failing(where), for_s=0.4, faults=faults).finish()
    assert any("Failing" in v and "LookupError" in v for v in outcome.violations)
    assert outcome.plan.faults.faults == faults


def test_a_run_in_which_nothing_is_raised_does_not_fail(small):
    assert WorldWith(small, Failing, for_s=0.4).finish().violations == ()


def test_an_exception_in_the_first_process_fails_the_run(small):
    class Broken(WorldWith):
        def _run_router(self, _):
            raise LookupError("on purpose")

    (violation,) = Broken(small, Failing).finish().violations
    assert violation.startswith("escaped: MagScope")
    assert "LookupError: on purpose" in violation
