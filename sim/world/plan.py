"""A run as a small file: its workload, its faults, where its schedule deviates; and what failed."""

import base64
import json
import platform
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sim.faults import Fault, FaultPlan
from sim.world.schedules import Deviation
from sim.world.trace import Step, Trace

VERSION = 1
ROUTER = "MagScope"
DOINGS = (
    "send", "flood", "talk", "post", "send_bad", "stall", "read", "quit", "interrupt", "look",
)  # fmt: skip
_ROUTERS = ("interrupt", "look")
_SHOWN = 60  # letters of an argument


class FailureFileError(ValueError):
    """A file that replays nothing; the text says why."""


@dataclass(frozen=True)
class Action:
    """Something that somebody does in a run, at a virtual time.

    A *probe*, a small manager `Probe-1`, `Probe-2`, … that the world adds to the system, may

    - `send` a `Message(to, meth, *args)`,
    - `flood`: send so many of them in a row (`args` is the number, and what each one carries),
    - `talk`: send one every so many seconds, so many in all (`args` is both),
    - `post` the bytes that `args` has in hexadecimal, whatever they are,
    - `send_bad`: send something that is no message, of the kind that `meth` names,
    - `stall`: not read its messages for so many seconds (`args`),
    - `read` the buffer of rows `to`, as `meth` says (`read` what is new, or the `newest`), every so
      many seconds, so many times in all (`args` is both),
    - `quit`.

    `MagScope` may `interrupt`: Ctrl-C is pressed; or `look`: somebody who watches the session is
    shown a snapshot of it every so many seconds (`args`).

    Attributes:
        at_s: Virtual seconds from the world's beginning; before the system is up, then.
        process: Who does it.
        do: What.
        to: The receiver of a message.
        meth: Its method; or which bad message.
        args: Its arguments, as JSON has them.
    """

    at_s: float
    process: str
    do: str
    to: str = ""
    meth: str = ""
    args: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if self.do not in DOINGS:
            raise ValueError(f"action {self.do!r}: choose one of {', '.join(DOINGS)}")
        if (self.do in _ROUTERS) != (self.process == ROUTER):
            raise ValueError(
                f"{self.process} can not {self.do}: {ROUTER} can {' and '.join(_ROUTERS)} alone"
            )
        if not 0 <= self.at_s < 1e6:
            raise ValueError(f"{self.do} of {self.process!r}: at_s = {self.at_s} is no time")

    def __str__(self) -> str:
        given = ", ".join(map(_shortened, self.args))
        first = given.partition(", ")[0]
        what = {
            "send": f"sends {self.to}.{self.meth}({given})",
            "flood": f"sends {self.to}.{self.meth} {first} times in a row",
            "talk": f"sends {self.to}.{self.meth} every {first} s",
            "post": f"writes bytes into its pipe that are no message ({given})",
            "send_bad": f"sends {self.to} a message that is {self.meth}",
            "stall": f"does not read for {first} s",
            "read": f"looks at the {self.meth} rows of {self.to} every {first} s",
            "quit": "quits",
            "interrupt": "is told to end by Ctrl-C",
            "look": f"is looked at every {first} s",
        }[self.do]
        return f"{self.process} {what} at {self.at_s:g} s"


def _shortened(argument: Any) -> str:
    text = repr(argument)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


@dataclass(frozen=True)
class Workload:
    """What a run is given besides its faults and its schedule.

    Attributes:
        rig: The rig file's text; empty for the default rig.
        seed: Of the devices.
        for_s: When the system ends by itself, in virtual seconds.
        script: The script's text; empty for none.
        patch_time: Whether code from outside has the world's time instead of the wall clock's.
        actions: What is done meanwhile.
        start_method: `fork` or `spawn`.
        records: Whether all is recorded, into a directory of the moment.
    """

    rig: str = ""
    seed: int = 0
    for_s: float = 10.0
    script: str = ""
    patch_time: bool = False
    actions: tuple[Action, ...] = ()
    start_method: str = "fork"
    records: bool = False


@dataclass(frozen=True)
class Plan:
    """A run, whole: the same plan gives the same trace."""

    workload: Workload = field(default_factory=Workload)
    faults: FaultPlan = field(default_factory=FaultPlan)
    deviations: tuple[Deviation, ...] = ()

    @property
    def causes(self) -> "list[Cause]":
        """What makes the run differ from one in which nothing is unusual."""
        return [*self.workload.actions, *self.faults, *self.deviations]

    def with_causes(self, causes: "Iterable[Cause]") -> "Plan":
        """Return the plan with these causes and no others."""
        causes = list(causes)
        actions = tuple(c for c in causes if isinstance(c, Action))
        return replace(
            self,
            workload=replace(self.workload, actions=actions),
            faults=FaultPlan(tuple(c for c in causes if isinstance(c, Fault))),
            deviations=tuple(c for c in causes if isinstance(c, Deviation)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {
            "version": VERSION,
            "workload": asdict(self.workload),
            "faults": self.faults.to_json()["faults"],
            "deviations": [list(asdict(d).values()) for d in self.deviations],
        }

    @classmethod
    def from_json(cls, data: Any) -> "Plan":
        """Return the plan that plain data describes; raises FailureFileError."""
        if not isinstance(data, dict) or data.get("version") != VERSION:
            found = data.get("version") if isinstance(data, dict) else None
            raise FailureFileError(
                f"version {found!r}: this program reads version {VERSION}; replay the file with "
                "the version of the program that wrote it"
            )
        try:
            return cls(
                _workload(data["workload"]),
                FaultPlan.from_json({"version": 1, "faults": data["faults"]}),
                tuple(Deviation(*item) for item in data["deviations"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FailureFileError(f"it is no plan: {error}") from error


Cause = Action | Fault | Deviation


def _workload(data: dict[str, Any]) -> Workload:
    actions = [{**item, "args": tuple(item.get("args", ()))} for item in data.get("actions", ())]
    return Workload(**{**data, "actions": tuple(Action(**item) for item in actions)})


@dataclass(frozen=True)
class Failure:
    """A run that failed, and what is needed to see it fail again.

    Attributes:
        violation: What was violated.
        trace_hash: Of the run that failed.
        steps: Its trace, to tell where another run parts from it.
        versions: Of what made it.
    """

    plan: Plan
    violation: str
    trace_hash: str
    steps: tuple[Step, ...] = field(default=(), repr=False)
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, violation: str, trace: Trace) -> "Failure":
        """Return the failure of a run."""
        versions = {name: version(name) for name in ("magscope-rig", "numpy", "simpy", "greenlet")}
        versions["python"] = platform.python_version()
        return cls(plan, violation, trace.hash, tuple(trace.steps), versions)

    def save(self, path: Path) -> None:
        """Write the failure to a file."""
        lines = "\n".join("\x1f".join(map(str, step)) for step in self.steps)
        data = {
            **self.plan.to_json(),
            "violation": self.violation,
            "trace_hash": self.trace_hash,
            "versions": self.versions,
            "trace": base64.b64encode(zlib.compress(lines.encode(), 9)).decode(),
        }
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Failure":
        """Read a failure from a file; raises FailureFileError."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FailureFileError(f"{path}: can not be read: {error.strerror}") from error
        except ValueError as error:
            raise FailureFileError(f"{path}: {error}") from error
        try:
            plan = Plan.from_json(data)
            lines = zlib.decompress(base64.b64decode(data["trace"])).decode().split("\n")
            steps = tuple(
                Step(int(t), *rest) for t, *rest in (line.split("\x1f") for line in lines if line)
            )
            return cls(plan, data["violation"], data["trace_hash"], steps, data["versions"])
        except FailureFileError as error:
            raise FailureFileError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise FailureFileError(f"{path} is no failure file: {error!r}") from error


def first_divergence(before: Sequence[Step], now: Sequence[Step]) -> str:
    """Return where two traces part, and both operations; "" where they do not."""
    for number, (a, b) in enumerate(zip(before, now, strict=False)):
        if a != b:
            return f"operation {number}:\n  then {a}\n  now  {b}"
    if len(before) != len(now):
        shorter = min(len(before), len(now))
        longer, which = (before, "then") if len(before) > shorter else (now, "now")
        return f"operation {shorter}: only {which} there is {longer[shorter]}"
    return ""
