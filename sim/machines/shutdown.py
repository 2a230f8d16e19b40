"""`ShutdownMachine`: whoever asks, dies or hangs, and whenever, the session comes to its end."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from sim import strategies
from sim.faults import STATES, Crash, Fault, Hang
from sim.machines.base import PlanMachine
from sim.machines.handshake import HandshakeModel
from sim.world.plan import ROUTER, Action, Plan, Workload
from sim.world.world import Outcome

LAST_S = 1.5
WHO = st.integers(0, 30)
_SITES = ("process.start", "process.enter", "pipe.write", "pipe.read", "wait", "lock.acquire",
          "note.state", "value.set")  # fmt: skip
_STATES = tuple(state for state in STATES if state.startswith(("manager", "session")))


class ShutdownMachine(PlanMachine):
    """The whole system, and everything that may befall it while it starts, runs and ends.

    The rules write a plan, at most of one death and a few hangs: with more of them the bounds of S1
    are those of nobody.
    """

    rig = ""
    may_die = may_hang = False
    asked = ""

    @initialize(
        rig=strategies.rigs(),
        start_method=st.sampled_from(("fork", "spawn")),
        goes_wrong=st.sampled_from(("nothing", "a death", "a hang", "both")),
        asked=st.sampled_from(("late", "early", "never")),
    )
    def start(self, rig: str, start_method: str, goes_wrong: str, asked: str) -> None:
        """Choose a small rig, and what may go wrong, and start the system."""
        self.may_die = goes_wrong in ("a death", "both")
        self.asked = asked
        self.may_hang = goes_wrong in ("a hang", "both")
        self.rig, self.start_method = rig, start_method
        self.names = (*strategies.processes_of(rig), *strategies.PROBES)
        self.model = HandshakeModel()

    def _name(self, number: int) -> str:
        return self.names[number % len(self.names)]

    @property
    def may_ask(self) -> bool:
        """Whether somebody may ask for the end: mostly not before the system is up."""
        return self.asked == "early" or (self.asked == "late" and self.now_s > 0)

    def _strike(self, fault: Fault) -> None:
        self.record(fault)

    @rule(ms=st.sampled_from((1, 5, 20, 100, 400, 1500)))
    def advance(self, ms: int) -> None:
        """Let virtual time pass."""
        self.now_s = round(self.now_s + ms / 1000, 3)

    @precondition(lambda self: self.may_ask)
    @rule(who=st.sampled_from(strategies.PROBES))
    def quit(self, who: str) -> None:
        """A manager quits by itself."""
        self.record(Action(self.now_s, who, "quit"))
        self.model.ask(self.now_s)

    @precondition(lambda self: self.may_ask)
    @rule(who=st.sampled_from(strategies.PROBES), to=WHO)
    def tell_to_quit(self, who: str, to: int) -> None:
        """A manager tells another one, the router, or all of them to quit."""
        names = ["ManagerProcessBase", *(n for n in self.names if "Worker" not in n)]
        self.record(Action(self.now_s, who, "send", names[to % len(names)], "quit"))
        self.model.ask(self.now_s)

    @precondition(lambda self: self.may_ask and self.now_s > 0 and self.model.interrupts < 2)
    @rule(again_ms=st.sampled_from((0, 20, 500)))
    def interrupt(self, again_ms: int) -> None:
        """Ctrl-C is pressed, and perhaps once more: then nobody is waited for."""
        for at_s in sorted({self.now_s, round(self.now_s + again_ms / 1000, 3)}):
            action = Action(at_s, ROUTER, "interrupt")
            if action not in self.causes:
                self.record(action)
                self.model.interrupt(at_s)
                self.now_s = at_s

    @precondition(lambda self: self.may_die and not self.model.killed and not self.model.is_vague)
    @rule(number=WHO)
    def kill(self, number: int) -> None:
        """A process is killed."""
        name = self._name(number)
        self._strike(Crash(name, at_s=self.now_s))
        self.model.kill(name, self.now_s)

    @precondition(lambda self: self.may_die and not self.model.killed and not self.model.is_vague)
    @rule(number=WHO, site=st.sampled_from(_SITES), hit=st.integers(1, 40))
    def kill_at(self, number: int, site: str, hit: int) -> None:
        """A process is killed at one of its operations."""
        self._strike(Crash(self._name(number), site=site, hit=hit))
        self.model.is_vague = True

    @precondition(lambda self: self.may_die and not self.model.killed and not self.model.is_vague)
    @rule(number=WHO, state=st.sampled_from(_STATES))
    def kill_in(self, number: int, state: str) -> None:
        """A process is killed in a state of the handshake."""
        self._strike(Crash(self._name(number), state=state))
        self.model.is_vague = True

    @precondition(lambda self: self.may_hang and self.now_s > 0 and len(self.model.hung) < 2)
    @rule(number=WHO)
    def hang(self, number: int) -> None:
        """A manager hangs, until it is healed; what becomes of a worker that hangs is P2."""
        name = self._name(number)
        if name not in self.model.hung and name != ROUTER and "Worker" not in name:
            self.model.hung[name] = (self.now_s, None)

    @precondition(
        lambda self: self.may_hang and any(e is None for _, e in self.model.hung.values())
    )
    @rule()
    def heal(self) -> None:
        """Whoever hangs goes on."""
        for name, (began_s, ended_s) in list(self.model.hung.items()):
            if ended_s is None and self.now_s > began_s:
                self.model.hung[name] = (began_s, self.now_s)

    def plan(self) -> Plan | None:
        """Return what the rules wrote, and the end of the session by itself a little later."""
        if not self.rig:
            return None
        for name, (began_s, ended_s) in self.model.hung.items():
            for_s = None if ended_s is None else round(ended_s - began_s, 3)
            self.record(Hang(name, at_s=began_s, for_s=for_s))
        hello = [Action(0.0, who, "send", who, "hear") for who in strategies.PROBES]
        workload = Workload(
            rig=self.rig, for_s=round(self.now_s + LAST_S, 3), start_method=self.start_method
        )
        return Plan(workload).with_causes([*hello, *self.causes])

    def judge(self, outcome: Outcome) -> str:
        """Compare the end of the session with the handshake's model."""
        return self.model.judge(outcome)

    def observe(self, outcome: Outcome) -> dict[str, float]:
        """Steer towards ends that take long, and ends during the start."""
        ended = [p.seconds_to_exit or 0.0 for p in outcome.report.processes]
        return {
            "seconds to the end": min(max(ended, default=0.0), 20.0),
            "not clean": float(sum(p.outcome != "clean" for p in outcome.report.processes)),
        }
