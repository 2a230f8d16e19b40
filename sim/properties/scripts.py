"""C1: a script's steps are carried out, each once, in order, when they are due."""

from typing import TYPE_CHECKING

from hal.clock import NS_PER_S
from magscope.scripting import Script
from sim.faults import DeviceFault
from sim.properties.base import MESSAGES, FrameSeen, Head
from sim.properties.traffic import RouterWatch, called
from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

MANAGER = "ScriptManager"
LATE_S = 0.05
ANSWER_S = 0.5  # until a step that takes no time is answered
_TAKE_TIME = ("move_motor", "move_motor_by", "make_zlut", "do_xy_lock")
_NOT_STEPS = ("message_done", "quit")


class StepsInOrder(RouterWatch):
    """C1: the script manager sends each step once, in order, after the sleeps and waits before it.

    A script that is paused sends nothing; it goes on where it was. Nothing is said once a fault has
    touched the script manager or its pipe, or a message of its was refused.
    """

    id = "C1"
    title = "a script's steps are carried out in order, when they are due"
    sites = frozenset({"note.info", "note.message", "note.state", "note.warning", "wait"})
    sees = MESSAGES

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._steps = _steps_of(world)
        self._next = 0
        self._due_ns = 0
        self._waits_for: set[str] = set()
        self._token = 0
        self._paused_ns: int | None = None
        self._sent_ns = 0
        self._gone_ns: int | None = None  # when the motor that is waited for went away
        self._is_answered_late = False  # while the script was paused: its next sleep is to come
        self._runs = self._has_finished = False
        self._problems: dict[int, bool] = {}
        self._is_over = not self._steps

    def step(self, step: Step) -> None:
        """See the script begin, be paused, go on; and whether it is late."""
        if step.process in self._waits_for and " has gone: " in step.detail:
            self._gone_ns = step.t_ns
        if self._gone_ns is not None and self._runs and self._waits_for and not self._is_over:
            self._is_unanswered()
        if step.process != MANAGER or self._is_over:
            return
        if step.site == "wait":
            self._is_late()
        elif step.site == "note.state":
            self._runs, self._due_ns = step.detail == "running", step.t_ns
            self._is_over = not self._runs
            self._sleep()
        elif step.site == "note.info":
            is_early = not self._has_no_step_left or step.t_ns < self._due_ns
            self._has_finished = self._has_finished or step.detail == "script finished"
            if step.detail == "script finished" and is_early and not self._is_disturbed():
                self._say("said that its script had finished, with steps left or waited for")
        elif step.site == "note.warning":
            is_garbled = "its arguments can not be unpickled" in step.detail
            is_lost = step.detail.startswith("message refused") or is_garbled
            self._is_over = self._is_over or is_lost
        else:
            meth, number, _ = called(step.detail)
            self._obeys(meth, number, step.t_ns)

    def _obeys(self, meth: str, number: int, t_ns: int) -> None:
        is_running = self._runs and self._paused_ns is None
        if meth in ("quit", "load_script"):
            self._is_over = True
        elif meth == "message_done":
            if self._problems.pop(number, False) and is_running:
                self._runs = False
        elif is_running and self._has_no_step_left:
            if t_ns < self._due_ns + int(LATE_S * NS_PER_S):
                self._is_over = True  # it may have seen that its script has ended, or not yet
            if meth == "start_script":
                self._next, self._due_ns, self._has_finished = 0, t_ns, False
                self._sleep()
        elif meth == "pause_script" and is_running:
            self._paused_ns = t_ns
        elif meth == "resume_script" and self._runs and self._paused_ns is not None:
            if self._is_answered_late:
                self._due_ns = t_ns
                self._sleep()
            else:
                self._due_ns += t_ns - self._paused_ns
            self._paused_ns, self._is_answered_late = None, False

    @property
    def _has_no_step_left(self) -> bool:
        return self._next >= len(self._steps) and not self._waits_for

    def _sleep(self) -> None:
        """Pass over the steps that send nothing."""
        while self._next < len(self._steps) and self._steps[self._next].name == "sleep":
            self._due_ns += int(self._steps[self._next].args[0] * NS_PER_S)
            self._next += 1

    def given(self, sender: str, head: Head, frame: FrameSeen) -> None:
        """Compare what the script manager sends with the step that is next."""
        if sender != MANAGER or self._is_over or head.meth in _NOT_STEPS or self._is_disturbed():
            return
        early_s = (self._due_ns - frame.t_ns) / NS_PER_S
        if not self._runs or self._paused_ns is not None or self._waits_for:
            what = "is paused" if self._paused_ns is not None else "waits, or has ended"
            self._say(f"sent {head.meth} while its script {what}")
            return
        if self._next >= len(self._steps):
            self._say(f"sent {head.meth} when its script had no step left")
            return
        step = self._steps[self._next]
        if (step.name, (step.args, step.kwargs)) != (head.meth, frame.arguments):
            self._say(f"sent {head.meth}{frame.arguments} where the step {step} was next")
        elif early_s > 0:
            self._say(f"sent {head.meth} {early_s:g} s before it was due")
        self._next += 1
        self._due_ns = frame.t_ns
        if step.wait:
            self._token, self._waits_for = head.token, set(self.facts.addressed(head.to))
            self._sent_ns, self._gone_ns = frame.t_ns, None
        else:
            self._sleep()

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:
        """See that a step is done."""
        if to != MANAGER or head.meth != "message_done" or frame.arguments is None:
            return
        args, _ = frame.arguments
        self._problems[head.number] = len(args) > 2 and bool(args[2])
        if self._waits_for and args[0] == self._token:
            self._waits_for.discard(args[1])
            self._is_answered_late = not self._waits_for and self._paused_ns is not None
            if not self._waits_for and self._paused_ns is None:
                self._due_ns = frame.t_ns
                self._sleep()

    def _is_late(self) -> None:
        if self._runs and self._waits_for:
            self._is_unanswered()
        is_due = self._runs and self._paused_ns is None and not self._waits_for
        late_s = (self.facts.now_ns - self._due_ns) / NS_PER_S
        if not is_due or late_s <= LATE_S or self._is_disturbed():
            return
        if self._next < len(self._steps):
            self._say(
                f"had not carried out {self._steps[self._next]} {late_s:.2f} s after its time"
            )
        elif not self._has_finished:
            self._say(f"had not said that its script had finished {late_s:.2f} s after its time")

    def _is_unanswered(self) -> None:
        """See whether the step that is waited for is answered: by whom it was refused, too."""
        facts, step = self.facts, self._steps[self._next - 1]
        if facts.tampered_ns or facts.stalls or not self.router_is_sound:
            return
        who = {MANAGER, ROUTER, *self._waits_for}
        if who & self.deaf:
            return
        began_ns = self._sent_ns
        if self._gone_ns is not None:  # it goes on without its motor
            struck = self.world.injector.struck
            if any(f.process in who and not isinstance(f, DeviceFault) for f in struck):
                return
            began_ns, who = self._gone_ns, {MANAGER, ROUTER}
        elif step.name in _TAKE_TIME or who & facts.raising:
            return
        since_ns = max(began_ns, facts.struck_ns, facts.disturbed_ns(who, with_drivers=True))
        late_s = (facts.now_ns - since_ns) / NS_PER_S
        if late_s > ANSWER_S and not self._is_disturbed():
            missing = ", ".join(sorted(self._waits_for))
            self._say(f"has waited {late_s:.1f} s for {missing} to say that {step} is done, or why "
                      "it can not be")  # fmt: skip

    def _is_disturbed(self) -> bool:
        facts = self.facts
        touched = bool(facts.disturbed_ns({MANAGER})) or MANAGER in facts.raising
        self._is_over = self._is_over or touched
        return touched

    def _say(self, what: str) -> None:
        self._is_over = True
        self.violate(
            f"{MANAGER} {what}. A script's steps must be carried out once each, in order, after "
            "the sleeps and the waits before them, and none while it is paused."
        )


def _steps_of(world: "World") -> list:
    """Return the steps of the world's script; none if it has none that can be read."""
    text = world._script_text  # noqa: SLF001 - the same harness
    if not text:
        return []
    names: dict = {}
    try:
        exec(compile(text, "script", "exec"), names)  # noqa: S102 - the script manager does it too
    except Exception:  # what is wrong with a script is told by the script manager
        return []
    return next((value.steps for value in names.values() if isinstance(value, Script)), [])


PROPERTIES: tuple[type[RouterWatch], ...] = (StepsInOrder,)
