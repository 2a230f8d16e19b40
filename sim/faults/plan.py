"""A list of faults, as a small versioned JSON file; `schema.json` describes it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.faults.base import Fault
from sim.faults.kinds import fault_from_json

VERSION = 1
KEYS = ("version", "faults", "$schema")


class PlanError(ValueError):
    """A file is no plan; every error is named."""


@dataclass(frozen=True)
class FaultPlan:
    """What goes wrong in a run."""

    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, faults: "FaultPlan | Iterable[Fault] | None") -> "FaultPlan":
        """Return a plan of anything that stands for one."""
        if isinstance(faults, FaultPlan):
            return faults
        return cls(tuple(faults or ()))

    @classmethod
    def from_json(cls, data: Any) -> "FaultPlan":
        """Return the plan that plain data describes; raises PlanError with every mistake."""
        if not isinstance(data, dict) or not isinstance(data.get("faults"), list):
            raise PlanError('expected {"version": 1, "faults": […]}')
        faults: list[Fault] = []
        problems = []
        if data.get("version") != VERSION:
            problems.append(
                f"version {data.get('version')!r}: this program reads version {VERSION}"
            )
        problems += [f"no key {key!r}; there are {', '.join(KEYS)}" for key in data.keys() - KEYS]
        for number, item in enumerate(data["faults"]):
            try:
                fault = fault_from_json(item)
            except ValueError as error:
                problems.append(f"fault {number}: {error}")
                continue
            if fault in faults:
                problems.append(f"fault {number}: it is there twice: {fault}")
            faults.append(fault)
        if problems:
            raise PlanError("; ".join(problems))
        return cls(tuple(faults))

    @classmethod
    def load(cls, path: Path) -> "FaultPlan":
        """Read a plan from a file; raises PlanError."""
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise PlanError(f"plan {path}: can not be read: {error.strerror}") from error
        except ValueError as error:
            raise PlanError(f"plan {path}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {"version": VERSION, "faults": [fault.to_json() for fault in self.faults]}

    def save(self, path: Path) -> None:
        """Write the plan to a file."""
        Path(path).write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.faults)

    def __len__(self) -> int:
        return len(self.faults)

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults) or "nothing goes wrong"
