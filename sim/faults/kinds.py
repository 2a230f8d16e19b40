"""The kinds of fault, each with its trigger."""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong in one process.

    It strikes once: at a virtual time, or when the process comes to a site for the n-th time.

    Attributes:
        process: The process' name, as a trace and a report have it.
        at_s: Virtual seconds from the world's beginning; None: at a site.
        site: The kind of operation: `pipe.write`, `lock.acquire`, `wait`, …
        hit: Which of the process' operations at the site, from 1.
    """

    process: str
    at_s: float | None = None
    site: str = ""
    hit: int = 1

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if (self.at_s is None) == (not self.site):
            raise ValueError(
                f"{self.kind} of {self.process!r}: give either at_s or a site, not both or neither"
            )
        if self.at_s is not None and not 0 <= self.at_s < 1e6:
            raise ValueError(f"{self.kind} of {self.process!r}: at_s = {self.at_s} is no time")
        if self.hit < 1:
            raise ValueError(f"{self.kind} of {self.process!r}: hit = {self.hit}: counts from 1")

    @property
    def when(self) -> str:
        """When it strikes, in words."""
        if self.at_s is not None:
            return f"at {self.at_s:g} s"
        return f"at its {_ordinal(self.hit)} {self.site}"

    def to_json(self) -> dict[str, Any]:
        """Return the fault as plain data; what has its default is left out."""
        default = {f.name: f.default for f in fields(self)}
        data = {name: value for name, value in asdict(self).items() if value != default[name]}
        return {"kind": self.kind, **data}


@dataclass(frozen=True)
class Crash(Fault):
    """The process never runs another line, as after SIGKILL."""

    kind: ClassVar[str] = "crash"

    def __str__(self) -> str:
        return f"{self.process} is killed {self.when}"


@dataclass(frozen=True)
class Hang(Fault):
    """The process does not run for a while, as between SIGSTOP and SIGCONT.

    Attributes:
        for_s: For how many virtual seconds; None: for good.
    """

    for_s: float | None = None
    kind: ClassVar[str] = "hang"

    def __str__(self) -> str:
        how_long = "for good" if self.for_s is None else f"for {self.for_s:g} s"
        return f"{self.process} hangs {self.when} {how_long}"


@dataclass(frozen=True)
class Drop(Fault):
    """What the process is writing into a pipe is lost on the way."""

    site: str = "pipe.write"
    kind: ClassVar[str] = "drop"

    def __str__(self) -> str:
        return f"what {self.process} sends {self.when} is lost"


@dataclass(frozen=True)
class Delay(Fault):
    """The process is held up at an operation, while the others go on.

    Attributes:
        for_s: For how many virtual seconds.
    """

    for_s: float = 0.1
    kind: ClassVar[str] = "delay"

    def __str__(self) -> str:
        return f"{self.process} is held up {self.when} for {self.for_s:g} s"


KINDS: dict[str, type[Fault]] = {cls.kind: cls for cls in (Crash, Hang, Drop, Delay)}


def fault_from_json(data: Any) -> Fault:
    """Return the fault that plain data describes.

    Raises:
        ValueError: It describes none; the text says what is wrong.
    """
    if not isinstance(data, dict) or data.get("kind") not in KINDS:
        kind = data.get("kind") if isinstance(data, dict) else data
        raise ValueError(f"fault of kind {kind!r}: choose one of {', '.join(KINDS)}")
    cls = KINDS[data["kind"]]
    known = {f.name for f in fields(cls)}
    given = {name: value for name, value in data.items() if name != "kind"}
    if unknown := sorted(given.keys() - known):
        raise ValueError(
            f"{cls.kind}: no field {unknown[0]!r}; there are {', '.join(sorted(known))}"
        )
    if "process" not in given:
        raise ValueError(f"{cls.kind}: names no process")
    for name, kind in (("process", str), ("site", str), ("hit", int)):
        if name in given and not isinstance(given[name], kind):
            raise ValueError(f"{cls.kind}: {name} = {given[name]!r}: expected {kind.__name__}")
    for name in ("at_s", "for_s"):
        value = given.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ValueError(f"{cls.kind}: {name} = {value!r}: expected seconds")
    return cls(**given)


def _ordinal(n: int) -> str:
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"
