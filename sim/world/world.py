"""A world: the whole system in one process, in virtual time."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hal.clock import NS_PER_S
from magscope.report import FrameAccount, SessionReport
from magscope.rig import RigFile, load_rig, read_rig, to_toml
from magscope.runtime import current
from magscope.scope import MagScope
from magscope.scripting import script_file
from sim.faults import Fault, FaultPlan
from sim.properties import ALL, Property
from sim.world import schedules
from sim.world.injection import Injector
from sim.world.kernel import Deadlock, Kernel, WorldError
from sim.world.machine import Machine
from sim.world.minimise import ddmin
from sim.world.monitor import Monitor
from sim.world.plan import ROUTER, Action, Cause, Failure, Plan, Workload
from sim.world.probe import Probe, tell_of_snapshot
from sim.world.process import VirtualProcess
from sim.world.purity import Watch
from sim.world.scribble import Scribbler
from sim.world.story import story
from sim.world.trace import Trace

END_S = 15.0


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        trace_hash: The same for the same inputs, on every machine.
        violations: What went wrong that no fault explains, one line each.
        account: Where every frame went.
        report: The session's report, as `magscope run` gives it.
        virtual_s: Virtual seconds that passed.
        wall_s: Real seconds that it took.
        steps: Operations.
        plan: What gives this run again.
        struck: The faults that struck.
        unreached: The faults and deviations whose moment did not come.
        reached: The rare states that the run came through.
    """

    trace_hash: str
    trace: Trace = field(repr=False)
    violations: tuple[str, ...]
    account: FrameAccount
    report: SessionReport
    virtual_s: float
    wall_s: float
    steps: int
    plan: Plan = field(default_factory=Plan)
    struck: tuple[Fault, ...] = ()
    unreached: tuple[Fault | schedules.Deviation, ...] = ()
    reached: frozenset[str] = frozenset()

    def failure(self) -> Failure:
        """Return what replays this run up to its first violation; it is run once more for that."""
        again = run_plan(self.plan, stop_at_violation=True)
        if not again.violations:
            raise WorldError(
                f"the run violates {self.violations[0]!r}, and does not when it is run again: "
                "something in it hangs on the world outside"
            )
        return Failure.of(self.plan, again.violations[0], again.trace)

    def story(self) -> str:
        """Return what happened, and what was violated, in twenty lines at most."""
        return story(self.trace.steps, self.violations, self.plan.deviations)


class World:
    """The system with its rig, ready to be run step by step.

    Args:
        rig: A rig file, read; the default rig if None.
        seed: Of the simulated devices, and of the schedule.
        faults: What goes wrong.
        schedule: `fifo`, `random`, `pos`, `pct(d)`, `jitter`, or a chooser of one's own.
        for_s: Let the system end by itself after so many virtual seconds.
        script: The file of a script, which is run once the system is up.
        record: Record into this directory.
        actions: What is done meanwhile, by probes that are added for it.
        prepare: Called with the system before it starts: to add managers and devices of one's own.
        properties: What is watched; all there are if None.
        start_method: `fork` or `spawn`.
        keep_trace: Whether the steps are kept, or their hash alone.
        rig_text: The text of the rig file, where it is not to be read from the file itself.
        patch_time: Give the world's time to code from outside that reads `time` or `datetime`,
            or sleeps; else that is a violation.
    """

    def __init__(
        self,
        rig: RigFile | Path | None = None,
        *,
        seed: int = 0,
        faults: FaultPlan | Iterable[Fault] | None = None,
        schedule: str | schedules.Chooser = "fifo",
        for_s: float | None = None,
        script: str | Path | None = None,
        record: Path | None = None,
        actions: Iterable[Action] = (),
        prepare: Callable[[MagScope], None] | None = None,
        properties: Iterable[type[Property]] | None = None,
        start_method: str = "fork",
        keep_trace: bool = True,
        rig_text: str | None = None,
        patch_time: bool = False,
    ) -> None:
        self.rig = rig if isinstance(rig, RigFile) else load_rig(rig)
        self._script = path = None if script is None else script_file(script)
        self._script_text = path.read_text("utf-8") if path and path.is_file() else ""
        self._rig_text = rig_text if rig is not None else ""
        self.seed = seed
        self.trace = Trace(keep=keep_trace)
        chooser = schedules.make(schedule, seed) if isinstance(schedule, str) else schedule
        self.schedule = schedules.Recorder(chooser)
        self.kernel = Kernel(self.schedule, self.trace)
        self.watch = Watch(self.kernel, patch_time=patch_time)
        self.machine = Machine(self.kernel, start_method=start_method)
        self.faults = FaultPlan.of(faults)
        self.injector = Injector(self.machine, self.faults)
        self.monitor = Monitor()
        self.scope: MagScope | None = None
        self.report: SessionReport | None = None
        self.problems: list[str] = []
        self.actions = tuple(actions)
        self._prepare = prepare
        self._for_s, self.record = for_s, record
        self._began_s = time.perf_counter()
        self.monitor.watch(self, ALL if properties is None else properties)
        Scribbler(self)  # after those who compare what was read with what was written
        self.router: VirtualProcess = self.machine.launch(ROUTER, self._run_router)
        for action in self.actions:
            if action.do == "interrupt":
                self.kernel.at(int(action.at_s * NS_PER_S), self.stop)

    def _run_router(self, _: VirtualProcess) -> None:
        self.scope = scope = MagScope(self.rig, seed=self.seed)
        scope.run_for_s, scope.script_path, scope.record_dir = (
            self._for_s, self._script, self.record,
        )  # fmt: skip
        zero_ns = current().clock.monotonic_ns() - self.kernel.now_ns
        for name in sorted({action.process for action in self.actions} - {ROUTER}):
            its = [action for action in self.actions if action.process == name]
            scope.add_manager(Probe(name, its, zero_ns))
        for action in self.actions:
            if action.do == "look":
                scope.observe(tell_of_snapshot, *action.args)
        if self._prepare is not None:
            self._prepare(scope)
        scope.start()
        self.report = scope.report

    @property
    def now_s(self) -> float:
        """The virtual time in s."""
        return self.kernel.now_ns / NS_PER_S

    @property
    def has_ended(self) -> bool:
        """Whether every process has ended."""
        return self.machine.living == 0

    def run_until(self, condition: Callable[[], Any], timeout_s: float = 60.0) -> bool:
        """Run until a condition holds; False if it did not within so many virtual seconds."""
        until_ns = self.kernel.now_ns + int(timeout_s * NS_PER_S)
        try:
            with self.watch:
                self.kernel.run(lambda: bool(condition()) or self.has_ended, until_ns)
        except Deadlock as error:
            self.problems.append(f"deadlock: {error}")
        return bool(condition())

    def run_for(self, seconds: float) -> None:
        """Run for so many virtual seconds."""
        self.run_until(lambda: False, seconds)

    def process(self, name: str) -> VirtualProcess:
        """Return the newest process of a name."""
        found = [p for p in self.machine.processes.values() if p.name == name]
        if not found:
            names = ", ".join(p.name for p in self.machine.processes.values())
            raise KeyError(f"no process {name!r}; there are {names}")
        return found[-1]

    def block(self, name: str) -> mmap | None:
        """Return the session's shared memory of a name, as it lies there; None if there is none."""
        for (session, each), memory in self.machine.memory.items():
            if each == name and self.machine.sessions.get(session) is self.router:
                return memory
        return None

    def stop(self) -> None:
        """Press Ctrl-C."""
        if self.router.on_interrupt is not None:
            self.trace.add(self.kernel.now_ns, "world", "interrupt", ROUTER)
            self.router.on_interrupt()

    def inject(self, fault: Fault) -> None:
        """Let a fault strike; one with a time of the past strikes now."""
        self.injector.add(fault)

    def heal(self) -> None:
        """End every fault that lasts, and let none strike any more."""
        self.injector.heal()

    def finish(self, within_s: float = END_S, *, stop_at_violation: bool = False) -> Outcome:
        """Run until every process has ended, and say what came of it.

        Args:
            within_s: When to press Ctrl-C, in virtual seconds from now.
            stop_at_violation: End the world as soon as a property does not hold.
        """

        def is_over() -> bool:
            return stop_at_violation and bool(self.monitor.violations)

        if not self.run_until(lambda: self.has_ended or is_over(), within_s):
            self.stop()
            self.run_until(lambda: self.has_ended or is_over(), END_S)
        is_cut_short = is_over() and not self.has_ended
        if not is_cut_short:
            self._look_at_the_end()
        with self.watch:
            self.machine.close()
        report = self.report or SessionReport()
        return Outcome(
            trace_hash=self.trace.hash,
            trace=self.trace,
            violations=(*self.watch.violations, *self.monitor.violations, *self.problems),
            account=report.frames,
            report=report,
            virtual_s=self.now_s,
            wall_s=time.perf_counter() - self._began_s,
            steps=self.trace.count,
            plan=self._plan(),
            struck=tuple(self.injector.struck),
            unreached=(*self.injector.unreached, *self.schedule.unreached),
            reached=frozenset(self.monitor.reached),
        )

    def _look_at_the_end(self) -> None:
        self.monitor.end()
        if self.injector.effect_ends_ns is None:  # who hangs for good, nobody waits for in vain
            self.problems = [p for p in self.problems if not p.startswith("deadlock: ")]

    def _plan(self) -> Plan:
        text = self._rig_text
        if text is None:
            path = self.rig.path
            text = path.read_text("utf-8-sig") if path else to_toml(self.rig)
        workload = Workload(
            rig=text,
            seed=self.seed,
            for_s=self._for_s or 0.0,
            script=self._script_text,
            patch_time=self.watch.patch_time,
            actions=self.actions,
            start_method=self.machine.start_method,
            records=self.record is not None,
        )
        return Plan(workload, self.faults, tuple(self.schedule.deviations))


def run(
    rig: RigFile | Path | None = None,
    *,
    seed: int = 0,
    faults: FaultPlan | Iterable[Fault] | None = None,
    for_s: float = 10.0,
    schedule: str | schedules.Chooser = "fifo",
    script: str | Path | None = None,
    stop_at_violation: bool = False,
    **options: Any,
) -> Outcome:
    """Run the system for so many virtual seconds, let it quit, and say what came of it.

    These and the other options are those of `World`.
    """
    world = World(
        rig, seed=seed, faults=faults, for_s=for_s, schedule=schedule, script=script, **options
    )
    return world.finish(for_s + END_S, stop_at_violation=stop_at_violation)


@lru_cache(maxsize=64)
def _rig(text: str) -> RigFile:
    return read_rig(text, Path.cwd() / "rig.toml")


def run_plan(
    plan: Plan,
    *,
    schedule: str | schedules.Chooser | None = None,
    keep_trace: bool = True,
    stop_at_violation: bool = False,
    **options: Any,
) -> Outcome:
    """Run what a plan describes: the same plan gives the same trace.

    Args:
        plan: The run.
        schedule: Another schedule than the plan's own record of one.
        keep_trace: Whether the steps are kept, or their hash alone.
        stop_at_violation: End the world as soon as a property does not hold.
        options: More of `World`.
    """
    work = plan.workload
    with ExitStack() as stack:
        script = directory = None
        if work.script or work.records:
            directory = Path(stack.enter_context(TemporaryDirectory()))
        if work.script and directory is not None:
            script = directory / "script.py"
            script.write_text(work.script, encoding="utf-8")
        record = directory / "recording" if work.records and directory is not None else None
        if record is not None:
            record.mkdir()
        return run(
            _rig(work.rig) if work.rig else None,
            seed=work.seed,
            faults=plan.faults,
            for_s=work.for_s,
            schedule=schedules.Replay(plan.deviations) if schedule is None else schedule,
            script=script,
            record=record,
            actions=work.actions,
            start_method=work.start_method,
            keep_trace=keep_trace,
            rig_text=work.rig,
            patch_time=work.patch_time,
            stop_at_violation=stop_at_violation,
            **options,
        )


def kind_of(violation: str) -> str:
    """Return what was violated: the property's id, or who failed."""
    return violation.partition(":")[0]


def minimised(outcome: Outcome, *, most_runs: int = 300, **options: Any) -> tuple[Outcome, int]:
    """Return a run with the fewest causes that violates the same, up to there, and the runs.

    The options are those of `run_plan`.
    """
    kind = kind_of(outcome.violations[0])

    def fails(causes: Sequence[Cause]) -> bool:
        plan = outcome.plan.with_causes(causes)
        again = run_plan(plan, keep_trace=False, stop_at_violation=True, **options)
        return kind in map(kind_of, again.violations)

    causes, runs = ddmin(outcome.plan.causes, fails, most_runs=most_runs)
    smallest = outcome.plan.with_causes(causes)
    return run_plan(smallest, stop_at_violation=True, **options), runs
