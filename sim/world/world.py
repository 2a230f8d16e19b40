"""A world: the whole system in one process, in virtual time."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hal.clock import NS_PER_S
from magscope.report import FrameAccount, SessionReport
from magscope.rig import RigFile, load_rig, read_rig, to_toml
from magscope.scope import MagScope
from sim.faults import Fault, FaultPlan
from sim.world import schedules
from sim.world.injection import Injector
from sim.world.kernel import Deadlock, Kernel
from sim.world.machine import Machine, VirtualProcess
from sim.world.minimise import ddmin
from sim.world.plan import Failure, Plan, Workload
from sim.world.purity import Watch
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

    def failure(self) -> Failure:
        """Return what replays this run, whose first violation is what failed."""
        return Failure.of(self.plan, self.violations[0], self.trace)


class World:
    """The system with its rig, ready to be run step by step.

    Args:
        rig: A rig file, read; the default rig if None.
        seed: Of the simulated devices, and of the schedule.
        faults: What goes wrong.
        schedule: `fifo`, `random`, `pos`, `pct(d)`, `jitter`, or a chooser of one's own.
        for_s: Let the system end by itself after so many virtual seconds.
        script: Run this script once the system is up.
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
        script: Path | None = None,
        record: Path | None = None,
        start_method: str = "fork",
        keep_trace: bool = True,
        rig_text: str | None = None,
        patch_time: bool = False,
    ) -> None:
        self.rig = rig if isinstance(rig, RigFile) else load_rig(rig)
        self._rig_text = rig_text if rig is not None else ""
        if self._rig_text is None:
            path = self.rig.path
            self._rig_text = path.read_text("utf-8-sig") if path else to_toml(self.rig)
        self.seed = seed
        self.trace = Trace(keep=keep_trace)
        chooser = schedules.make(schedule, seed) if isinstance(schedule, str) else schedule
        self.schedule = schedules.Recorder(chooser)
        self.kernel = Kernel(self.schedule, self.trace)
        self.watch = Watch(self.kernel, patch_time=patch_time)
        self.machine = Machine(self.kernel, start_method=start_method)
        self.faults = FaultPlan.of(faults)
        self.injector = Injector(self.machine, self.faults)
        self.scope: MagScope | None = None
        self.report: SessionReport | None = None
        self.problems: list[str] = []
        self._for_s, self._script, self._record = for_s, script, record
        self._script_text = script.read_text("utf-8") if script and script.is_file() else ""
        self._began_s = time.perf_counter()
        self.router: VirtualProcess = self.machine.launch("MagScope", self._run_router)

    def _run_router(self, _: VirtualProcess) -> None:
        self.scope = scope = MagScope(self.rig, seed=self.seed)
        scope.run_for_s, scope.script_path, scope.record_dir = (
            self._for_s, self._script, self._record,
        )  # fmt: skip
        scope.start()
        self.report = scope.report

    @property
    def now_s(self) -> float:
        """The virtual time in s."""
        return self.kernel.now_ns / NS_PER_S

    @property
    def has_ended(self) -> bool:
        """Whether every process has ended."""
        return all(p.exitcode is not None for p in self.machine.processes.values())

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

    def stop(self) -> None:
        """Press Ctrl-C."""
        if self.router.on_interrupt is not None:
            self.router.on_interrupt()

    def inject(self, fault: Fault) -> None:
        """Let a fault strike; one with a time of the past strikes now."""
        self.injector.add(fault)

    def heal(self) -> None:
        """End every fault that lasts, and let none strike any more."""
        self.injector.heal()

    def finish(self, within_s: float = END_S) -> Outcome:
        """Run until every process has ended, and say what came of it."""
        if not self.run_until(lambda: self.has_ended, within_s):
            self.stop()
            self.run_until(lambda: self.has_ended, END_S)
        for process in self.machine.processes.values():
            if process.exitcode is None:
                self.problems.append(f"S1: {process.name} still runs {END_S:g} s after the end")
        self.problems += [f"{name} failed: {words}" for name, words in self.machine.crashes]
        left = sorted({name for _, name in self.machine.memory})
        if left and self.has_ended:
            self.problems.append(f"S3: shared memory is left: {', '.join(left)}")
        with self.watch:
            self.kernel.close()
        report = self.report or SessionReport()
        if self.report is not None and not report.frames.balances:
            self.problems.append(f"B1: the account does not balance: {report.frames}")
        if not self.injector.struck and self.report is not None:
            self.problems += [f"S5: without any fault: {error}" for error in report.errors]
        elif self.report is not None:  # what a fault leads to is an error, but no exception
            self.problems += [
                f"{line.source} failed: {line.text}"
                for line in report.log
                if line.level == "error" and "\nTraceback (most recent call last)" in line.text
            ]
        return Outcome(
            trace_hash=self.trace.hash,
            trace=self.trace,
            violations=(*self.watch.violations, *self.problems),
            account=report.frames,
            report=report,
            virtual_s=self.now_s,
            wall_s=time.perf_counter() - self._began_s,
            steps=self.trace.count,
            plan=self._plan(),
            struck=tuple(self.injector.struck),
            unreached=(*self.injector.unreached, *self.schedule.unreached),
        )

    def _plan(self) -> Plan:
        workload = Workload(
            self._rig_text or "",
            self.seed,
            self._for_s or 0.0,
            self._script_text,
            self.watch.patch_time,
        )
        return Plan(workload, self.faults, tuple(self.schedule.deviations))


def run(
    rig: RigFile | Path | None = None,
    *,
    seed: int = 0,
    faults: FaultPlan | Iterable[Fault] | None = None,
    for_s: float = 10.0,
    schedule: str | schedules.Chooser = "fifo",
    script: Path | None = None,
    record: Path | None = None,
    keep_trace: bool = True,
    rig_text: str | None = None,
    patch_time: bool = False,
) -> Outcome:
    """Run the system for so many virtual seconds, let it quit, and say what came of it.

    The arguments are those of `World`.
    """
    world = World(
        rig,
        seed=seed,
        faults=faults,
        schedule=schedule,
        for_s=for_s,
        script=script,
        record=record,
        keep_trace=keep_trace,
        rig_text=rig_text,
        patch_time=patch_time,
    )
    return world.finish(for_s + END_S)


def run_plan(plan: Plan, *, keep_trace: bool = True) -> Outcome:
    """Run what a plan describes: the same plan gives the same trace."""
    work = plan.workload
    rig = read_rig(work.rig, Path.cwd() / "rig.toml") if work.rig else None
    with TemporaryDirectory() as directory:
        script = None
        if work.script:
            script = Path(directory) / "script.py"
            script.write_text(work.script, encoding="utf-8")
        return run(
            rig,
            seed=work.seed,
            faults=plan.faults,
            for_s=work.for_s,
            schedule=schedules.Replay(plan.deviations),
            script=script,
            keep_trace=keep_trace,
            rig_text=work.rig,
            patch_time=work.patch_time,
        )


def minimised(outcome: Outcome, *, most_runs: int = 300) -> tuple[Outcome, int]:
    """Return a run with the fewest faults and deviations that violates the same, and the runs."""
    identity = outcome.violations[0].partition(":")[0]

    def fails(causes: Sequence[Fault | schedules.Deviation]) -> bool:
        again = run_plan(outcome.plan.with_causes(causes), keep_trace=False)
        return any(v.partition(":")[0] == identity for v in again.violations)

    causes, runs = ddmin(outcome.plan.causes, fails, most_runs=most_runs)
    return run_plan(outcome.plan.with_causes(causes)), runs
