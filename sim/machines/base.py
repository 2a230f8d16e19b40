"""What the machines have in common: what they did is told, checked, made small and kept."""

import os
from functools import cache
from pathlib import Path
from typing import ClassVar, Never

from hypothesis import currently_in_test_context, event, target
from hypothesis.stateful import RuleBasedStateMachine

from sim.faults import Fault
from sim.machines.stage import Stage
from sim.testing.worlds import PropertyViolated
from sim.world.plan import Action, Cause, Failure, Plan
from sim.world.story import story
from sim.world.world import Outcome, kind_of, minimised, run_plan

OUT = "MAGSCOPE_SIM_OUT"
STEP_S = 0.02
MOST_RUNS = 150


class Finds:
    """What a machine has found so far: of each kind of failure, the smallest run."""

    def __init__(self) -> None:
        self.smallest: dict[str, Outcome] = {}

    def smaller(self, outcome: Outcome) -> Outcome:
        """Return the smallest run that is known to fail as this one; make it smaller if need be."""
        kind = kind_of(outcome.violations[0])
        known = self.smallest.get(kind)
        if known is None or len(outcome.plan.causes) < len(known.plan.causes):
            found, _ = minimised(outcome, most_runs=MOST_RUNS)
            self.smallest[kind] = found if found.violations else outcome
        return self.smallest[kind]


@cache
def finds_of(_: type) -> Finds:
    """Return what a class of machines has found in this process."""
    return Finds()


def out_directory() -> Path:
    """Return where failure files go: `MAGSCOPE_SIM_OUT`, or `.hypothesis/magscope`."""
    directory = Path(os.environ.get(OUT) or Path.cwd() / ".hypothesis" / "magscope")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def keep(failure: Failure, name: str) -> Path:
    """Write a failure into the directory for them, under a name that tells it from others."""
    path = out_directory() / f"{name}-{failure.trace_hash[:8]}.json"
    failure.save(path)
    return path


def told(outcome: Outcome, name: str) -> str:
    """Return a failed run's story, and the command that replays it; its failure file is written."""
    violation = outcome.violations[0]
    path = keep(Failure.of(outcome.plan, violation, outcome.trace), name)
    causes = "\n".join(f"  {cause}" for cause in outcome.plan.causes) or "  nothing unusual"
    return (
        f"{violation}\n\n{outcome.story()}\n\n"
        f"It takes no more than this:\n{causes}\nmagscope replay {path}"
    )


class Machine(RuleBasedStateMachine):
    """A state machine over virtual time that keeps an account of what it did.

    Attributes:
        now_s: The virtual time of the plan.
        causes: What the rules did, as parts of a plan.
    """

    STEP_S: ClassVar[float] = STEP_S

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.causes: list[Cause] = []

    def record(self, cause: Action | Fault) -> None:
        """Make something a part of the plan; a fault strikes once, an action is done again."""
        if isinstance(cause, Action) or cause not in self.causes:
            self.causes.append(cause)

    def steer(self, observed: dict[str, float], reached: frozenset[str] = frozenset()) -> None:
        """Steer hypothesis towards more of what was observed, and count what was reached."""
        if not currently_in_test_context():
            return
        for label, number in sorted(observed.items()):
            target(number, label=label)
        target(float(len(reached)), label="rare states")
        for state in sorted(reached):
            event(f"reached: {state}")


class StageMachine(Machine):
    """A machine that drives a few real parts on a stage, and looks after each rule."""

    stage: Stage

    @property
    def is_up(self) -> bool:
        """Whether there is something to look at."""
        return hasattr(self, "stage")

    def done(self, text: str) -> None:
        """Note what a rule does now."""
        self.now_s = round(self.now_s + self.STEP_S, 3)
        self.stage.say(text)

    def check(self, problem: str) -> None:
        """Fail if there is a problem: with the story, and, if it fails too, with a whole run."""
        if problem:
            self._fail(problem)

    def check_processes(self) -> None:
        """Fail if a process of the stage has ended by an exception."""
        for name, words in self.stage.machine.crashes:
            self._fail(f"{name} failed: {words}")

    def _fail(self, problem: str) -> Never:
        text = f"{problem}\n\n{story(self.stage.trace.steps, [problem])}"
        if (whole := self._whole()) is not None:
            text += f"\n\nIn a whole system:\n{told(whole, type(self).__name__)}"
        raise PropertyViolated(text)

    def _whole(self) -> Outcome | None:
        """Return a whole run that fails when the same is done in it, if it does."""
        plan = self.as_plan()
        if plan is None:
            return None
        outcome = run_plan(plan)
        is_property = outcome.violations and kind_of(outcome.violations[0])[1:].isdigit()
        return finds_of(type(self)).smaller(outcome) if is_property else None

    def as_plan(self) -> Plan | None:
        """Return the plan that does the same in a whole system, if there is one."""
        return None

    def observe(self) -> dict[str, float]:
        """Return what to steer towards."""
        return {}

    def teardown(self) -> None:
        """Steer, and end the stage."""
        if self.is_up:
            self.steer(self.observe())
            self.stage.close()


class PlanMachine(Machine):
    """A machine whose rules write a plan: what it did is the failing example that is replayed.

    The plan is run when the rules have come to their end, with every property watching at every
    step; `judge` compares what came of it with the machine's model.
    """

    def plan(self) -> Plan | None:
        """Return the plan; None where there is nothing to be run."""
        raise NotImplementedError

    def judge(self, outcome: Outcome) -> str:
        """Compare a run with the model; return what is wrong, or ""."""
        raise NotImplementedError

    def observe(self, outcome: Outcome) -> dict[str, float]:
        """Return what to steer towards."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Run the plan, and fail with its story if it violates anything."""
        plan = self.plan()
        if plan is None:
            return
        outcome = self.run(plan)
        self.steer(self.observe(outcome), outcome.reached)
        if outcome.violations:
            smallest = finds_of(type(self)).smaller(outcome)
            raise PropertyViolated(told(smallest, type(self).__name__))
        if problem := self.judge(outcome):
            steps = outcome.trace.steps
            failure = Failure.of(outcome.plan, problem, outcome.trace)
            path = keep(failure, type(self).__name__)
            raise PropertyViolated(f"{problem}\n\n{story(steps, [problem])}\n\n"
                                   f"magscope trace {path}")  # fmt: skip

    def run(self, plan: Plan) -> Outcome:
        """Run the plan."""
        return run_plan(plan)
