"""The states that a fault may wait for, as they are read from what processes do and say."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.faults.base import Fault
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.machine import Machine

_NOTED = {"manager RUNNING": "running", "manager DRAINING": "quitting", "manager FAILED": "failed"}
_SITES = {
    "flag": ("note.flag",),
    "worker": ("note.flag",),
    "session": ("note.state",),
    "manager": ("note.state",),
    "manager STARTING": ("process.enter",),
    "manager QUITTING": ("value.set",),
    "manager LEAVING": ("pipe.write", "wait"),
}
_GOODBYES = ("Squitting", "Sfailed")


class StateWatch:
    """Counts how often each state is reached that a fault waits for.

    Args:
        machine: The world's computer.
        reached: Called with a fault when it is its turn.
    """

    def __init__(self, machine: "Machine", reached: Callable[[Fault], None]) -> None:
        self._machine = machine
        self._reached = reached
        self._waiting: dict[Fault, int] = {}
        self._observed: set[str] = set()
        self._gone: set[str] = set()

    def expect(self, fault: Fault) -> None:
        """Let a fault wait for its state."""
        self._waiting[fault] = fault.hit
        if fault.state == "holds lock":
            self._machine.hooks.held = self._held
            return
        for site in _SITES.get(fault.state) or _SITES[fault.state.partition(" ")[0]]:
            if site not in self._observed:
                self._observed.add(site)
                self._machine.kernel.trace.observe(site, self._look)

    def clear(self) -> None:
        """Wait for nothing any more."""
        self._waiting.clear()

    def _look(self, step: Step) -> None:
        for fault in [f for f in self._waiting if self._is_it(f, step)]:
            self._count(fault)

    def _held(self) -> None:
        name = self._machine.running.name
        for fault in [f for f in self._waiting if f.state == "holds lock" and f.process == name]:
            self._count(fault)
        self._machine.operation("lock.held", name)

    def _count(self, fault: Fault) -> None:
        self._waiting[fault] -= 1
        if not self._waiting[fault]:
            del self._waiting[fault]
            self._reached(fault)

    def _is_it(self, fault: Fault, step: Step) -> bool:
        what, _, state = fault.state.partition(" ")
        if step.site == "note.flag":
            words = step.detail.split()
            if what == "worker":
                number = fault.process.rpartition("-")[2]
                becomes = {"busy": "RUNNING", "tracking": "FINISHED"}[state]
                return words[0] == becomes and step.detail.endswith(f"worker {number})")
            return what == "flag" and words[0] == state
        if step.site == "note.state":
            if what == "session":
                return step.detail == "the session ends"
            return step.process == fault.process and step.detail == _NOTED.get(fault.state)
        if step.process != fault.process:
            return False
        if step.site == "pipe.write":
            if step.detail.startswith(_GOODBYES):
                self._gone.add(step.process)
            return False
        if step.site == "wait":
            return fault.state == "manager LEAVING" and step.process in self._gone
        if step.site == "process.enter":
            return fault.state == "manager STARTING"
        return fault.state == "manager QUITTING" and step.object == self._quitting()

    def _quitting(self) -> str:
        """Return the name of the word that the running manager sets when it quits."""
        being = getattr(self._machine.running, "being", None)
        resources = getattr(being, "_resources", None)
        return "" if resources is None else str(resources.quitting.word.name)
