"""What ought to become of a session's end: the states of the handshake, in plain lines."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sim.world.plan import ROUTER
from sim.world.trace import Step
from sim.world.world import Outcome

# A manager's states, and which may follow; EXITED follows any: by itself, or by force.
NEXT = {
    "STARTING": {"RUNNING", "QUITTING", "FAILED"},
    "RUNNING": {"QUITTING", "FAILED"},
    "QUITTING": set(),
    "FAILED": set(),
    "EXITED": set(),
}
# Also those of a worker which was dismissed before it was ready, or when its work was done.
DISMISSED = (0, None, -15, 143)
NOTICE_S = 0.05
CLEAN_S, BOUND_S, HURRIED_S, ORPHANED_S = 1.0, 10.05, 5.1, 5.0


@dataclass
class HandshakeModel:
    """What was done to a session, and what follows from it.

    Attributes:
        asked_s: When the end was first asked for, or came of somebody's death.
        hurried_s: When Ctrl-C was pressed for the second time.
        killed: Who was killed, and when.
        hung: Who hangs, from when, until when; for good where that is None.
        is_vague: Whether some of it struck at an operation, at a time that the rules do not know.
    """

    asked_s: float | None = None
    hurried_s: float | None = None
    interrupts: int = 0
    killed: dict[str, float] = field(default_factory=dict)
    hung: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    is_vague: bool = False

    def ask(self, now_s: float) -> None:
        """Somebody asked for the end."""
        self.asked_s = now_s if self.asked_s is None else self.asked_s

    def interrupt(self, now_s: float) -> None:
        """Ctrl-C was pressed."""
        self.ask(now_s)
        self.interrupts += 1
        if self.interrupts == 2:
            self.hurried_s = now_s

    def kill(self, name: str, now_s: float) -> None:
        """A process was killed; that of a worker is no reason to end."""
        self.killed[name] = now_s
        if not name.startswith("VideoWorker"):
            self.ask(now_s)

    @property
    def is_plain(self) -> bool:
        """Whether nothing has gone wrong."""
        return not (self.killed or self.hung or self.is_vague)

    @property
    def has_hanging(self) -> bool:
        """Whether somebody hangs now."""
        return any(ended_s is None for _, ended_s in self.hung.values())

    def judge(self, outcome: Outcome) -> str:
        """Return what is wrong with a run, or ""."""
        steps = outcome.trace.steps
        return _transitions(steps) or self._router(outcome) or self._end(outcome, steps)

    def _router(self, outcome: Outcome) -> str:
        """If the router died, the rest is gone soon; there is no report then."""
        died_s = self.killed.get(ROUTER)
        if died_s is None or self.hung or self.is_vague:
            return ""
        if outcome.virtual_s > died_s + ORPHANED_S + NOTICE_S and not outcome.report.processes:
            return f"S4: the router died at {died_s:g} s, the last at {outcome.virtual_s:g} s"
        return ""

    def _end(self, outcome: Outcome, steps: Iterable[Step]) -> str:
        report = outcome.report
        if not report.processes or ROUTER in self.killed or ROUTER in self.hung:
            return ""
        began = [s.t_ns / 1e9 for s in steps if s[1:3] == (ROUTER, "note.state")
                 and s.detail == "the session ends"]  # fmt: skip
        if len(began) > 1:
            return f"S2: the session ends {len(began)} times"
        if not began:
            return "S1: the session never began to end"
        if self.asked_s is not None and not self.hung and not self.is_vague:
            late_s = began[0] - self.asked_s
            if late_s > NOTICE_S and began[0] > NOTICE_S:
                return (
                    f"S1: the end was asked for at {self.asked_s:g} s, and began {late_s:g} s later"
                )
        bound_s = CLEAN_S if self.is_plain else BOUND_S
        took_s = outcome.virtual_s - began[0]
        if took_s >= bound_s:
            return f"S1: the end took {took_s:.3g} s: {bound_s:g} s are allowed"
        if self.hurried_s is not None and outcome.virtual_s > self.hurried_s + HURRIED_S:
            late_s = outcome.virtual_s - self.hurried_s
            return f"S1: {late_s:.3g} s after the second Ctrl-C not all has ended"
        return self._report(outcome)

    def _report(self, outcome: Outcome) -> str:
        """The report says of each process what was done to it."""
        names = [p.name for p in outcome.report.processes]
        if len(set(names)) != len(names):
            return f"S5: the report names a process twice: {names}"
        struck = {fault.process for fault in outcome.struck}
        for process in outcome.report.processes:
            if process.name not in struck and process.outcome != "clean" and not struck:
                return f"S5: {process.name} is {process.outcome}, and nothing was done to anybody"
            if process.outcome == "clean" and process.exit_code not in DISMISSED:
                return f"S5: {process.name} is clean, with exit code {process.exit_code}"
        for name in self.killed:
            found = [p for p in outcome.report.processes if p.name == name]
            if found and found[0].exit_code == -9 and found[0].outcome == "clean":
                return f"S5: {name} was killed, and the report calls it clean"
        return ""


def _transitions(steps: Iterable[Step]) -> str:
    """Every process goes through its states in order, and quits once."""
    state: dict[str, str] = {}
    for step in steps:
        if step.site == "process.start":
            state[step.object] = "STARTING"
        elif step.site == "process.end":
            state[step.process] = "EXITED"
        elif step.site == "note.state" and step.process in state:
            new = step.detail.upper()
            if new not in NEXT:
                continue
            if new not in NEXT[state[step.process]]:
                return f"S2: {step.process} becomes {new} from {state[step.process]}"
            state[step.process] = new
    return ""
