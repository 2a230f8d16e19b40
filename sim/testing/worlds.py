"""The worlds of one test: made, looked at when the test ends, and told of when it failed."""

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from magscope.rig import RigFile, read_rig
from sim.faults import Fault, FaultPlan
from sim.world.plan import ROUTER, Action, Failure, Plan
from sim.world.world import Outcome, World, kind_of, minimised, run_plan

LONG_S = 3600.0


class PropertyViolated(AssertionError):  # noqa: N818 - it is what happened
    """A property did not hold in a world; the text says which, and tells the story if it has it."""


class TestWorld(World):
    """A world that remembers what the test did to it, so that its plan does the same."""

    __test__ = False

    def __init__(self, rig: RigFile | Path | None = None, **options: Any) -> None:
        self._did: list[Fault | Action] = []
        self._is_by_hand = options.get("prepare") is not None
        self._ended: Outcome | None = None
        self._is_open = options.get("for_s") is None
        super().__init__(rig, **options)

    @property
    def has_plan(self) -> bool:
        """Whether a plan can say all that was done."""
        return not self._is_by_hand

    @property
    def outcome(self) -> Outcome:
        """What came of it; it is run to its end first."""
        return self._ended or self.finish()

    def inject(self, fault: Fault) -> None:
        """Let a fault strike; one with a time of the past strikes now."""
        if fault.at_s is not None and fault.at_s < self.now_s:
            fault = replace(fault, at_s=self.now_s)
        self._did.append(fault)
        super().inject(fault)

    def stop(self) -> None:
        """Press Ctrl-C."""
        if not self.has_ended:
            self._did.append(Action(self.now_s, ROUTER, "interrupt"))
        super().stop()

    def heal(self) -> None:
        """End every fault that lasts, and let none strike any more."""
        self._is_by_hand = True
        super().heal()

    def finish(self, *args: Any, **options: Any) -> Outcome:
        """Run until every process has ended, and say what came of it."""
        if self._ended is None:
            self._ended = super().finish(*args, **options)
        return self._ended

    def _plan(self) -> Plan:
        plan = super()._plan()
        if self._is_open:
            plan = replace(plan, workload=replace(plan.workload, for_s=LONG_S))
        return plan.with_causes([*plan.causes, *self._did]) if self._did else plan


class Worlds:
    """Makes the worlds of one test.

    Args:
        rig: What a world has that is given none: a rig file's text, its path, or a rig file read.
        faults: What goes wrong in a world that is not told.
        seed: Of a world that is given none.
        directory: Where failure files go.
        name: The test's.
        command: Runs the test again.

    Attributes:
        seed: As given; a test that is run with many seeds changes it.
    """

    def __init__(
        self, rig: Any, faults: FaultPlan, seed: int, directory: Path, name: str, command: str
    ) -> None:
        self.seed = seed
        self._rig, self._faults = rig, faults
        self._directory, self._name, self._command = directory, name, command
        self._worlds: list[TestWorld] = []

    def make(self, rig: Any = None, **options: Any) -> World:
        """Make a world; it is run to its end, and looked at, when the test ends.

        Args:
            rig: A rig file's text, its path, or a rig file read; the fixture `rig` if None.
            options: Those of `World`.
        """
        rig = self._rig if rig is None else rig
        if isinstance(rig, str):
            options.setdefault("rig_text", rig)
            rig = read_rig(rig, Path.cwd() / "rig.toml")
        options.setdefault("seed", self.seed)
        options.setdefault("faults", self._faults)
        world = TestWorld(rig, **options)
        self._worlds.append(world)
        return world

    def check(self) -> None:
        """Run every world to its end; raises PropertyViolated where something did not hold."""
        __tracebackhide__ = True
        for world in self._worlds:
            if violations := world.outcome.violations:
                raise PropertyViolated("\n".join(violations))

    def forget(self) -> None:
        """Let go of the worlds: the next seed has its own."""
        self._worlds.clear()

    def tell(self) -> str:
        """Return the story of the world that failed, or of the last one, and how to replay it."""
        if not self._worlds:
            return ""
        failed = [world for world in self._worlds if world.outcome.violations]
        world = failed[0] if failed else self._worlds[-1]
        outcome = world.outcome
        if not outcome.violations:
            return f"{outcome.story()}\n\nagain: {self._command} --sim-seed {world.seed}"
        command = f"{self._command} --sim-seed {world.seed}"
        if (smaller := self._replayable(world)) is not None:
            outcome = smaller
        failure = Failure.of(outcome.plan, outcome.violations[0], outcome.trace)
        digest = blake2b(self._name.encode(), digest_size=4).hexdigest()
        path = self._directory / f"{digest}-{outcome.trace_hash[:8]}.json"
        failure.save(path)
        causes = "\n".join(f"  {cause}" for cause in outcome.plan.causes) or "  nothing unusual"
        if smaller is not None:
            command = f"magscope replay {path}"
        return f"{outcome.story()}\n\nwhat was done:\n{causes}\nagain: {command}"

    @staticmethod
    def _replayable(world: TestWorld) -> Outcome | None:
        """Return the smallest run of the world's plan that fails in the same way, if it does."""
        if not world.has_plan:
            return None
        kind = kind_of(world.outcome.violations[0])
        again = run_plan(world.outcome.plan)
        if kind not in map(kind_of, again.violations):
            return None
        smaller, _ = minimised(again, most_runs=100)
        return smaller if smaller.violations else again
