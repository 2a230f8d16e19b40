"""`SystemMachine`: the whole system, whatever is sent and goes wrong, and whether it comes back."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from magscope.utils import AcquisitionMode
from sim import strategies
from sim.faults import STATES, Crash, Delay, Fault, Hang
from sim.machines.base import PlanMachine
from sim.world.plan import Action, Plan, Workload
from sim.world.probe import BAD_MESSAGES
from sim.world.trace import Step
from sim.world.world import Outcome

BACK_S, LOOK_S = 2.0, 0.6
WHO = st.sampled_from(strategies.PROBES)
TO = st.sampled_from((*strategies.PROBES, "Probe", "CameraManager", "Nobody",
                      "ManagerProcessBase"))  # fmt: skip
MODES = tuple(str(mode) for mode in AcquisitionMode if mode != "zlut")
_STATES = tuple(s for s in STATES if s.startswith(("flag", "worker", "holds")))
_SITES = ("pipe.write", "lock.acquire", "lock.release", "value.set", "memory.set", "note.stack",
          "bell.ring", "wait")  # fmt: skip


class SystemMachine(PlanMachine):
    """The whole system with two probes; workers die, anybody hangs for a while; then all is healed.

    Its model is short: while no manager has died and nobody has asked for the end, the system
    tracks again within `BACK_S` of the last fault's effect, whatever was done to it, and the
    account of frames balances.
    """

    rig = ""
    is_over = False

    @initialize(rig=strategies.rigs(), seed=st.integers(0, 1000))
    def start(self, rig: str, seed: int) -> None:
        """Choose a small rig, and start the system."""
        self.rig, self.seed = rig, seed
        self.workers = [n for n in strategies.processes_of(rig) if n.startswith("VideoWorker")]
        others = [n for n in strategies.processes_of(rig)[1:] if n not in self.workers]
        self.names = (*others, *strategies.PROBES)
        self.healed_s = 0.0
        self.hangs: dict[str, float] = {}
        self.deaths = 0

    @rule(ms=st.sampled_from((5, 20, 100, 400)))
    def advance(self, ms: int) -> None:
        """Let virtual time pass."""
        self.now_s = round(self.now_s + ms / 1000, 3)

    @rule(who=WHO, to=TO, count=st.sampled_from((1, 5, 60)), size=st.sampled_from((0, 1000)))
    def send(self, who: str, to: str, count: int, size: int) -> None:
        """A probe sends messages."""
        meth = "set_acquisition_mode" if to == "ManagerProcessBase" else "hear"
        args = ("track",) if to == "ManagerProcessBase" else ("x" * size,)
        self.record(Action(self.now_s, who, "flood", to, meth, (count, *args)))

    @rule(who=WHO, to=TO, how=st.sampled_from(BAD_MESSAGES))
    def send_bad(self, who: str, to: str, how: str) -> None:
        """A probe sends something that is no good message."""
        self.record(Action(self.now_s, who, "send_bad", to, how))

    @rule(who=WHO, call=st.sampled_from(strategies.WRONG_CALLS))
    def call_wrongly(self, who: str, call: tuple) -> None:
        """A probe calls a method that there is not, or with what it can not take."""
        self.record(Action(self.now_s, who, "send", *call))

    @rule(who=WHO, raw=strategies.hostile_bytes())
    def post_noise(self, who: str, raw: bytes) -> None:
        """A probe writes noise into its pipe; what looks like its own state is not noise."""
        if not raw.startswith(b"S"):
            self.record(Action(self.now_s, who, "post", args=(raw.hex(),)))

    @rule(who=WHO, seconds=st.sampled_from((0.05, 0.5, 1.5)))
    def stall(self, who: str, seconds: float) -> None:
        """A probe does not read its messages for a while."""
        self.record(Action(self.now_s, who, "stall", args=(seconds,)))
        self.healed_s = max(self.healed_s, self.now_s + seconds)

    @rule(who=WHO, on=st.booleans())
    def switch(self, who: str, on: bool) -> None:
        """A probe switches acquisition."""
        self._tell_all(who, "set_acquisition_on", on)

    @rule(who=WHO, mode=st.sampled_from(MODES))
    def choose(self, who: str, mode: str) -> None:
        """A probe chooses what becomes of the frames."""
        self._tell_all(who, "set_acquisition_mode", mode)

    def _tell_all(self, who: str, meth: str, value: object) -> None:
        self.record(Action(self.now_s, who, "send", "ManagerProcessBase", meth, (value,)))

    def _strike(self, fault: Fault, effect_s: float) -> None:
        self.record(fault)
        self.healed_s = max(self.healed_s, self.now_s + effect_s)

    @precondition(lambda self: self.rig and self.deaths < 3)
    @rule(number=st.integers(0, 2))
    def kill_worker(self, number: int) -> None:
        """A worker is killed."""
        self.deaths += 1
        self._strike(Crash(self.workers[number % len(self.workers)], at_s=self.now_s), 0.0)

    @precondition(lambda self: self.rig and self.deaths < 3)
    @rule(number=st.integers(0, 2), hit=st.integers(1, 40), site=st.sampled_from(_SITES))
    def kill_worker_at(self, number: int, hit: int, site: str) -> None:
        """A worker is killed at one of its operations."""
        self.deaths += 1
        fault = Crash(self.workers[number % len(self.workers)], site=site, hit=hit)
        self._strike(fault, 0.0)

    @precondition(lambda self: self.rig and self.deaths < 3)
    @rule(number=st.integers(0, 2), hit=st.integers(1, 4), state=st.sampled_from(_STATES))
    def kill_worker_in(self, number: int, hit: int, state: str) -> None:
        """A worker is killed in a state of the flag, or of its own."""
        self.deaths += 1
        fault = Crash(self.workers[number % len(self.workers)], state=state, hit=hit)
        self._strike(fault, 0.0)

    @precondition(lambda self: self.rig)
    @rule(number=st.integers(0, 20))
    def hang(self, number: int) -> None:
        """A manager hangs, until all is healed; a worker is held up for no longer than it may."""
        self.hangs.setdefault(self.names[number % len(self.names)], self.now_s)

    @precondition(lambda self: self.rig)
    @rule(number=st.integers(0, 20), site=st.sampled_from(_SITES), hit=st.integers(1, 60))
    def delay(self, number: int, site: str, hit: int) -> None:
        """Somebody is held up at an operation."""
        name = self.names[number % len(self.names)]
        self._strike(Delay(name, site=site, hit=hit, for_s=0.3), 0.3)

    @precondition(lambda self: self.rig)
    @rule(number=st.integers(0, 2), hit=st.integers(1, 3), for_s=st.sampled_from((0.3, 1.0)))
    def hold_worker(self, number: int, hit: int, for_s: float) -> None:
        """A worker is held up while it reads a stack, and the ring fills."""
        name = self.workers[number % len(self.workers)]
        self._strike(Delay(name, site="note.stack", hit=hit, for_s=for_s), for_s)

    @precondition(lambda self: self.rig and self.hangs)
    @rule()
    def heal(self) -> None:
        """Whoever hangs goes on."""
        self._heal()

    def _heal(self) -> None:
        for name, began_s in self.hangs.items():
            if (for_s := round(self.now_s - began_s, 3)) > 0:
                self.record(Hang(name, at_s=began_s, for_s=for_s))
                self.healed_s = max(self.healed_s, self.now_s)
        self.hangs.clear()

    def plan(self) -> Plan | None:
        """Return what the rules wrote; then all is healed, and there is time to come back."""
        if not self.rig:
            return None
        self._heal()
        for probe in strategies.PROBES:  # one of them may have been told to stall
            self._tell_all(probe, "set_acquisition_on", True)
            self._tell_all(probe, "set_acquisition_mode", "track")
        self.back_s = max(self.healed_s, self.now_s) + BACK_S
        workload = Workload(rig=self.rig, seed=self.seed, for_s=round(self.back_s + LOOK_S, 3))
        return Plan(workload).with_causes(self.causes)

    def judge(self, outcome: Outcome) -> str:
        """Compare with what ought to be: it tracks again, and ends as it should."""
        if not outcome.account.balances:
            return f"B1: the account does not balance: {outcome.account}"
        late = [f for f in outcome.struck if f.at_s is None]
        ended = [s for s in outcome.trace.steps if s.site == "note.state"
                 and s.detail == "the session ends"]  # fmt: skip
        if late or not ended:
            return ""  # what struck at an operation may have struck a moment ago
        ended_ns = ended[0].t_ns
        if ended_ns < self.back_s * 1e9:
            return f"S2: nobody asked for the end, and it began at {ended_ns / 1e9:g} s"
        if not any(_is_ready(s) and ended_ns - LOOK_S * 1e9 <= s.t_ns < ended_ns
                   for s in outcome.trace.steps):  # fmt: skip
            return f"P2: {BACK_S:g} s after all was healed no stack is handed out any more"
        dirty = {p.name for p in outcome.report.processes if p.outcome != "clean"}
        if strangers := dirty - {fault.process for fault in outcome.struck}:
            return f"S5: nothing was done to {sorted(strangers)}, and they did not end cleanly"
        return ""

    def observe(self, outcome: Outcome) -> dict[str, float]:
        """Steer towards full buffers, lost frames and messages that do not arrive."""
        account = outcome.account
        return {
            "frames purged": float(min(account.purged, 1000)),
            "frames lost with a worker": float(account.lost),
            "undelivered": float(min(outcome.report.undelivered, 1000)),
        }


def _is_ready(step: Step) -> bool:
    return step.site == "note.flag" and step.detail.startswith("RUNNING")
