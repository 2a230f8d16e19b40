"""S1, S2 and S4: however a session ends, it ends, once, and within its bounds."""
# ruff: noqa: ARG002 - a hook takes all that is told

from typing import TYPE_CHECKING, Any

from hal.clock import NS_PER_S
from magscope.aside import FAIR_S, GIVE_UP_S
from sim.properties.base import FrameSeen, Head, Property
from sim.properties.facts import CAMERA, FOREVER_NS, VIDEO
from sim.properties.traffic import EVERYBODY, RouterWatch, called
from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

HEARD_S = 1.0  # until the router begins to end the session
OBEYED_S = 0.5  # until a manager that was told to quit begins to
BOUND_S = 10.5  # until all have ended, whatever is the matter with them
PLAIN_S = 1.1  # the same, when nothing is the matter
SEEN_OFF_S = 4.7  # until the video processor has seen its workers off, whatever they do
LEAVES_S = 1.0  # until a manager ends, once the router has heard that it quits
OPENS_S = 4.5  # that a manager has to open its device, so as to close it
ORPHANS_S = 5.5  # until all have ended, once the router is dead


class Ends(RouterWatch):
    """S1: once somebody has asked for the end, or a manager has died, the session ends in time.

    Counted from the last fault that struck: no fault in a manager or a worker may keep the session
    from ending, however long it lasts. While the router itself is hindered, nothing is required.
    """

    id = "S1"
    title = "a session ends within its bounds"
    sites = frozenset({"wait", "note.message", "note.state", "process.end", "process.terminate"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._told: dict[str, int] = {}
        self._failed_ns: int | None = None
        self._video_told_ns: int | None = None
        self._is_told_off = False

    def frame(self, frame: FrameSeen) -> None:
        """See the router hear that a manager has failed."""
        super().frame(frame)
        is_failure = frame.parts is not None and frame.parts[1][0] == "failed"
        if frame.event == "quits" and is_failure and self._failed_ns is None:
            self._failed_ns = frame.t_ns

    def taken_in(self, source: str, head: Head, frame: FrameSeen) -> None:
        """Take down that the router was asked to quit."""
        if head.meth == "quit" and head.to in (ROUTER, EVERYBODY):
            self.facts.ask(f"the router was asked to quit by {source}")

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:
        """Take down that a manager was told to quit."""
        if head.meth == "quit" and self.facts.said.get(to, "running") == "running":
            self._told.setdefault(to, frame.t_ns)
            if to == VIDEO and self._video_told_ns is None:
                self._video_told_ns = frame.t_ns

    def step(self, step: Step) -> None:
        """Compare the time with the bounds."""
        who = step.process
        if step.site == "wait":
            if self.facts.asked_ns is not None:
                self._judge()
        elif step.site == "process.terminate":
            if who == ROUTER:
                self._see_force(step.object)
                self._sees_it_open(step.object)
        elif step.site == "note.message":
            if called(step.detail)[0] == "quit":
                self.facts.ask(f"{who} obeyed a request to quit", who)
                self._hears(who)
        elif step.site == "note.state" or step.detail != "-9":
            self._hears(who)

    def _sees_it_open(self, whom: str) -> None:
        """See that a manager that is opening its device is given the time that all others have."""
        facts, since_ns = self.facts, self.facts.session_ends_ns
        has_device = whom == CAMERA or whom in self.world.rig.motors
        is_asked_again = sum(action.do == "interrupt" for action in self.world.actions) > 1
        if not has_device or facts.said.get(whom) or since_ns is None or is_asked_again:
            return
        after_s = (facts.now_ns - since_ns) / NS_PER_S
        if after_s < OPENS_S:
            self.violate(
                f"{whom} was made to end as it opened its device, {after_s:.1f} s after the end "
                "began. It must come to closing it, or the next session finds it open."
            )

    def _see_force(self, whom: str) -> None:
        """See that nobody is made to end who would have quit if only told to."""
        facts = self.facts
        manager = facts.managers.get(whom)
        if manager is None or facts.raising:
            return
        if facts.ran.get(whom, facts.now_ns) == facts.now_ns:  # the router knows of no such thing
            return
        since_ns = facts.session_ends_ns or facts.now_ns
        if whom == VIDEO:  # it may still be busy with workers that hang
            if self._video_told_ns is None:
                return
            since_ns = self._video_told_ns
            if (facts.now_ns - since_ns) / NS_PER_S < SEEN_OFF_S:
                return
        is_sound = facts.disturbed_ns({whom, ROUTER}) < since_ns and not facts.tampered_ns
        if facts.is_stalled(whom, since_ns) or facts.is_held_up(whom):
            return
        if any(p.ended_ns == facts.now_ns for p in self.world.machine.processes.values()):
            return  # one that hung, it may be, with a lock that this one has waited for until now
        if facts.now_ns < min(facts.blocked_ns(whom), since_ns + (GIVE_UP_S + FAIR_S) * NS_PER_S):
            return  # its driver may take so long; only who is in a hurry ends it before
        if is_sound and facts.is_alive(whom):
            self.violate(
                f"The router made {whom} end, with which nothing was the matter. "
                "Who does not hang must be told to quit in time, whoever else does."
            )

    def at_end(self) -> None:
        """See who has not ended, or was late."""
        self._judge()
        still = [p.name for p in self.world.machine.processes.values() if p.code is None]
        report = self.world.report
        known = {process.name for process in report.processes} if report is not None else set()
        if self.world.router.code == 0 and known & set(still) and not self._is_told_off:
            self._is_told_off = True
            self.violate(
                f"The router has ended in order, and {', '.join(still)} still ran, of which it "
                "knew. However long somebody hangs, a session ends when nobody is left."
            )
        if still and self.facts.asked_ns is None and not self._is_told_off:
            self.violate(
                f"{', '.join(still)} still ran at the end, though nobody had been asked to. "
                "A session that is given a time to run must end when it is over."
            )

    def _base(self) -> float | None:
        """Return from when on the bounds count, infinite while the router is hindered; or None."""
        facts = self.facts
        if facts.asked_ns is None:
            return None
        heard_ns: float = 0
        if ROUTER in facts.raising:  # it may not have heard of it
            heard_ns = facts.session_ends_ns or facts.now_ns
        elif facts.session_ends_ns is None:  # who has no room in its pipe is not heard
            heard_ns = facts.disturbed_ns({facts.asker})
        return max(facts.asked_ns, heard_ns, facts.struck_ns, facts.disturbed_ns({ROUTER}))

    def _judge(self) -> None:
        facts, base_ns = self.facts, self._base()
        if self._is_told_off or base_ns is None or base_ns == FOREVER_NS:
            return
        past_s = (facts.now_ns - base_ns) / NS_PER_S
        asked = facts.asked_by
        if past_s > HEARD_S and facts.session_ends_ns is None and facts.is_alive(ROUTER):
            if not self._may_be_unheard():
                self._is_told_off = True
                self.violate(
                    f"{asked}, and the router did not begin to end the session within {HEARD_S:g} "
                    "s. A request to quit, or a manager's end, must end the session."
                )
            return
        last_ns = facts.now_ns
        running = [p.name for p in self.world.machine.processes.values() if p.code is None]
        if not running:
            last_ns = max(p.ended_ns or 0 for p in self.world.machine.processes.values())
        took_s = (last_ns - base_ns) / NS_PER_S
        bound_s = PLAIN_S if self._is_plain() else BOUND_S
        if took_s > bound_s:
            self._is_told_off = True
            who = f"{', '.join(running)} still ran" if running else "the last process ended"
            self.violate(
                f"{asked}, and {who} {took_s:.1f} s later. Everybody must have ended "
                f"{bound_s:g} s after that, or after the last fault."
            )

    def _is_plain(self) -> bool:
        """Whether nothing at all is the matter."""
        return not self.world.injector.struck and not self.facts.stalls

    def _may_be_unheard(self) -> bool:
        """Whether what asked for the end may have been lost in a pipe, or in a broken process."""
        if self._failed_ns is not None and ROUTER not in self.facts.raising:
            return (self.facts.now_ns - self._failed_ns) / NS_PER_S < HEARD_S
        return bool(self.facts.tampered_ns or self.facts.raising)

    def _hears(self, who: str) -> None:
        """See how long a manager took to obey a request to quit."""
        told_ns = self._told.pop(who, None)
        if told_ns is None or who in self.facts.raising:
            return
        # Who is left without a router leaves for that, and says so when it has shut down (S4).
        died_ns = self.world.router.ended_ns
        until_ns = self.facts.now_ns if died_ns is None else min(self.facts.now_ns, died_ns)
        late_s = (until_ns - max(told_ns, self.facts.disturbed_ns({who}))) / NS_PER_S
        manager = self.facts.managers[who]
        if (
            late_s > OBEYED_S
            and not manager.holds_device
            and not self.facts.is_stalled(who, told_ns)
        ):
            self.violate(
                f"{who} had the request to quit for {late_s:.1f} s before it obeyed. "
                "A manager must quit when it is told to, also while it is starting."
            )


class LeavesWhenHeard(RouterWatch):
    """S1: who has said that it quits, or has failed, ends as soon as the router has heard that.

    Nothing is said of who is made to end, nor where a fault has touched the pipe between the two.
    """

    id = "S1"
    title = "a manager that the router has heard quit does not wait for more"
    sites = frozenset({"process.end"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._heard_ns: dict[str, int] = {}

    def frame(self, frame: FrameSeen) -> None:
        """See the router hear that a manager quits, or has failed."""
        if frame.event == "quits":
            self._heard_ns.setdefault(frame.manager, frame.t_ns)

    def step(self, step: Step) -> None:
        """Compare the end of a manager with that."""
        who, facts = step.process, self.facts
        heard_ns = self._heard_ns.pop(who, None)
        if heard_ns is None or step.detail not in ("0", "1") or not self.router_is_sound:
            return
        if who == VIDEO:  # which waits for its workers, however they hang
            return
        undisturbed_ns = facts.disturbed_ns({who, ROUTER}, with_drivers=True)
        late_s = (step.t_ns - max(heard_ns, facts.struck_ns, undisturbed_ns)) / NS_PER_S
        is_tampered = who in map(facts.manager_of, facts.tampered_ns)
        if late_s > LEAVES_S and not is_tampered and not facts.is_stalled(who, heard_ns):
            self.violate(
                f"{who} ended {late_s:.1f} s after the router had heard that it quits, though "
                "nothing kept either. The router answers a goodbye at once, and who has said it "
                "waits for nothing else."
            )


class FailsAloud(Property):
    """S1: a manager that has failed says so as soon as it has closed its device, or given that up.

    The session ends for that, so a driver that does not return may not keep it from being said.
    """

    id = "S1"
    title = "who has failed says so, whatever its driver does"
    sites = frozenset({"note.error", "note.state", "process.end"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._failed_ns: dict[str, int] = {}

    def step(self, step: Step) -> None:
        """Compare when a manager failed with when it says so, or ends."""
        who, facts = step.process, self.facts
        if step.site == "note.error":
            if who in facts.managers and step.detail.startswith(f"{who} failed: "):
                self._failed_ns.setdefault(who, step.t_ns)
            return
        if (failed_ns := self._failed_ns.pop(who, None)) is None:
            return
        late_s = (step.t_ns - max(failed_ns, facts.struck_ns, facts.disturbed_ns({who}))) / NS_PER_S
        if late_s > GIVE_UP_S + FAIR_S and who != VIDEO:
            self.violate(
                f"{who} had failed for {late_s:.1f} s before it said so. The session ends when "
                f"that is known; a driver that does not return is left to itself after "
                f"{GIVE_UP_S:g} s."
            )


class QuitsOnce(Property):
    """S2: whoever asks, and how often: the session ends once, each manager quits once, in order."""

    id = "S2"
    title = "each manager quits once"
    sites = frozenset({"note.state", "process.enter"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._left: set[str] = set()
        self._shut: set[str] = set()

    def step(self, step: Step) -> None:
        """See who says that it quits, and be told who shuts down."""
        if step.site == "process.enter":
            if step.process in self.facts.managers:
                self._tell_of_shutdown(step.process)
            return
        if step.detail == "running":
            return
        if step.process in self._left:
            self.violate(
                f"{step.process} said {step.detail!r} though it had said before that it quits. "
                "A manager quits, and a session ends, once, however often that is asked for."
            )
        self._left.add(step.process)

    def _tell_of_shutdown(self, who: str) -> None:
        being: Any = self.world.machine.running.being
        shutdown = being.shutdown

        def told() -> None:
            if who in self._shut:
                self.violate(
                    f"{who} shut down though it had done so before. A manager closes what it has "
                    "once, whatever comes while it does."
                )
            self._shut.add(who)
            shutdown()

        being.shutdown = told

    def at_end(self) -> None:
        """See that the router, if it ended in order, has ended the session."""
        facts = self.facts
        is_sound = facts.said and not facts.tampered_ns and not facts.raising
        if is_sound and self.world.router.code == 0 and facts.session_ends_ns is None:
            self.violate(
                "The router ended without having ended the session. It must hear that the end "
                "is asked for, and tell the managers phase by phase."
            )


class NoOrphans(Property):
    """S4: once the router is dead every child ends within 5 s, after the last fault's end."""

    id = "S4"
    title = "nobody outlives the router"
    sites = frozenset({"wait"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._is_told_off = False

    def step(self, step: Step) -> None:
        """Look at the time whenever a survivor waits."""
        if self.world.router.ended_ns is not None and not self._is_told_off:
            self._judge()

    def at_end(self) -> None:
        """Look at those who are left."""
        if self.world.router.ended_ns is not None and not self._is_told_off:
            self._judge()

    def _judge(self) -> None:
        router, facts = self.world.router, self.facts
        assert router.ended_ns is not None
        base_ns = max(router.ended_ns, facts.struck_ns, facts.quiet_ns)
        for process in self.world.machine.processes.values():
            ended_ns = facts.now_ns if process.ended_ns is None else process.ended_ns
            late_s = (ended_ns - base_ns) / NS_PER_S
            if late_s > ORPHANS_S and not facts.is_stalled(process.name, router.ended_ns):
                self._is_told_off = True
                self.violate(
                    f"{process.name} was still there {late_s:.1f} s after the router had died. "
                    "Whoever the router started must notice its death and leave within 5 s."
                )
                return


class InPhases(Property):
    """S6: nobody who keeps what others produce is told to quit before those have quit.

    Only where nothing is the matter and nobody asked a manager by itself.
    """

    id = "S6"
    title = "producers quit before those who keep what they produce"
    sites = frozenset({"note.state"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._phase = 0

    def step(self, step: Step) -> None:
        """Compare the phase of who quits with those before it."""
        manager = self.facts.managers.get(step.process)
        if manager is None or step.detail == "running" or self._is_excused():
            return
        if manager.quit_phase < self._phase:
            self.violate(
                f"{step.process}, of phase {manager.quit_phase}, quit after a manager of phase "
                f"{self._phase}. What it still produced could not be stored any more."
            )
        self._phase = max(self._phase, manager.quit_phase)

    def _is_excused(self) -> bool:
        asked = {a.process for a in self.world.actions if a.do in ("quit", "stall", "send")}
        presses = sum(action.do == "interrupt" for action in self.world.actions)
        return bool(self.world.injector.struck or asked or presses > 1)  # the second is in a hurry


PROPERTIES: tuple[type[Property], ...] = (
    Ends, LeavesWhenHeard, FailsAloud, QuitsOnce, NoOrphans, InPhases,
)  # fmt: skip
