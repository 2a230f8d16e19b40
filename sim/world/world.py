"""A world: the whole system in one process, in virtual time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hal.clock import NS_PER_S
from magscope.report import FrameAccount, SessionReport
from magscope.rig import RigFile, load_rig
from magscope.scope import MagScope
from sim.world import schedules
from sim.world.kernel import Deadlock, Kernel
from sim.world.machine import Machine, VirtualProcess
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
    """

    trace_hash: str
    trace: Trace = field(repr=False)
    violations: tuple[str, ...]
    account: FrameAccount
    report: SessionReport
    virtual_s: float
    wall_s: float
    steps: int
    deviations: tuple[schedules.Deviation, ...] = ()


class World:
    """The system with its rig, ready to be run step by step.

    Args:
        rig: A rig file, read; the default rig if None.
        seed: Of the simulated devices, and of the schedule.
        schedule: `fifo`, `random`, `pos`, `pct(d)`, or a chooser of one's own.
        for_s: Let the system end by itself after so many virtual seconds.
        script: Run this script once the system is up.
        start_method: `fork` or `spawn`.
        keep_trace: Whether the steps are kept, or their hash alone.
    """

    def __init__(
        self,
        rig: RigFile | Path | None = None,
        *,
        seed: int = 0,
        schedule: str | schedules.Chooser = "fifo",
        for_s: float | None = None,
        script: Path | None = None,
        record: Path | None = None,
        start_method: str = "fork",
        keep_trace: bool = True,
    ) -> None:
        self.rig = rig if isinstance(rig, RigFile) else load_rig(rig)
        self.seed = seed
        self.trace = Trace(keep=keep_trace)
        chooser = schedules.make(schedule, seed) if isinstance(schedule, str) else schedule
        self.schedule = schedules.Recorder(chooser)
        self.kernel = Kernel(self.schedule, self.trace)
        self.machine = Machine(self.kernel, start_method=start_method)
        self.scope: MagScope | None = None
        self.report: SessionReport | None = None
        self.problems: list[str] = []
        self._for_s, self._script, self._record = for_s, script, record
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

    def finish(self, within_s: float = END_S) -> Outcome:
        """Run until every process has ended, and say what came of it."""
        self.run_until(lambda: self.has_ended, within_s)
        for process in self.machine.processes.values():
            if process.exitcode is None:
                self.problems.append(f"S1: {process.name} still runs {within_s:g} s later")
        self.problems += [f"{name} failed: {words}" for name, words in self.machine.crashes]
        left = sorted({name for _, name in self.machine.memory})
        if left and self.has_ended:
            self.problems.append(f"S3: shared memory is left: {', '.join(left)}")
        self.kernel.close()
        report = self.report or SessionReport()
        if self.report is not None and not report.frames.balances:
            self.problems.append(f"B1: the account does not balance: {report.frames}")
        return Outcome(
            trace_hash=self.trace.hash,
            trace=self.trace,
            violations=tuple(self.problems),
            account=report.frames,
            report=report,
            virtual_s=self.now_s,
            wall_s=time.perf_counter() - self._began_s,
            steps=self.trace.count,
            deviations=tuple(self.schedule.deviations),
        )


def run(
    rig: RigFile | Path | None = None,
    *,
    seed: int = 0,
    for_s: float = 10.0,
    schedule: str = "fifo",
    script: Path | None = None,
    record: Path | None = None,
) -> Outcome:
    """Run the system for so many virtual seconds, and let it quit."""
    world = World(rig, seed=seed, schedule=schedule, for_s=for_s, script=script, record=record)
    return world.finish(for_s + END_S)
