"""What is run with a seed: a trial that is drawn from it, or a plan of which it is the seed."""

import importlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path

from sim.faults import FaultPlan, PlanError
from sim.world.plan import FailureFileError, Plan
from sim.world.schedules import make
from sim.world.world import Outcome, run_plan

Runner = Callable[[int, "Source", bool], Outcome]

SWARM = "sim.campaign.source:run_swarm"
PLAN = "sim.campaign.source:run_plan_over"


@dataclass(frozen=True)
class Source:
    """What a campaign runs; small, and plain data, so that any process can be told.

    Attributes:
        runner: `module:function`, called with a seed, this source, and whether to keep the trace;
            returns an `Outcome`, the same for the same seed.
        strategy: A schedule, or `portfolio` for one after the other.
        plan: The plan that is run, as JSON; empty for none.
    """

    runner: str = SWARM
    strategy: str = "portfolio"
    plan: str = ""

    def load(self) -> Runner:
        """Return the runner itself.

        Raises:
            ValueError: There is no such function.
        """
        module, _, name = self.runner.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(
                f"runner {self.runner!r}: {error}; expected module:function"
            ) from error
        return found

    @property
    def digest(self) -> str:
        """What tells this source from another."""
        text = json.dumps(asdict(self), sort_keys=True)
        return blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def words(self) -> list[str]:
        """The arguments of `python -m sim.campaign.batch` that mean this source, but a plan."""
        kind = {SWARM: ["--swarm"], PLAN: ["--plan", "FILE"]}
        return [*kind.get(self.runner, ["--runner", self.runner]), "--strategy", self.strategy]


def plan_source(text: str, strategy: str = "portfolio") -> Source:
    """Return the source that runs a plan over all seeds.

    Args:
        text: The JSON of a plan, of a failure, or of faults alone.
        strategy: A schedule, or `portfolio`.

    Raises:
        ValueError: It is none of these.
    """
    try:
        data = json.loads(text)
        if isinstance(data, dict) and "faults" in data and "workload" not in data:
            plan = Plan(faults=FaultPlan.from_json(data))
        else:
            plan = Plan.from_json(data)
    except (FailureFileError, PlanError, ValueError) as error:
        raise ValueError(str(error)) from error
    plain = replace(plan, deviations=())  # the strategy deviates
    return Source(PLAN, strategy, json.dumps(plain.to_json(), sort_keys=True))


def check_strategy(strategy: str) -> None:
    """Raise ValueError if there is no such strategy."""
    if strategy != "portfolio":
        make(strategy, 0)


def run_swarm(seed: int, source: Source, keep_trace: bool) -> Outcome:
    """Run the trial that a seed draws."""
    from sim.swarm import draw, run_trial

    return run_trial(draw(seed, strategy=source.strategy), keep_trace=keep_trace)


def run_plan_over(seed: int, source: Source, keep_trace: bool) -> Outcome:
    """Run a plan with another seed of its devices and its schedule."""
    from sim.swarm import STRATEGIES

    plan = _plan(source.plan)
    strategy = source.strategy
    name = STRATEGIES[seed % len(STRATEGIES)] if strategy == "portfolio" else strategy
    return run_plan(
        replace(plan, workload=replace(plan.workload, seed=seed)),
        schedule=make(name, seed),
        keep_trace=keep_trace,
    )


@cache
def _plan(text: str) -> Plan:
    return Plan.from_json(json.loads(text))


def check_code(fingerprint: str) -> None:
    """Raise ValueError if the code here is not the one of this fingerprint."""
    if fingerprint != code_fingerprint():
        raise ValueError(
            "the code here is not the campaign's: install the same version on every worker"
        )


@cache
def code_fingerprint() -> str:
    """Return a digest of the code that a world runs: results of other code say nothing of this."""
    digest = blake2b(digest_size=8)
    for package in ("hal", "magscope", "sim"):
        found = importlib.import_module(package).__path__
        for root in map(Path, found):
            for path in sorted([*root.rglob("*.py"), *root.rglob("*.toml")]):
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def known_states() -> frozenset[str]:
    """Return the names of the rare states that a campaign should have come to."""
    from sim import properties

    return frozenset(getattr(properties, "RARE_STATES", ()))
