"""S3, S5, S7, `escaped`: what a session leaves, what it says of its end, what nobody expected."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hal.clock import NS_PER_S
from hal.motor import Motor
from magscope.aside import LEFT
from magscope.report import ProcessReport
from magscope.session import SILENT, STALLED_S
from sim.faults import DeviceFault, Raise, StaleMemory
from sim.properties.base import NEWS, FrameSeen, Property
from sim.properties.facts import KINDS_THAT_RAISE, VIDEO, WORKER
from sim.properties.traffic import called
from sim.world.injection import ANOTHER
from sim.world.plan import ROUTER, Action
from sim.world.process import SIGKILL, SIGTERM, VirtualProcess
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

_MERE_ERRORS = ("raise", "memory-missing")
_TRACEBACK = "\nTraceback (most recent call last)"
_NO_MEMORY = "there is no shared memory"
_HARMLESS = (
    "hear", "quit", "set_acquisition_on", "do_xy_lock", "set_xy_lock_on", "set_xy_lock_interval",
)  # fmt: skip
_TOLD_TO_FAIL = "a probe was told to fail"


class NothingLeft(Property):
    """S3: a session leaves no process, no shared memory and no taken lock.

    After the router's death, whoever of the managers ends last in order removes what is left; what
    a killed one leaves is for the next session to sweep.
    """

    id = "S3"
    title = "nothing is left"
    sites = frozenset({"memory.create", "process.end"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._is_swept = False

    def step(self, step: Step) -> None:
        """Take down whether somebody who sweeps has ended after the router, and last."""
        if step.site == "memory.create":
            self._is_swept = False
        elif step.process in self.facts.managers and self.world.router.code is not None:
            in_order = step.detail in ("0", "1", str(128 + SIGTERM))
            if in_order and step.process not in self.facts.raising:
                self._is_swept = True

    def at_end(self) -> None:
        """Look at what is left."""
        world, machine = self.world, self.world.machine
        if not world.has_ended:
            return
        taken = [
            f"{lock.name} by {machine.processes[lock.holder].name}"
            for lock in machine.locks
            if lock.holder is not None
        ]
        if taken:
            self.violate(
                f"When all have ended, locks are still taken: {', '.join(taken)}. "
                "A lock must be given back, also by the death of its holder."
            )
        others = self._see_others()
        if not self._should_be_swept():
            return
        left = sorted({name for session, name in machine.memory if session not in others})
        if left:
            self.violate(
                f"Shared memory is left when all have ended: {', '.join(left)}. "
                "Whoever ends last must remove the session's memory, or it is lost until a restart."
            )

    def _see_others(self) -> set[str]:
        """Return the sessions that others run on this machine; see that they have their memory."""
        machine = self.world.machine
        others = {
            session
            for session, owner in machine.sessions.items()
            if owner.name == ANOTHER and owner.code is None
        }
        struck = self.world.injector.struck
        wanted = sum(f.blocks for f in struck if isinstance(f, StaleMemory) and f.owner == "alive")
        if sum(session in others for session, _ in machine.memory) < wanted:
            self.violate(
                "The memory of another session, which runs on the same machine, is gone or is "
                "this one's. What belongs to who is alive may not be touched."
            )
        return others

    def _should_be_swept(self) -> bool:
        router = self.world.router
        if router.code is not None and router.code >= 0:
            return True
        return self._is_swept


class TruthfulReport(Property):
    """S5: the report says of each process how it ended, as the machine has it."""

    id = "S5"
    title = "the report is true"
    sites = frozenset({"process.terminate", "process.kill", "note.error", "note.warning"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._forced: dict[str, set[str]] = {}
        self._failed: set[str] = set()

    def step(self, step: Step) -> None:
        """Take down who is made to end, who fails with an exception, and who is called silent."""
        if step.site == "note.warning":
            if step.process == ROUTER and step.detail.endswith(SILENT):
                self._see_that_it_hangs(step.detail.removeprefix("router: ").partition(" ")[0])
        elif step.site == "note.error":
            if step.detail.startswith(f"{step.process} failed: "):
                self._failed.add(step.process)
        elif self._is_there(step.object):
            how = "terminated" if step.site == "process.terminate" else "killed"
            self._forced.setdefault(step.object, set()).add(how)

    def _see_that_it_hangs(self, name: str) -> None:
        facts, since_ns = self.facts, self.facts.now_ns - int(STALLED_S * NS_PER_S)
        is_sound = facts.disturbed_ns({name, ROUTER}) < since_ns and facts.said[name] == "running"
        if is_sound and not facts.is_stalled(name, since_ns) and not facts.is_held_up(name):
            self._say(name, "is called silent, though nothing keeps it from showing that it lives")

    def _is_there(self, name: str) -> bool:
        """Whether nobody could tell that a process had ended, by itself, before this moment."""
        process = self.facts.process(name)
        if process is None:
            return False
        return process.ended_ns in (None, self.facts.now_ns) or process.code == -SIGKILL

    def at_end(self) -> None:
        """Compare the report with what happened."""
        report, facts = self.world.report, self.facts
        if report is None or ROUTER in facts.raising:
            return
        told = {process.name: process for process in report.processes}
        for name, process in self._processes():
            if name not in told:
                if name in facts.managers or not self._may_be_missing():
                    self._say(name, "is not in the report")
                continue
            self._compare(told[name], process)
        harmless = all(map(_is_harmless, self.world.actions)) and not self.world._script_text  # noqa: SLF001 - the same harness
        unexplained = harmless and not self.world.injector.struck
        for error in report.errors if unexplained else ():
            self._say("the log", f"has an error though nothing was done that can fail: {error}")
            return

    def _processes(self) -> Iterator[tuple[str, VirtualProcess]]:
        for process in self.world.machine.processes.values():
            if process.name in self.facts.managers or process.name.startswith(WORKER):
                yield process.name, process

    def _may_be_missing(self) -> bool:
        """Whether the video processor manager may not have told the router of all its workers."""
        video = self.facts.process(VIDEO)
        is_sound = video is not None and video.code == 0 and VIDEO not in self.facts.raising
        return not is_sound or bool(self.facts.tampered_ns) or self.facts.is_full(VIDEO)

    def _compare(self, told: ProcessReport, process: VirtualProcess) -> None:
        name, code = told.name, process.code
        forced = self._forced.get(name, set())
        is_manager = name in self.facts.managers
        if code == 0 and is_manager and self.facts.said.get(name) == "failed":
            self._say(name, "failed, and ended with exit code 0")
        elif is_manager and told.exit_code != code:
            self._say(name, f"ended with {code}, and the report has {told.exit_code}")
        elif told.outcome == "clean":
            well = code == 0 or (code in (-SIGTERM, 128 + SIGTERM, 1) and "terminated" in forced)
            # The router is told nothing of a worker's end by a manager that dies in that moment.
            is_unknown = not is_manager and told.exit_code is None and self._may_be_missing()
            if not well and not is_unknown:
                self._say(name, f"ended with {code}, and the report calls it clean")
        elif told.outcome in ("terminated", "killed"):
            if told.outcome not in forced:
                self._say(name, f"was not {told.outcome} by anybody, as the report has it")
        elif code in (-SIGTERM, 128 + SIGTERM) and "terminated" in forced:
            if name not in self.facts.raising:
                self._say(name, f"left when it was told to, and the report has {told.outcome}")
        elif code == 0 and is_manager and name not in self.facts.raising:
            self._say(name, f"ended with exit code 0, and the report calls it {told.outcome}")
        words = name in self._failed and is_manager and told.outcome == "crashed"
        its = [f for f in self.world.injector.struck if f.process in (name, ROUTER)]
        may_be_lost = len(its) > 1 or any(f.kind not in _MERE_ERRORS for f in its)
        if words and not told.traceback and not may_be_lost and not self.facts.tampered_ns:
            self._say(name, "failed with an exception, and the report has no word of it")

    def _say(self, name: str, what: str) -> None:
        self.violate(
            f"{name} {what}. The report must say how each process ended, or nobody can trust it."
        )


def _is_harmless(action: Action) -> bool:
    """Whether nothing of what somebody does may end in an error, nor in somebody who is forced."""
    return action.do in ("talk", "quit") or (action.do == "send" and action.meth in _HARMLESS)


class AwayIsNoFailure(Property):
    """S7: a manager whose device has gone, and which is to go on, fails of nothing that it does.

    It answers late or wrongly while it comes back: that is one more reason to try again later. It
    is away until it is said to be there again, and if it never was, that is said at the end.
    """

    id = "S7"
    title = "a device that is away ends nobody, and is not forgotten"
    sites = frozenset({"note.warning", "note.error", "note.state", "process.end"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._away: set[str] = set()
        self._told: set[str] = set()

    def step(self, step: Step) -> None:
        """See a device go and come back, and its manager fail meanwhile, or end."""
        who, said, facts = step.process, step.detail, self.facts
        if step.site == "note.warning":
            if who in facts.managers and "; the rest goes on; " in said:
                if who in self._away and self._is_devices_fault(who):
                    self.violate(
                        f"{who} says once more that its device has gone, and it had not come back. "
                        "Who takes it for there uses a device that is closed."
                    )
                self._away.add(who)
            elif " is there again, after " in said:
                self._away.discard(who)
        elif step.site == "note.error":
            if said.endswith(" had gone, and was not found again"):
                self._told.add(who)
        elif who not in self._away or not self._is_devices_fault(who):
            return
        elif said == "failed":
            runs = facts.asked_ns in (None, facts.now_ns)  # it asks itself, by failing
            if runs and not facts.blocked_ns(who):
                self.violate(
                    f"{who} failed while its device was away. It is told to go on without, so "
                    "nothing that a device does as it comes back may end the session."
                )
        elif (
            step.site == "process.end" and said == "0" and who not in self._told | facts.terminated
        ):
            self.violate(
                f"{who} ended without its device, and did not say so. Whoever comes back to the "
                "rig must be told what is missing."
            )

    def _is_devices_fault(self, who: str) -> bool:
        """Whether nothing but a device has failed it."""
        struck = self.world.injector.struck
        return all(isinstance(f, DeviceFault) for f in struck if f.process == who)


class DevicesSafe(Property):
    """S7: whoever ends with a device open closes it, and stops a motor before, unless it is killed.

    A device that a fault makes refuse can not be closed; that is excused, and so is an exception
    that a fault raises in the middle of it. One that is raised before is not: whoever fails closes
    what it has.
    """

    id = "S7"
    title = "devices are closed, motors stopped"
    sites = frozenset({"note.device", "note.message", "note.error", "process.end", "fault.raise"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._open: dict[str, set[str]] = {}
        self._closed: dict[str, set[str]] = {}
        self._stopped: set[str] = set()
        self._moved: set[str] = set()
        self._ends: set[str] = set()
        self._failed_while_it_ran: set[str] = set()
        self._left: set[str] = set()

    def step(self, step: Step) -> None:
        """Keep account of what is open."""
        who = step.process
        if step.site == "fault.raise":
            if self._runs(step.object) and "call.shutdown" not in step.detail:
                self._failed_while_it_ran.add(step.object)
            return
        if step.site == "note.message":
            if called(step.detail)[0] == "quit":
                self._ends.add(who)
            return
        if step.site == "note.error":
            if who != ROUTER and LEFT in step.detail:
                self._leaves(who)
            return
        if step.site == "process.end":
            roles = self._open.pop(who, set())
            if who in self._left:
                return
            if roles and step.detail != str(-SIGKILL) and not self._may_leave_open(who):
                self.violate(
                    f"{who} ended and left {', '.join(sorted(roles))} open. Whatever ends a "
                    "session, its devices must be closed, or the next one can not have them."
                )
            return
        role, _, state = step.detail.partition(" is ")
        if state == "open":
            self._open.setdefault(who, set()).add(role)
            self._closed.get(who, set()).discard(role)
            self._stopped.discard(role)
            self._tell_of_moves(role)
        elif state == "stopped":
            self._stopped.add(role)
            if role in self._moved and not self._is_excused(who):
                self.violate(
                    f"{who} said that the motor {role} is stopped, and had not stopped it since it "
                    "was last sent somewhere. A motor must not go on when its session has ended."
                )
        elif state == "closed":
            self._closes(who, role)

    def _leaves(self, who: str) -> None:
        """See that a manager leaves a device to itself only where its driver does not return."""
        self._left.add(who)
        if self.facts.blocked_ns(who) < self.facts.now_ns:
            self.violate(
                f"{who} left its device to itself, neither stopped nor closed, though its driver "
                "returns. It must wait for that, and shut the device down."
            )

    def _runs(self, who: str) -> bool:
        """Whether a manager is up, and nothing has begun to end it."""
        said = self.facts.said.get(who) == "running"
        return said and who not in self._ends and who not in self.facts.terminated

    def _may_leave_open(self, who: str) -> bool:
        """Whether an exception may have come out of closing: a device that has gone is closed.

        Nor can who is told to terminate close what its driver has not come back from.
        """
        if who in self.facts.terminated and self.facts.blocked_ns(who) >= self.facts.now_ns:
            return True
        its = [f for f in self.world.injector.struck if f.process == who]
        only_gone = all(isinstance(f, DeviceFault) for f in its if f.kind in KINDS_THAT_RAISE)
        return not only_gone and self._is_excused(who)

    def _is_excused(self, who: str) -> bool:
        if who not in self.facts.raising:
            return False
        its = [f for f in self.world.injector.struck if f.process == who]
        raised_once = sum(f.kind in KINDS_THAT_RAISE for f in its) == 1
        return not (raised_once and who in self._failed_while_it_ran)

    def _tell_of_moves(self, role: str) -> None:
        """Be told when a motor is sent somewhere, and when it is made to stop."""
        holder = getattr(self.world.machine.running.being, "_holder", None)
        device = getattr(holder, "_device", None)
        if not isinstance(device, Motor):
            return
        begin_move, halt = device.begin_move, device.halt

        def moves(target: float) -> None:
            self._moved.add(role)
            begin_move(target)

        def halts() -> None:
            halt()
            self._moved.discard(role)

        device.begin_move, device.halt = moves, halts  # type: ignore[method-assign]

    def _closes(self, who: str, role: str) -> None:
        roles = self._open.setdefault(who, set())
        if role in self._closed.get(who, ()) and not self._is_excused(who):
            self.violate(
                f"{who} closed {role}, which was closed already. "
                "A device is shut down once, however often the end is asked for."
            )
        roles.discard(role)
        self._closed.setdefault(who, set()).add(role)
        spec = getattr(self.facts.managers.get(who), "_spec", None)
        is_motor = who != "CameraManager" and getattr(spec, "on_exit", "") == "stop"
        if is_motor and role not in self._stopped and not self._is_excused(who):
            self.violate(
                f"{who} closed the motor {role} without having stopped it. A motor must not go on "
                "by itself when its session has ended, unless the rig file lets it hold."
            )


class Escaped(Property):
    """No exception that a fault did not raise ends a task, or is all that a handler comes to."""

    id = "escaped"
    title = "no exception but those injected"
    sites = frozenset({"note.error", "process.end"})
    sees = NEWS

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._said: set[str] = set()

    def frame(self, frame: FrameSeen) -> None:
        """See a traceback on its way to the log."""
        if frame.way == "send" and frame.raw[:6] == b"Lerror" and frame.parts is not None:
            text = frame.parts[2].decode(errors="replace")
            if _TRACEBACK in text:
                self._judge(frame.process, text)

    def step(self, step: Step) -> None:
        """See a process that ends by a code that nobody gave it."""
        if step.site == "note.error":
            self._look_at_failure(step)
            return
        process = self.facts.process(step.process)
        if step.detail == "1" and step.process.startswith(WORKER) and process is not None:
            raised = [f for f in self.world.injector.struck if f.process == step.process]
            in_task = bool(raised) and all(
                isinstance(f, Raise) and f.site == "call.task" for f in raised
            )
            if self.facts.pool_is_tampered:
                return  # a task that came twice
            if in_task or (step.process not in self.facts.raising and not process.words):
                self._report(step.process, "it left in the middle of its work (exit code 1)")

    def _look_at_failure(self, step: Step) -> None:
        """See a manager that fails: also when nobody is there to take its words."""
        if not re.match(rf"{re.escape(step.process)} failed: ", step.detail):
            return
        self._judge(step.process, step.detail)
        if _TOLD_TO_FAIL in step.detail:
            self.world.monitor.report(
                f"R3: {step.process} ended because a handler had a mistake. "
                "A message that fails must be reported, and its receiver go on."
            )

    def _judge(self, who: str, text: str) -> None:
        # Who is late at the end of a session whose router is dead finds its memory removed.
        # So does who is told to quit while it starts, and whose quitting a fault has broken.
        facts = self.facts
        is_broken = who in facts.raising and who not in facts.ran
        is_swept = _NO_MEMORY in text and (self.world.router.code is not None or is_broken)
        if not (self.world.injector.explains(text) or _TOLD_TO_FAIL in text or is_swept):
            first, *rest = text.strip().splitlines()
            self._report(who, f"{rest[-1]} ({first[:120]})" if rest else first)

    def at_end(self) -> None:
        """See the exceptions that no process has caught."""
        for name, words in self.world.machine.crashes:
            if not self.world.injector.explains(words):
                self._report(name, words.strip().splitlines()[-1])

    def _report(self, who: str, what: str) -> None:
        if who not in self._said:
            self._said.add(who)
            self.violate(
                f"{who} came to an exception that no fault had raised: {what}. "
                "What can go wrong must be caught where it can, and said in words."
            )


PROPERTIES: tuple[type[Property], ...] = (
    NothingLeft, TruthfulReport, AwayIsNoFailure, DevicesSafe, Escaped,
)  # fmt: skip
