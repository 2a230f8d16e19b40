"""P1, P2 and P3: the flag that passes stacks to workers and back, and who is busy."""

from typing import TYPE_CHECKING, Any

from hal.clock import NS_PER_S
from sim.faults import Corrupt, DelayMessage, Drop, Duplicate, Raise, Reorder, SlowReader
from sim.properties.base import WORK, FrameSeen, Property
from sim.properties.facts import CAMERA, VIDEO, WORKER
from sim.properties.reference import Flag, illegal
from sim.world.tampering import NEXT_FRAME
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

BACK_S = 2.2  # until the flag is READY again
BUSY_S = 1.1
HIRED_S = 2.0
HEALED_S = 0.5


class PoolWatch(Property):
    """A property of the pool.

    Attributes:
        flag: The flag as it stands in memory.
    """

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._values: dict[str, Any] = {}

    def _value(self, name: str) -> Any:
        """Return the flag's word, or the busy count, as the machine has them."""
        if name not in self._values:
            scope = self.world.scope
            assert scope is not None
            shared = scope.video_processor_manager.shared_values
            self._values = {
                "flag": shared.video_process_flag._word,  # noqa: SLF001 - looked at from outside
                "busy": shared.video_process_busy_count,
            }
        return self._values[name]

    @property
    def is_there(self) -> bool:
        """Whether the pool has been made."""
        return bool(self.facts.managers) and hasattr(self.facts.managers[VIDEO], "shared_values")

    @property
    def flag(self) -> Flag:
        """The flag as it stands in memory."""
        return Flag.of(self._value("flag")._words[0])  # noqa: SLF001 - as it stands

    @property
    def video_ended_well(self) -> bool:
        """Whether the video processor has come to its end by itself, and has buried its dead."""
        video = self.facts.process(VIDEO)
        is_sound = VIDEO not in self.facts.raising and not self.facts.pool_is_tampered
        return is_sound and video is not None and video.code == 0

    @property
    def is_running(self) -> bool:
        """Whether both who have to do with the flag run, and the session is not at its end."""
        return self.was_running and self.facts.asked_ns is None

    @property
    def was_running(self) -> bool:
        """Whether both have gone on until the end was asked for, if it was."""
        said = self.facts.said
        both_run = said.get(CAMERA) == said.get(VIDEO) == "running"
        return both_run and not self.facts.raising & {CAMERA, VIDEO}


class LegalTransitions(PoolWatch):
    """P1: the flag changes only as it may, by whom it may, under its lock, with owner and epoch."""

    id = "P1"
    title = "the flag changes only as the protocol allows"
    sites = frozenset({"value.set"})

    def step(self, step: Step) -> None:
        """Judge what is about to be stored in the flag's word."""
        if not self.is_there or step.object != self._value("flag").name:
            return
        before, after = self.flag, Flag.of(int(step.detail))
        owner = f"{WORKER}{before.owner}"
        wrong = illegal(before, after, step.process, owner_is_alive=self.facts.is_alive(owner))
        if wrong:
            self.violate(
                f"{step.process} makes the flag {after} while it is {before}: {wrong}. The flag "
                "must change only as the protocol allows, or a stack is lost or done twice."
            )
        if self._value("flag").get_lock().holder != self.world.machine.running.pid:
            self.violate(
                f"{step.process} makes the flag {after.state} without holding its lock. "
                "Somebody else may change it between the look at it and the change."
            )


class NoWedge(PoolWatch):
    """P2: whatever becomes of a worker, the flag is READY again in time, and it is replaced.

    Counted from the last effect of any fault; while the session runs and both managers do.
    """

    id = "P2"
    title = "no worker wedges the pool"
    sites = frozenset(
        {"note.flag", "note.state", "process.end", "process.kill", "pipe.end", "wait"}
    )
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._state = "READY"
        self._since_ns = 0
        self._owner = ""
        self._ready: set[str] = set()
        self._pipes: dict[str, str] = {}
        self._given_up: set[str] = set()
        self._short_ns: int | None = None
        self._is_told_off = False

    def frame(self, frame: FrameSeen) -> None:
        """See a worker say that it is ready for stacks."""
        if frame.way == "send" and frame.raw[:1] == b"\x80" and frame.process.startswith(WORKER):
            self._ready.add(frame.process)
            self._pipes[frame.end[:-1]] = frame.process

    def step(self, step: Step) -> None:
        """Compare the time with the bounds."""
        if step.site == "note.flag":
            self._judge()
            flag = Flag.noted(step.detail)
            self._state, self._since_ns, self._owner = (
                flag.state,
                step.t_ns,
                f"{WORKER}{flag.owner}",
            )
            if self._state == "RUNNING":
                self._handed_out(flag.epoch)
        elif step.site in ("pipe.end", "process.kill"):
            if step.process == VIDEO:
                self._given_up.add(self._pipes.get(step.object[:-1], step.object))
        elif step.site == "process.end":
            self._judge()
            if step.process == self._owner and self._state == "RUNNING":
                self._since_ns = step.t_ns
            self._died_of_its_task(step)
        elif step.site == "note.state" or step.process in (CAMERA, VIDEO):
            self._judge()
            if step.site == "wait" and step.process == VIDEO:
                self._count_workers()

    def _handed_out(self, epoch: int) -> None:
        """See that a stack goes to who can take it."""
        if self._owner not in self._ready:
            self.violate(
                f"Stack {epoch} was handed to {self._owner}, which had not said that it is ready. "
                "All wait for a stack that lies with a worker which is still loading."
            )
        elif self._owner in self._given_up:
            self.violate(
                f"Stack {epoch} was handed to {self._owner}, whose pipe had come to its end, or "
                "which had been killed. Its frames are lost, though another worker could take them."
            )

    def at_end(self) -> None:
        """See whether the flag is stuck, or was left so by who should have seen to it."""
        self._judge()
        owner, ends_ns = self.facts.process(self._owner), self.facts.session_ends_ns or 0
        died_before = owner is not None and (owner.ended_ns or ends_ns) < ends_ns
        if self._state == "RUNNING" and died_before and self.video_ended_well:
            self.violate(
                f"{self._owner} died with a stack in its hands, and the flag stayed RUNNING. "
                "The video processor must give back what a dead worker had, or all is at a stop."
            )

    def _judge(self) -> None:
        if self._state == "READY" or self._is_told_off or not self.was_running:
            return
        undisturbed_ns = max(self._since_ns, self.facts.struck_ns, self._disturbed_ns())
        if self._state == "FINISHED":  # it may hang with the flag's lock in its hands
            undisturbed_ns = max(undisturbed_ns, self.facts.disturbed_ns({self._owner}))
        until_ns = self.facts.now_ns if self.facts.asked_ns is None else self.facts.asked_ns
        stuck_s = (until_ns - undisturbed_ns) / NS_PER_S
        if stuck_s > BACK_S:
            self._is_told_off = True
            self.violate(
                f"The flag has been {self._state}, for the stack of {self._owner}, for "
                f"{stuck_s:.1f} s. No frame is tracked until it is READY again, which must be so "
                f"{BACK_S:g} s after the worker took the stack, or died, at the latest."
            )

    def _disturbed_ns(self) -> float:
        # No frame comes while the camera's driver does not return, and nobody needs the flag.
        return self.facts.disturbed_ns({CAMERA, VIDEO}, with_drivers=True)

    def _died_of_its_task(self, step: Step) -> None:
        """See that a worker lives on after a stack that could not be processed."""
        raised = [f for f in self.world.injector.struck if f.process == step.process]
        in_task = raised and all(isinstance(f, Raise) and f.site == "call.task" for f in raised)
        if self.facts.pool_is_tampered:  # it may be given the same stack once more
            return
        if in_task and step.detail not in ("0", "-9", "-15", "143"):
            self.violate(
                f"{step.process} ended with exit code {step.detail} after a stack that it could "
                "not process. A worker must say what was wrong with the stack, and go on."
            )

    def _count_workers(self) -> None:
        """See that there are as many workers as there should be."""
        if not self.is_running or self._is_told_off:
            return
        wanted = self.facts.managers[VIDEO].settings["video processors n"]
        machine = self.world.machine
        alive = sum(p.code is None for p in machine.processes.values() if WORKER in p.name)
        if alive >= wanted:
            self._short_ns = None
            return
        self._short_ns = self.facts.now_ns if self._short_ns is None else self._short_ns
        since_ns = max(self._short_ns, self.facts.struck_ns, self._disturbed_ns())
        if (short_s := (self.facts.now_ns - since_ns) / NS_PER_S) > HIRED_S:
            self._is_told_off = True
            self.violate(
                f"There have been {alive} workers instead of {wanted} for {short_s:.1f} s. "
                "A worker that dies must be replaced, or the others have its work to do."
            )


class SoundWorkersLive(PoolWatch):
    """P2: the video processor kills no worker that nothing is the matter with, and leaves none.

    A worker whose stack was held up goes on as soon as it can; that one has to be killed tells that
    it was left waiting for what nobody gives it.
    """

    id = "P2"
    title = "workers that are well are let be, those that are of no use are replaced"
    sites = frozenset({"process.kill", "process.end", "wait"})
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._out: dict[str, tuple[int, int]] = {}

    def frame(self, frame: FrameSeen) -> None:
        """See a task go out, and its result come in."""
        if frame.process != VIDEO:
            return
        epoch = getattr(frame.work, "epoch", None)
        if frame.way == "receive":
            for name in [name for name, its in self._out.items() if its[0] == epoch]:
                del self._out[name]
        elif epoch is not None:
            self._out[f"{WORKER}{frame.work.owner}"] = epoch, frame.t_ns

    def step(self, step: Step) -> None:
        """See whom the video processor kills, and whom it keeps though nothing comes of him."""
        if step.site == "process.end":
            self._out.pop(step.process, None)
        elif step.process != VIDEO:
            return
        elif step.site == "process.kill":
            self._kills(step.object)
        elif self._out:
            self._see_service()

    def _see_service(self) -> None:
        """See that whoever has a task gives its result, or is replaced."""
        if not self.is_running or self._may_wait():
            return
        for name, (epoch, began_ns) in self._out.items():
            if name in self.facts.raising:
                continue  # it may take its own pipe for broken
            # Whoever hangs may have a lock that this one needs.
            undisturbed_ns = max(began_ns, self.facts.struck_ns, self.facts.quiet_ns)
            if (late_s := (self.facts.now_ns - undisturbed_ns) / NS_PER_S) > BACK_S:
                self.violate(
                    f"{name} has had stack {epoch} for {late_s:.1f} s, and is still there. "
                    "Who can not be heard any more must be replaced, or the others do its work."
                )
                self._out.clear()
                return

    def _may_wait(self) -> bool:
        """Whether a result, or what lets a worker go on, may have been lost without a trace."""
        kinds = (Drop, DelayMessage, Reorder, Duplicate, SlowReader)
        return any(isinstance(f, kinds) for f in self.world.injector.struck)

    def _kills(self, name: str) -> None:
        quiet_s = (self.facts.now_ns - self.facts.quiet_ns) / NS_PER_S
        if not self.facts.is_alive(name) or quiet_s < HEALED_S or self._is_excused(name):
            return
        self.violate(
            f"The video processor kills {name}, though no fault has been felt for {quiet_s:.1f} s. "
            "A worker that is well is held up by nobody, or it was left waiting for what never "
            "came; all waited for its stack meanwhile."
        )

    def _is_excused(self, name: str) -> bool:
        """Whether a fault has taken what a worker waits for, or let the manager do half a thing.

        What makes no sense may lie in the worker's pipe for long, until the manager comes to it.

        A manager that is told to terminate ends its workers at once.
        """
        struck = self.world.injector.struck
        if any(isinstance(f, Corrupt) and f.process == name for f in struck):
            return True
        taken = [f for f in struck if isinstance(f, NEXT_FRAME) and not _is_read(f)]
        cut_short = VIDEO in self.facts.raising | self.facts.terminated
        return bool(cut_short or (taken and self.facts.pool_is_tampered))


def _is_read(fault: object) -> bool:
    """Whether a frame with this fault comes to its reader as one, though it makes no sense."""
    return isinstance(fault, Corrupt) and fault.part != "length"


class AnswersAreHeard(PoolWatch):
    """P2: what a worker has answered before it died is taken in before it is buried."""

    id = "P2"
    title = "a dead worker is heard out"
    sites = frozenset({"pipe.close", "process.end", "process.join"})
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._answers: dict[str, dict[int, None]] = {}

    def frame(self, frame: FrameSeen) -> None:
        """See an answer leave, and come in."""
        epoch = getattr(frame.work, "epoch", None)
        if epoch is None or hasattr(frame.work, "owner"):
            return
        if frame.way == "send" and frame.process.startswith(WORKER):
            self._answers.setdefault(frame.process, {})[epoch] = None
        elif frame.way == "receive" and frame.process == VIDEO:
            for its in self._answers.values():
                its.pop(epoch, None)

    def step(self, step: Step) -> None:
        """See a worker close its pipe, die, and be buried."""
        who = step.process if step.site == "pipe.close" else step.object
        its = self._answers.get(who)
        if not its:
            return
        if step.site != "process.join":
            ends = self.world.process(who).ends
            if any(end._outgoing for end in ends):  # noqa: SLF001 - the last one is cut off
                its.popitem()
        elif step.process == VIDEO:
            del self._answers[step.object]
            struck = self.world.injector.struck
            is_slow = any(isinstance(f, SlowReader) and f.process == VIDEO for f in struck)
            cut_short = VIDEO in self.facts.raising | self.facts.terminated
            cut_short = cut_short or self.facts.is_cut_off(step.object)
            if not (self.facts.pool_is_tampered or is_slow or cut_short):
                self.violate(
                    f"{step.object} had answered for stack {next(iter(its))} before it died, and "
                    "was buried unheard. A stack that is done must not be counted as lost."
                )


class BusyCount(PoolWatch):
    """P3: the busy count is the number of workers inside a task, but for one just dead."""

    id = "P3"
    title = "the busy count is right"
    sites = frozenset({"note.flag", "value.set", "wait", "process.join"})
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._out: dict[str, int] = {}
        self._has_buried = False

    def step(self, step: Step) -> None:
        """See a stack handed out, and the count stored."""
        if step.site == "note.flag":
            flag = Flag.noted(step.detail)
            if flag.state == "RUNNING":
                self._hand_out(f"{WORKER}{flag.owner}", flag.epoch)
        elif step.site == "value.set":
            if self.is_there and step.object == self._value("busy").name:
                self._compare(int(step.detail), "is set to")
        elif step.site == "process.join":
            if step.process == VIDEO:
                self._has_buried = True
                self._out.pop(step.object, None)
        elif step.process == VIDEO and self.is_there and self.is_running:
            if self._has_buried:  # it knows of that death, and waits now
                self._has_buried = False
                self._compare(self._value("busy")._words[0], "is")  # noqa: SLF001 - as it stands
                return
            if self.facts.now_ns - self._undisturbed_ns() > BUSY_S * NS_PER_S:
                count = self._value("busy")._words[0]  # noqa: SLF001 - as it stands
                self._compare(count, "is")

    def frame(self, frame: FrameSeen) -> None:
        """See a result come in."""
        if frame.process == VIDEO and frame.way == "receive" and frame.raw[:1] == b"\x80":
            epoch = getattr(frame.work, "epoch", None)
            for name in [name for name, its in self._out.items() if its == epoch]:
                del self._out[name]

    def at_end(self) -> None:
        """See that nobody is counted as busy when all have gone."""
        if self._out and self.video_ended_well:
            self._out.clear()
            self._compare(self._value("busy")._words[0], "is at the end")  # noqa: SLF001

    def _hand_out(self, name: str, epoch: int) -> None:
        if name in self._out and self.facts.is_alive(name) and not self.facts.pool_is_tampered:
            self.violate(
                f"{name} was given stack {epoch} while it still had stack {self._out[name]}. "
                "A worker has one task at a time, or the result of the other is not waited for."
            )
        self._out[name] = epoch

    def _compare(self, count: int, verb: str) -> None:
        cut_short = self.facts.raising | self.facts.terminated  # as it handed out a stack, perhaps
        if self.facts.pool_is_tampered or VIDEO in cut_short:
            return
        for name in [name for name in self._out if self._is_long_dead(name)]:
            del self._out[name]
        least = sum(map(self.facts.is_alive, self._out))
        most = len(self._out)
        if not least <= count <= most:
            self.violate(
                f"The busy count {verb} {count}, and {least} workers are inside a task"
                + (f", {most - least} more died in one just now. " if most > least else ". ")
                + "It must be the number of live workers that have a task, never anything else."
            )

    def _is_long_dead(self, name: str) -> bool:
        process = self.facts.process(name)
        if process is None or process.ended_ns is None:
            return False
        since_ns = max(process.ended_ns, self._undisturbed_ns())
        return self.facts.now_ns - since_ns > BUSY_S * NS_PER_S

    def _undisturbed_ns(self) -> float:
        """Return since when nobody is kept from going on who may have the flag's lock in hand."""
        names = (process.name for process in self.world.machine.processes.values())
        pool = {name for name in names if name in (CAMERA, VIDEO) or name.startswith(WORKER)}
        return max(self.facts.struck_ns, self.facts.disturbed_ns(pool))


PROPERTIES: tuple[type[Property], ...] = (
    LegalTransitions, NoWedge, SoundWorkersLive, AnswersAreHeard, BusyCount,
)  # fmt: skip
