"""Rare states that a campaign must have come through, or what it found says little."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from magscope.aside import DROPPED, LEFT
from sim.properties.base import MESSAGES, NEWS, WORK, Property
from sim.properties.facts import CAMERA, RECORDER, VIDEO, WORKER
from sim.properties.pool import PoolWatch
from sim.properties.reference import Flag
from sim.properties.traffic import Undelivered, called
from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.properties.base import FrameSeen
    from sim.world.world import World

_PHASES = {
    "idle": "a worker dies before it has a task",
    "handed": "a worker dies after it was handed a stack and before it took its task",
    "taken": "a worker dies after it took its task and before it touched the stack",
    "reading": "a worker dies while it reads its stack",
    "finished": "a worker dies after it gave its stack back and before its result",
    "answering": "a worker dies while it writes its result",
    "answered": "a worker dies after its result",
}
_LOCKS = {
    "VideoBuffer": "the video buffer's lock",
    "TracksBuffer": "the tracks' lock",
    "flag": "the flag's lock",
}
ALL_STATES: frozenset[str] = frozenset(
    {
        *_PHASES.values(),
        *(f"a manager dies with {lock}" for lock in ("the video buffer's lock", "the flag's lock")),
        *(f"a worker dies with {lock}" for lock in ("the tracks' lock", "the flag's lock")),
        "frames are to be dropped while a worker reads",
        "frames are purged",
        "frames are discarded while acquisition is off",
        "somebody asks for the end during start-up",
        "two ask for the end at once",
        "the end is asked for while the flag is RUNNING",
        "the router dies during start-up",
        "the router dies while the session runs",
        "the router dies during shutdown",
        "a manager dies during start-up",
        "a manager dies while it runs",
        "a manager dies while it drains its pipe",
        "a pipe is full",
        "a message comes for a manager that has quit",
        "a message comes for a manager that is dead",
        "a message is held back during start-up",
        "a stack fails",
        "the video buffer is exactly full",
        "a buffer of rows is exactly full",
        "a buffer of rows is overrun",
        "recording is switched while a worker has a stack",
        "acquisition is switched while a worker has a stack",
        "a manager is told to terminate",
        "a manager is killed by the router",
        "a worker is killed by its manager",
        "two workers have a task at once",
        "the device has lost frames",
        "a device that had gone is found again",
        "the disk is full while a batch is written",
        "a driver takes long to return",
        "a driver that does not return is left to itself",
        "messages are dropped for a request to quit",
    }
)


class Sometimes(PoolWatch):
    """Takes down which of the rare states a run comes through; violates nothing."""

    id = "sometimes"
    title = "rare states are reached"
    sites = frozenset(
        {
            "note.flag", "note.stack", "note.state", "note.message", "note.undelivered",
            "process.end", "process.terminate", "process.kill", "memory.set", "value.get",
            "fault.disk-full", "pipe.write", "interrupt", "note.device", "note.warning",
            "note.error",
        }
    )  # fmt: skip
    sees = MESSAGES | WORK | NEWS

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._phase: dict[str, str] = {}
        self._asked: list[int] = []
        self._opened: set[str] = set()
        self._counts: dict[tuple[str, str], int] = {}
        self._looks: dict[str, Callable[[Step], None]] = {
            "note.flag": self._note_flag,
            "note.stack": self._note_stack,
            "note.state": self._note_state,
            "note.message": self._note_message,
            "note.undelivered": self._note_undelivered,
            "process.end": self._process_end,
            "process.terminate": self._process_terminate,
            "process.kill": self._process_kill,
            "memory.set": self._memory_set,
            "value.get": self._value_get,
            "fault.disk-full": self._fault_disk_full,
            "pipe.write": self._pipe_write,
            "note.device": self._note_device,
            "note.warning": self._note_warning,
            "note.error": self._note_error,
            "interrupt": self._asks,
        }

    def reach(self, state: str) -> None:
        """Take down that a state was reached."""
        assert state in ALL_STATES, state
        self.world.monitor.reached.add(state)

    def step(self, step: Step) -> None:
        """Recognise what a step means."""
        self._looks[step.site](step)

    def _note_flag(self, step: Step) -> None:
        flag = Flag.noted(step.detail)
        worker = f"{WORKER}{flag.owner}"
        if flag.state == "RUNNING":
            self._phase[worker] = "handed"
        elif flag.state == "FINISHED" and step.process == worker:
            self._phase[worker] = "finished"

    def _note_stack(self, step: Step) -> None:
        self._phase[step.process] = "reading"

    def _note_state(self, step: Step) -> None:
        if step.detail != "running" and step.process != ROUTER:
            self._asks(step)

    def _asks(self, step: Step) -> None:
        if self.facts.session_ends_ns is not None and self.facts.session_ends_ns < step.t_ns:
            return
        if self._asked and self._asked[-1] == step.t_ns:
            self.reach("two ask for the end at once")
        self._asked.append(step.t_ns)
        if self.facts.said.get(VIDEO) is None:
            self.reach("somebody asks for the end during start-up")
        if self.is_there and self.flag.state == "RUNNING":
            self.reach("the end is asked for while the flag is RUNNING")

    def _note_message(self, step: Step) -> None:
        meth, _, sender = called(step.detail)
        if self.facts.said.get(step.process) is None:
            self.reach("a message is held back during start-up")
        has_stack = any(p in ("handed", "taken", "reading") for p in self._phase.values())
        if has_stack and step.process == VIDEO and meth.startswith("set_acquisition_dir"):
            self.reach("recording is switched while a worker has a stack")
        if has_stack and step.process == CAMERA and meth == "set_acquisition_on":
            self.reach("acquisition is switched while a worker has a stack")
        if meth == "quit" and sender != ROUTER:
            self._asks(step)

    def _note_undelivered(self, step: Step) -> None:
        reason = Undelivered.of(step.detail).reason
        if reason == "is quitting":
            self.reach("a message comes for a manager that has quit")
        elif "gone" in reason:
            self.reach("a message comes for a manager that is dead")

    def _process_terminate(self, step: Step) -> None:
        if step.object in self.facts.managers and self.facts.is_alive(step.object):
            self.reach("a manager is told to terminate")

    def _process_kill(self, step: Step) -> None:
        if self.facts.is_alive(step.object):
            if step.object in self.facts.managers:
                self.reach("a manager is killed by the router")
            elif step.object.startswith(WORKER):
                self.reach("a worker is killed by its manager")

    def _process_end(self, step: Step) -> None:
        who = step.process
        if step.detail not in ("-9", "1"):
            return
        if who == ROUTER:
            started = self.facts.said.get(VIDEO) is not None
            ends = self.facts.session_ends_ns is not None
            when = "during shutdown" if ends else "while the session runs"
            self.reach(f"the router dies {when if started or ends else 'during start-up'}")
        elif who in self.facts.managers:
            said = self.facts.said.get(who)
            if said is None:
                self.reach("a manager dies during start-up")
            elif said == "running":
                self.reach("a manager dies while it runs")
            else:
                self.reach("a manager dies while it drains its pipe")
        elif who.startswith(WORKER):
            self.reach(_PHASES[self._phase.get(who, "idle")])
        self._look_at_locks(who)

    def _look_at_locks(self, who: str) -> None:
        process = self.facts.process(who)
        if process is None or not self.is_there:
            return
        locks = {**self.facts.managers[CAMERA].locks, "flag": self._value("flag").get_lock()}
        for name, words in _LOCKS.items():
            if name in locks and locks[name].holder == process.pid:
                kind = "worker" if who.startswith(WORKER) else "manager"
                if (state := f"a {kind} dies with {words}") in ALL_STATES:
                    self.reach(state)

    def _memory_set(self, step: Step) -> None:
        word, _, text = step.detail.partition("=")
        counts, name, number = self._counts, step.object, int(text)
        counts[name, word] = number
        if name == "VideoBuffer":
            level = counts.get((name, "written"), 0) - counts.get((name, "released"), 0)
            room = counts.get((name, "n_stacks"), 0) * counts.get((name, "n_images"), 0)
            if room and level == room:
                self.reach("the video buffer is exactly full")
            if word == "released" and self.is_there and self.flag.state == "READY":
                on = getattr(self.world.machine.running.being, "_acquisition_on", True)
                self.reach(
                    "frames are purged" if on else "frames are discarded while acquisition is off"
                )
        elif word == "written":
            unread = number - counts.get((name, "read"), 0)
            rows = counts.get((name, "rows"), 0)
            if rows and unread >= rows:
                over = "overrun" if unread > rows else "exactly full"
                self.reach(f"a buffer of rows is {over}")

    def _value_get(self, step: Step) -> None:
        """See the camera manager look at the flag because it wants to make room."""
        if step.process != CAMERA or step.object != self._value("flag").name:
            return
        holds = self._value("flag").get_lock().holder == self.world.machine.running.pid
        if holds and self.flag.state == "RUNNING":
            self.reach("frames are to be dropped while a worker reads")

    def _pipe_write(self, step: Step) -> None:
        if step.process.startswith(WORKER) and self._phase.get(step.process) == "finished":
            self._phase[step.process] = "answering"

    def _note_device(self, step: Step) -> None:
        if step.detail.endswith("is open"):
            if step.process in self._opened:
                self.reach("a device that had gone is found again")
            self._opened.add(step.process)

    def _note_warning(self, step: Step) -> None:
        if step.process != ROUTER and "its driver has not returned" in step.detail:
            self.reach("a driver takes long to return")
        elif step.process != ROUTER and step.detail.endswith(DROPPED):
            self.reach("messages are dropped for a request to quit")

    def _note_error(self, step: Step) -> None:
        if step.process != ROUTER and LEFT in step.detail:
            self.reach("a driver that does not return is left to itself")

    def _fault_disk_full(self, step: Step) -> None:
        if step.object == RECORDER:
            self.reach("the disk is full while a batch is written")

    def frame(self, frame: "FrameSeen") -> None:
        """See tasks come and results go, and what finds no room."""
        who = frame.process
        if frame.raw[:1] != b"\x80":
            if frame.way == "send" and self._is_full(frame):
                self.reach("a pipe is full")
            return
        if who.startswith(WORKER):
            if frame.way == "receive":
                self._phase[who] = "taken"
            elif self._phase.get(who, "idle") != "idle":
                self._phase[who] = "answered"
        elif frame.way == "receive" and bool(getattr(frame.work, "problem", "")):
            self.reach("a stack fails")
        if sum(p not in ("idle", "answered") for p in self._phase.values()) > 1:
            self.reach("two workers have a task at once")

    def _is_full(self, frame: "FrameSeen") -> bool:
        end = self.world.machine._handed.get(frame.end)  # noqa: SLF001 - as it stands
        outgoing = getattr(end, "outgoing", None)
        return outgoing is not None and bool(outgoing._taken >= outgoing.capacity)  # noqa: SLF001

    def at_end(self) -> None:
        """Look at the account."""
        report = self.world.report
        if report is not None and report.frames.device_lost:
            self.reach("the device has lost frames")


PROPERTIES: tuple[type[Property], ...] = (Sometimes,)
