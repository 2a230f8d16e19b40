"""`RouterMachine`: the router between managers that send, stall, talk nonsense, die and quit."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from magscope.channel import Channel
from magscope.protocol import Frame, Kind, envelope, pack, pack_message, unpack
from magscope.router import ROUTER, Peer, Router
from magscope.runtime import current
from magscope.utils import Message
from sim import strategies
from sim.faults import Crash, Fault
from sim.machines.base import StageMachine
from sim.machines.router_model import EVERYBODY, KIND, Post, RouterModel
from sim.machines.stage import Actor, Stage
from sim.testing.rigs import SMALL_RIG
from sim.world.pipes import room_taken
from sim.world.plan import Action, Plan, Workload
from sim.world.probe import Probe

NAMES = ("Probe-1", "Probe-2", "Probe-3")
LIMIT, CAPACITY = 4, 8192
IN_PIPE = CAPACITY // room_taken(1) + 2
LARGEST_IN_PIPE = 36_544  # what a pipe takes at once, however little room it has
SIZES = (0, 200, 5000, 40_000)
ALIVE = ("running", "stalled")
WHO = st.integers(0, len(NAMES) - 1)
QUIET_S = 0.08
ADDRESSES = (*NAMES, KIND, EVERYBODY, "Nobody")


class _Manager:
    """A manager's process with the manager's end of its pipe."""

    def __init__(self, stage: Stage, name: str, end: Any) -> None:
        self.sent = 0
        self.frames: list[bytes] = []
        self.is_stalled = False
        self.is_left_alone = False
        self._channel: Channel | None = None
        self.actor = Actor(stage, name, self._sources, self._writable, self._turn)
        stage.settle()
        self._channel = Channel(stage.hand_over(end, self.actor))
        self.actor.nudge()

    @property
    def posts(self) -> list[Post]:
        """What it got: sender and number of each message."""
        heads = [envelope(frame) for frame in map(unpack, self.frames)
                 if frame.kind is Kind.MESSAGE]  # fmt: skip
        return [(head.sender, head.number) for head in heads]

    def post(self, *frames: bytes) -> None:
        """Write into the pipe, as the process itself."""
        for frame in frames:
            assert self._channel is not None
            self._channel.post(frame)

    def _sources(self) -> list[Channel]:
        reads = self._channel is not None and not self.is_stalled and not self.is_left_alone
        return [self._channel] if reads and self._channel is not None else []

    def _writable(self) -> list[Channel]:
        channel = self._channel
        return [channel] if channel is not None and channel.wants_room else []

    def _turn(self, _: set[Any]) -> None:
        channel = self._channel
        if channel is None:
            return
        channel.flush()
        try:
            while not self.is_stalled and (raw := channel.receive()) is not None:
                self.frames.append(raw)
        except EOFError:
            self.is_left_alone = True


class _RouterProcess:
    """The router's process: its loop is that of a session, without shared memory and devices."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.news: list[tuple[str, Frame]] = []
        self.own: list[str] = []
        self.warnings: list[str] = []
        self.router = Router(self._note, lambda head, _: self.own.append(head.meth), self._warn)
        self.actor = stage.begin(ROUTER, sources=self._sources, writable=self.router.writable,
                                 turn=self._turn)  # fmt: skip

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        current().note("warning", text)

    def _sources(self) -> list[Channel]:
        return list(self.router.readable())

    def _note(self, peer: Peer, frame: Frame) -> None:
        self.news.append((peer.name, frame))
        if frame.kind is Kind.STATE and frame.fields == ("quitting",):
            peer.state = "quitting"
            peer.channel.post(pack(Kind.ACKNOWLEDGE))

    def _turn(self, ready: set[Any]) -> None:
        self.router.serve(ready)
        for peer in self.router.peers.values():
            if peer.channel.is_broken and peer.state != "gone":
                self.router.take_in(peer)
                self.router.drop(peer, "is gone")
                peer.state = "gone"

    def add(self, name: str) -> Any:
        """Serve one more manager; return its end of the pipe."""

        def make() -> Any:
            mine, its = current().pipe()
            channel = Channel(mine, max_frames=LIMIT)
            self.router.add(Peer(Probe(name, (), 0), channel, state="running"))
            return its

        return self.stage.ask(self.actor, make)


class RouterMachine(StageMachine):
    """A real router and its channels, over the pipes of a world, against a dictionary of queues.

    The pipes are small and the queues short, so that both are full soon. What the rules did is a
    plan as well, which does the same in a whole system.
    """

    @initialize()
    def start(self) -> None:
        """Start the router and three managers."""
        self.stage = Stage(capacity=CAPACITY)
        self.process = _RouterProcess(self.stage)
        self.managers = {name: _Manager(self.stage, name, self.process.add(name)) for name in NAMES}
        self.model = RouterModel(NAMES, LIMIT, IN_PIPE)
        self.hostile = 0
        self.asked_to_quit = 0
        self.from_router = 0
        self.stalled_at: dict[str, float] = {}
        self.stage.settle()

    def _of(self, *states: str) -> list[str]:
        """Return the managers in one of these states."""
        return [n for n in NAMES if self.is_up and self.model.state[n] in states]

    @property
    def _may_lose_one(self) -> bool:
        """Whether enough of them live, and have lived long enough, for one to go."""
        return len(self._of("running", "stalled")) > 1 and self.now_s > QUIET_S

    def _choose(self, number: int, *states: str) -> str:
        """Return one of the managers in these states."""
        choice = self._of(*states)
        return choice[number % len(choice)]

    @rule(
        who=WHO,
        to=st.sampled_from(ADDRESSES),
        size=st.sampled_from(SIZES),
        count=st.sampled_from((16, 1, 4)),
    )
    def send(self, who: int, to: str, size: int, count: int) -> None:
        """A manager sends messages, one after the other."""
        self._send_all(self._choose(who, *ALIVE), to, size, count)

    @precondition(lambda self: self._of("stalled"))
    @rule(who=WHO, to=WHO, size=st.sampled_from(SIZES), count=st.sampled_from((16, 1, 4)))
    def send_to_a_stalled_one(self, who: int, to: int, size: int, count: int) -> None:
        """A manager sends messages to one that does not read."""
        self._send_all(self._choose(who, *ALIVE), self._choose(to, "stalled"), size, count)

    def _send_all(self, who: str, to: str, size: int, count: int) -> None:
        manager = self.managers[who]
        self.done(f"{who} sends {count} messages of {size} bytes to {to}")
        self.record(Action(self.now_s, who, "flood", to, "hear", (count, "x" * size)))
        for _ in range(count):
            self._send(manager, to, size)
            self.stage.settle()

    def _send(self, manager: _Manager, to: str, size: int) -> Post:
        manager.sent += 1
        post = (manager.actor.name, manager.sent)
        raw = pack_message(Message(to, "hear", bytes(size)), *post)
        self.model.send(to, post)
        if len(raw) > LARGEST_IN_PIPE:
            self.model.large.add(post)
        manager.actor.tell(lambda: manager.post(raw))
        return post

    @precondition(lambda self: self.is_up and self.from_router < 4)
    @rule(to=st.sampled_from(ADDRESSES[:-1]))
    def send_from_the_router(self, to: str) -> None:
        """The router itself sends a message."""
        self.done(f"{ROUTER} sends a message to {to}")
        self.from_router += 1
        self.model.send(to, (ROUTER, self.from_router))
        self.stage.ask(self.process.actor, lambda: self.process.router.send(Message(to, "hear")))

    @precondition(lambda self: self.is_up and self.hostile < 3)
    @rule(number=WHO, raw=strategies.hostile_bytes())
    def post_noise(self, number: int, raw: bytes) -> None:
        """A manager writes something into its pipe that is no message."""
        who = self._choose(number, *ALIVE)
        manager = self.managers[who]
        self.done(f"{who} writes {raw!r:.60} into its pipe")
        self.record(Action(self.now_s, who, "post", args=(raw.hex(),)))
        self.hostile += 1
        self.stage.ask(manager.actor, lambda: manager.post(raw))

    @precondition(lambda self: self.is_up and self.asked_to_quit < 1)
    @rule(number=WHO)
    def ask_all_to_quit(self, number: int) -> None:
        """A manager asks everybody to quit: that is for the router to decide."""
        who = self._choose(number, *ALIVE)
        manager = self.managers[who]
        self.done(f"{who} asks everybody to quit")
        manager.sent += 1
        self.asked_to_quit += 1
        raw = pack_message(Message(EVERYBODY, "quit"), who, manager.sent)
        self.stage.ask(manager.actor, lambda: manager.post(raw))

    @precondition(lambda self: self._of("running"))
    @rule(number=WHO)
    def stall(self, number: int) -> None:
        """A manager does not read any more."""
        who = self._choose(number, "running")
        self.done(f"{who} does not read any more")
        self.managers[who].is_stalled = True
        self.managers[who].actor.nudge()
        self.model.state[who] = "stalled"
        self.stalled_at[who] = self.now_s
        self.stage.settle()

    @precondition(lambda self: self._of("stalled"))
    @rule(number=WHO, meanwhile=st.sampled_from((0, 6)))
    def resume(self, number: int, meanwhile: int) -> None:
        """It reads again, while another one sends to it."""
        who, by = self._choose(number, "stalled"), self._choose(number + 1, *ALIVE)
        self.done(f"{who} reads again, while {by} sends {meanwhile} messages to it")
        self.managers[who].is_stalled = False
        self.managers[who].actor.nudge()
        began_s = self.stalled_at.pop(who)
        self.record(Action(began_s, who, "stall", args=(round(self.now_s - began_s, 3),)))
        for _ in range(meanwhile):
            self._send(self.managers[by], who, 0)
        if meanwhile:
            self.record(Action(self.now_s, by, "flood", who, "hear", (meanwhile,)))
        self.model.state[who] = "resuming"  # its queue may have been full a moment ago
        self.stage.settle()
        self.agrees_with_the_model()
        self.model.state[who] = "running"

    @precondition(lambda self: self._may_lose_one)
    @rule(number=WHO)
    def kill(self, number: int) -> None:
        """A manager dies."""
        who = self._choose(number, "stalled", "running", "quitting")
        self.done(f"{who} is killed")
        self.record(Crash(who, at_s=self.now_s))
        self.stage.kill(self.managers[who].actor)
        self.model.state[who] = "gone"
        self.stage.settle()

    @precondition(lambda self: self._may_lose_one)
    @rule(
        number=WHO,
        to=st.sampled_from(ADDRESSES),
        size=st.sampled_from(SIZES),
        after=st.integers(0, 6),
    )
    def die_while_sending(self, number: int, to: str, size: int, after: int) -> None:
        """A manager dies at one of its operations while it sends a message."""
        who = self._choose(number, *ALIVE)
        manager = self.managers[who]
        self.done(f"{who} sends {size} bytes to {to}, and is killed at operation {after} of it")
        self.stage.kill_later(manager.actor, after)
        self.model.doubtful.add(self._send(manager, to, size))
        self.stage.settle()
        if manager.actor.is_alive:
            self.stage.kill(manager.actor)
        self.model.state[who] = "gone"
        self.stage.settle()

    @precondition(lambda self: self._may_lose_one)
    @rule(number=WHO)
    def quit(self, number: int) -> None:
        """A manager says that it quits; it discards what still comes."""
        who = self._choose(number, *ALIVE)
        manager = self.managers[who]
        self.done(f"{who} says that it quits")
        self.record(Action(self.now_s, who, "quit"))
        self.model.state[who] = "quitting"
        manager.is_stalled = False
        self.stage.ask(manager.actor, lambda: manager.post(pack(Kind.STATE, "quitting")))
        manager.actor.nudge()
        self.stage.settle()

    @invariant()
    def agrees_with_the_model(self) -> None:
        """Everybody got what the model says, and the rest is reported, each once."""
        if not self.is_up:
            return
        self.check_processes()
        router = self.process.router
        reports = list(router.undelivered)
        for name in NAMES:
            mine = [r for r in reports if r.to == name]
            reported = [(r.sender, r.number) for r in mine]
            self.check(self.model.compare(name, self.managers[name].posts, reported))
        nowhere = [(r.sender, r.number) for r in reports if r.to not in NAMES]
        if [p for p in nowhere if p not in self.model.doubtful] != [
            p for p in self.model.unknown if p not in self.model.doubtful
        ]:
            self.check(f"R3: reported for nobody: {nowhere}; it was {self.model.unknown}")
        if len(reports) != router.undelivered_count:
            self.check(f"R1: {router.undelivered_count} are counted, {len(reports)} reported")
        if len(self.process.own) != self.asked_to_quit:
            self.check(f"S2: asked to quit {self.asked_to_quit} times, heard {self.process.own}")
        heard = [frame for name, frame in self.process.news if frame.fields != ("quitting",)]
        noise = [text for text in self.process.warnings if " sent " in text]
        if len(heard) + len(noise) != self.hostile:
            self.check(f"R3: {self.hostile} frames were no message, and {len(noise)} are reported")
        for peer in router.peers.values():
            if peer.channel.waiting > LIMIT:
                self.check(f"R5: {peer.channel.waiting} frames wait for {peer.name}")

    def observe(self) -> dict[str, float]:
        """Return what to steer towards."""
        return {
            "undelivered": float(self.process.router.undelivered_count),
            "waiting": float(sum(self.model.waiting(name) for name in NAMES)),
        }

    def as_plan(self) -> Plan:
        """Return the plan that does the same in a whole system."""
        actions = [cause for cause in self.causes if isinstance(cause, Action)]
        faults = [cause for cause in self.causes if isinstance(cause, Fault)]
        workload = Workload(rig=SMALL_RIG, for_s=round(self.now_s + 0.5, 3), actions=tuple(actions))
        return Plan(workload).with_causes([*actions, *faults])
