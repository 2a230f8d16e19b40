"""Faults of a whole process: it dies, it hangs, it is held up, it raises."""

from dataclasses import dataclass
from typing import ClassVar

from sim.faults.base import Fault, LastingFault, one_of, seconds
from sim.faults.errors import ERRORS


@dataclass(frozen=True)
class Crash(Fault):
    """The process never runs another line, as after SIGKILL.

    With the state `holds lock` it dies while it has one.

    Attributes:
        lingers_s: For how many virtual seconds its pipes have ended, and it is not yet gone, as
            while a busy system takes its memory apart.
    """

    lingers_s: float = seconds(0.0, least=0.0)
    kind: ClassVar[str] = "crash"

    def __str__(self) -> str:
        lingers = f", and is gone {self.lingers_s:g} s later" if self.lingers_s else ""
        return f"{self.process} is killed {self.when}{lingers}"


@dataclass(frozen=True)
class Hang(LastingFault):
    """The process does not run for a while, as between SIGSTOP and SIGCONT."""

    kind: ClassVar[str] = "hang"

    def __str__(self) -> str:
        return f"{self.process} hangs {self.when} {self.how_long}"


@dataclass(frozen=True)
class Delay(Fault):
    """The process is held up at an operation, while the others go on.

    Attributes:
        for_s: For how many virtual seconds.
    """

    for_s: float = seconds(0.1, above=0.0)
    kind: ClassVar[str] = "delay"

    def __str__(self) -> str:
        return f"{self.process} is held up {self.when} for {self.for_s:g} s"


@dataclass(frozen=True)
class Raise(Fault):
    """An exception is raised in the process: at the site, or at the next operation that it does.

    The sites `call.setup`, `call.do_main_loop`, `call.` and a handler's name, and `call.task` (a
    worker tracks a stack) are its calls of these.

    Attributes:
        error: Which exception; it is an `InjectedError` besides.
    """

    error: str = one_of("Exception", *ERRORS)
    kind: ClassVar[str] = "raise"

    def __str__(self) -> str:
        return f"{self.error} is raised in {self.process} {self.when}"
