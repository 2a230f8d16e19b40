"""What a fault is: in which process, at which moment, and what is checked of it."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar

STATES = {
    "flag READY": "the flag is READY",
    "flag RUNNING": "the flag is RUNNING",
    "flag FINISHED": "the flag is FINISHED",
    "manager STARTING": "it is STARTING",
    "manager RUNNING": "it is RUNNING",
    "manager QUITTING": "it is QUITTING",
    "manager DRAINING": "it is DRAINING",
    "manager LEAVING": "it has said that it is done",
    "manager FAILED": "it has failed",
    "session QUITTING": "the session ends",
    "worker busy": "a stack is handed to it",
    "worker tracking": "it has given a stack back",
    "holds lock": "it has taken a lock",
}
EVERYBODY = "*"
LAST_S = 1e6
_NEEDED = "give at_s or a site or a state, and one of them alone"


def seconds(default: float | None, *, above: float = -math.inf, least: float = -math.inf) -> Any:
    """Return a field of seconds, or of another number, with its limits."""
    return field(default=default, metadata={"above": above, "least": least})


def one_of(default: str, *choices: str) -> Any:
    """Return a field that has one of a few values."""
    return field(default=default, metadata={"choices": choices})


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong in one process.

    It strikes once: at a virtual time, when the process comes to a site for the n-th time, or when
    a state is reached for the n-th time.

    Attributes:
        process: The process' name, as a trace and a report have it; of a device, its manager's.
        at_s: Virtual seconds from the world's beginning; None: at a site, or in a state.
        site: The kind of operation: `pipe.write`, `lock.acquire`, `call.setup`, …
        hit: Which of the process' operations at the site, or which of the times that the state is
            reached, from 1.
        state: One of `STATES`.
    """

    process: str
    at_s: float | None = seconds(None, least=0.0)
    site: str = ""
    hit: int = field(default=1, metadata={"least": 1})
    state: str = field(default="", kw_only=True, metadata={"choices": ("", *STATES)})

    kind: ClassVar[str] = ""
    default_site: ClassVar[str] = ""
    may_be_everybody: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.default_site and self.at_s is None and not self.site and not self.state:
            object.__setattr__(self, "site", self.default_site)
        if found := mistakes(type(self), vars(self)):
            raise ValueError(f"{self.kind} of {self.process!r}: {'; '.join(found)}")

    @property
    def when(self) -> str:
        """When it strikes, in words."""
        if self.at_s is not None:
            return f"at {self.at_s:g} s"
        if self.site:
            return f"at its {ordinal(self.hit)} {self.site}"
        if self.hit == 1:
            return f"as soon as {STATES[self.state]}"
        return f"the {ordinal(self.hit)} time that {STATES[self.state]}"

    def to_json(self) -> dict[str, Any]:
        """Return the fault as plain data; what has its default is left out."""
        default = {f.name: f.default for f in fields(self)}
        data = {name: value for name, value in asdict(self).items() if value != default[name]}
        if self.site == self.default_site:
            data.pop("site", None)
        return {"kind": self.kind, **data}


@dataclass(frozen=True)
class LastingFault(Fault):
    """A fault that heals.

    Attributes:
        for_s: For how many virtual seconds; None: for good.
    """

    for_s: float | None = seconds(None, above=0.0)

    @property
    def how_long(self) -> str:
        """For how long it lasts, in words."""
        return "for good" if self.for_s is None else f"for {self.for_s:g} s"


def mistakes(cls: type[Fault], values: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with the values of a fault's fields, each in a few words."""
    known = {f.name: f for f in fields(cls)}
    found = [
        f"no field {name!r}; there are {', '.join(sorted(known))}"
        for name in sorted(values.keys() - known.keys())
    ]
    for name, each in known.items():
        value = values.get(name, each.default)
        if value is MISSING or (name == "process" and not value):
            found.append("names no process")
        elif said := _mistake(name, each.type, each.metadata, value):
            found.append(said)
    site = values.get("site", "")
    triggers = (values.get("at_s") is not None, bool(site), bool(values.get("state", "")))
    if sum(triggers) > 1 or (not any(triggers) and not cls.default_site):
        found.append(_NEEDED)
    if values.get("process") == EVERYBODY and not (cls.may_be_everybody and triggers[0]):
        found.append(f"process = {EVERYBODY!r}: every process at once is for clocks, with at_s")
    return found


def _mistake(name: str, kind: Any, limits: Mapping[str, Any], value: Any) -> str:
    if value is None and kind == float | None:
        return ""
    if kind in (str, int):
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"{name} = {value!r}: expected {kind.__name__}"
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{name} = {value!r}: expected " + ("seconds" if name[-2:] == "_s" else "a number")
    elif not math.isfinite(value) or abs(value) >= LAST_S:
        return f"{name} = {value!r}" + (" is no time" if name == "at_s" else ": too much")
    if "choices" in limits and value not in limits["choices"]:
        choices = ", ".join(choice for choice in limits["choices"] if choice)
        return f"{name} = {value!r}: choose one of {choices}"
    if name == "hit" and value < 1:
        return f"hit = {value}: counts from 1"
    if name == "at_s" and value < 0:
        return f"at_s = {value} is no time"
    if value is not None and "least" in limits and value < limits["least"]:
        return f"{name} = {value}: expected {limits['least']:g} or more"
    if value is not None and "above" in limits and value <= limits["above"]:
        return f"{name} = {value}: expected more than {limits['above']:g}"
    return ""


def ordinal(n: int) -> str:
    """Return `1st`, `2nd`, `3rd`, `4th` and so on."""
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"
