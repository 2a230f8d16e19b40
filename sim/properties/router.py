"""R1, R2 and R4: what the router does with the messages that it takes in."""
# ruff: noqa: ARG002 - a hook takes all that is told

import re
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from hal.clock import NS_PER_S
from magscope.aside import DROPPED
from magscope.mail import REFUSED
from sim.properties.base import MESSAGES, NEWS, WORK, FrameSeen, Head, Property
from sim.properties.facts import WORKER
from sim.properties.traffic import EVERYBODY, RouterWatch, Undelivered, called
from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

LATENCY_S = 0.1
DRAIN_NS = 5 * NS_PER_S


class Due(NamedTuple):
    """A message that the router has taken in and owes to one manager.

    Attributes:
        must: Whether it has to be handed on or reported; not for one that has died meanwhile.
        is_void: Whether it has to be reported, since the manager has said that it quits.
    """

    sender: str
    number: int
    content: int
    must: bool
    is_void: bool = False


class NothingLost(RouterWatch):
    """R1: nothing is lost, doubled or invented on the way; what is not delivered is reported once.

    Three steps are looked at apart: a manager numbers what it sends and leaves none out; the router
    hands on, in order, the very bytes that it took in, or reports the message; a manager obeys, in
    order, all that comes out of its pipe. What a fault does to a pipe between them is excused so.
    """

    id = "R1"
    title = "no message is lost, doubled or invented"
    sites = frozenset({"note.undelivered", "note.message", "note.warning", "process.end"})
    sees = MESSAGES | WORK | NEWS

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._numbers: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._refused_since: dict[str, int] = {}
        self._untold: dict[str, int] = {}  # of those, for which there was no room
        self._links: dict[str, deque[int]] = {}
        self._due: dict[str, deque[Due]] = {}
        self._handed: dict[str, set[tuple[str, int, int]]] = {}
        self._arrived: dict[str, deque[tuple[str, int, str]]] = {}
        self._reports = 0
        self._last: dict[str, Head | None] = {}
        self._cut: dict[str, Head] = {}

    def frame(self, frame: FrameSeen) -> None:
        """See that what comes out of a pipe is what went into it, in order."""
        content = crc32(frame.raw)
        if frame.way == "send":
            self._links.setdefault(frame.end, deque()).append(content)
            if frame.process == ROUTER and frame.manager:
                self._last[frame.manager] = frame.head
        else:
            sent = self._links.setdefault(_other(frame.end), deque())
            if (not sent or sent.popleft() != content) and not self._is_excused(frame.end):
                sent.clear()
                self.violate(
                    f"What {frame.process} got out of its pipe is not what had been given to it "
                    "next. A pipe must hand on whole frames, each once, in order."
                )
        super().frame(frame)

    def _is_excused(self, end: str) -> bool:
        """Whether a fault has changed what is in a pipe, or cut short who writes or reads there."""
        tampered, raising = self.facts.tampered_ns, self.facts.raising | self.facts.terminated
        if end in tampered or _other(end) in tampered:
            return True
        manager = self.facts.manager_of(end)
        return bool(raising) if not manager else bool(raising & {manager, ROUTER})

    def given(self, sender: str, head: Head, frame: FrameSeen) -> None:
        """See that a manager's messages leave it in order, none left out but those refused."""
        if head.sender != sender or sender in self.facts.raising:
            return
        last = self._numbers.get(sender, 0)
        self._numbers[sender] = head.number
        if head.number <= last:
            self.violate(
                f"{sender} sent its message {head.number} ({head.meth}) after its message {last}. "
                "Its messages must leave it once each, in the order of their numbers."
            )
            return
        if head.number - last - 1 < self._refused_since.pop(sender, 0):
            self.violate(
                f"{sender} gave the number {head.number} to its message {head.meth}, which a "
                "message had that was refused. Each has its own, so that a gap can be seen."
            )
        gap = self._left_out.get(sender, 0) + head.number - last - 1
        self._left_out[sender] = gap
        if gap > self._refused.get(sender, 0):
            self.violate(
                f"{sender} sent its message {head.number} though an earlier one had not left it. "
                "A message may be left out only if that was refused, and said in the log."
            )

    def taken_in(self, source: str, head: Head, frame: FrameSeen) -> None:
        """Take down to whom the router owes a message."""
        is_broadcast = head.to == EVERYBODY
        if head.to == ROUTER or (is_broadcast and head.meth == "quit"):
            return
        names, content = self.facts.addressed(head.to), crc32(frame.raw)
        for name in names:
            if is_broadcast and name in self.deaf:
                continue
            must = not is_broadcast or self.facts.is_alive(name)
            due = Due(head.sender, head.number, content, must, name in self.deaf)
            self._due.setdefault(name, deque()).append(due)
        if not names:
            due = Due(head.sender, head.number, content, must=True)
            self._due.setdefault(head.to, deque()).append(due)

    def handed_on(self, to: str, head: Head, frame: FrameSeen) -> None:
        """See that what the router hands on is the next that it owes."""
        if head.sender == ROUTER or not self.router_is_sound:
            return
        queue, content = self._due.setdefault(to, deque()), crc32(frame.raw)
        handed = self._handed.setdefault(to, set())
        key = (head.sender, head.number, content)
        if not any(due[:3] == key for due in queue):
            again = key in handed
            what = "once more than it had got it" if again else "which it had not taken in so"
            self.violate(
                f"The router handed {head.meth}, message {head.number} of {head.sender}, to {to}, "
                f"{what}. Each message must reach its receiver once, byte for byte as it was sent."
            )
            return
        handed.add(key)
        while (due := queue.popleft())[:3] != key:
            if due.must:
                self._lost(to, due, f"was overtaken by message {head.number} of {head.sender}")
        if due.is_void:
            self._lost(to, due, "was handed on though that had said before that it quits")

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:
        """Take down what a manager has to obey next."""
        self._arrived.setdefault(to, deque()).append((head.meth, head.number, head.sender))

    def step(self, step: Step) -> None:
        """See a report of the router, a refusal, or a message that is being obeyed."""
        if step.site == "note.warning":
            if step.process != ROUTER and step.detail.endswith(DROPPED):
                queue = self._arrived.setdefault(step.process, deque())
                for _ in range(min(int(step.detail.partition(" ")[0]), len(queue))):
                    queue.popleft()
            if step.process != ROUTER and step.detail.endswith(REFUSED):
                self._told_of_refusals(step)
            if step.detail.startswith("message refused"):
                if step.detail.startswith("message refused: the router"):
                    self._untold[step.process] = self._untold.get(step.process, 0) + 1
                self._refused[step.process] = self._refused.get(step.process, 0) + 1
                if not self._waiting_with(step.process):
                    since = self._refused_since.get(step.process, 0)
                    self._refused_since[step.process] = since + 1
        elif step.site == "note.message":
            self._obeyed(step)
        elif step.site == "process.end":
            self._ended(step)
        elif step.process == ROUTER:
            self._reports += 1
            self._reported(Undelivered.of(step.detail))

    def _told_of_refusals(self, step: Step) -> None:
        """See that of each message that there was no room for it is told once."""
        told = sum(int(n) for n in re.findall(r"(\d+) messages", step.detail))
        left = self._untold.pop(step.process, 0)
        if told != left and step.process not in self.facts.raising:
            self.violate(
                f"{step.process} says that {told} messages were refused, where {left} had been "
                "since it last said so. Who reads the log must know how many are missing."
            )

    def _reported(self, lost: Undelivered) -> None:
        if lost.sender == ROUTER or not self.router_is_sound:
            return
        cut = self._cut.get(lost.to)
        if cut is not None and (cut.sender, cut.number) == (lost.sender, lost.number):
            del self._cut[lost.to]
        queue = self._due.get(lost.to, deque())
        # What a dead one leaves is reported from the oldest on; what found no room is the newest.
        for place in (0, *range(len(queue) - 1, 0, -1)) if queue else ():
            due = queue[place]
            if due.number == lost.number and due.sender == lost.sender:
                del queue[place]
                return
        # Of a frame that had begun to leave, and whose receiver has died, the rest is reported.
        handed = self._handed.get(lost.to, set())
        keys = [key for key in handed if key[:2] == (lost.sender, lost.number)]
        handed.difference_update(keys)
        arrived = (lost.meth, lost.number, lost.sender) in self._arrived.get(lost.to, ())
        if not keys or arrived:
            self.violate(
                f"The router reported {lost.meth}, message {lost.number} of {lost.sender}, as not "
                f"delivered to {lost.to}, though it was delivered or reported already. Each "
                "message is either delivered or reported, and that once."
            )

    def _waiting_with(self, name: str) -> int:
        """Return how many frames wait for room in a manager's pipe."""
        being = getattr(self.facts.process(name), "being", None)
        mail = getattr(being, "_mail", None)
        return 0 if mail is None else mail.channel.waiting + (not mail.channel.end.is_flushed)

    def _ended(self, step: Step) -> None:
        """See that a manager which ended in order has left nothing unsaid."""
        who = step.process
        self._see_what_is_cut(who)
        in_order = step.detail in ("0", "1") and who in self.facts.managers
        if not in_order or self.world.router.code is not None or who in self.facts.raising:
            return
        waiting = self._waiting_with(who)
        if waiting and self.facts.disturbed_ns({who, ROUTER}) <= self.facts.now_ns - DRAIN_NS:
            self.violate(
                f"{who} ended with {waiting} frames that it had not got into its pipe, though the "
                "router was there to take them. Who quits must wait until all it said has left."
            )

    def _see_what_is_cut(self, who: str) -> None:
        """Take down a message of which a part is in the pipe of a manager that ends."""
        session: Any = self.world.scope and self.world.scope.session
        peers = () if session is None else session.peers
        for peer in peers:
            head = self._last.get(who)
            is_cut = peer.name == who and peer.channel._leaving is not None  # noqa: SLF001
            if is_cut and head is not None and head.sender != ROUTER:
                self._cut[who] = head

    def _obeyed(self, step: Step) -> None:
        if self.facts.said.get(step.process, "running") != "running":
            self.violate(
                f"{step.process} obeyed {step.detail} after it had said that it quits. "
                "Who has shut down must do nothing more, and discard what still comes."
            )
        message = called(step.detail)
        queue = self._arrived.setdefault(step.process, deque())
        skipped = []
        while queue and queue[0] != message:
            skipped.append(queue.popleft())
        if not queue:
            self.violate(
                f"{step.process} obeyed {message[0]}, message {message[1]} of {message[2]}, which "
                "was not the next that came to it. Each message is obeyed once, in order."
            )
            return
        queue.popleft()
        if not skipped or step.process in self.facts.raising:
            return
        if message[0] == "quit" and step.process not in self.facts.said:
            queue.extendleft(reversed(skipped))  # while it starts, it obeys nothing else yet
            return
        meth, number, sender = skipped[0]
        self.violate(
            f"{step.process} obeyed {message[0]} and had not obeyed {meth}, message {number} of "
            f"{sender}, which came before it. What comes to a manager must be obeyed in order."
        )

    def at_end(self) -> None:
        """See that the router, if it ended in order, owes nothing to anybody."""
        if not self.router_ended_well:
            return
        for to, queue in self._due.items():
            for due in queue:
                if due.must:
                    self._lost(to, due, "was neither handed on nor reported by the end")
                    return
        for to, head in self._cut.items():
            if not self._is_excused(self.facts.managers[to].resources.end.name):  # type: ignore[attr-defined]
                self.violate(
                    f"Message {head.number} of {head.sender} had left for {to} in part when that "
                    "ended, and was not reported. What does not arrive whole has not arrived."
                )
        self._see_what_was_not_read()
        report = self.world.report
        if report is not None and report.undelivered != self._reports:
            self.violate(
                f"The session's report counts {report.undelivered} undelivered messages, and the "
                f"router reported {self._reports}. Each has to be counted once."
            )

    def _see_what_was_not_read(self) -> None:
        """See that the router has read all that managers, now dead, had written."""
        for name, manager in self.facts.managers.items():
            end = manager.resources.end.name  # type: ignore[attr-defined]
            process, unread = self.facts.process(name), len(self._links.get(end, ()))
            if process is None or process.code is None or self._is_excused(end):
                continue
            if self.facts.reads_slowly(ROUTER, process.ended_ns or 0):
                continue  # as no pipe of the operating system lets anybody do
            if (process.code < 0 and self._waiting_with(name)) or self.facts.is_full(name):
                unread -= 1  # the last may have left in part only
            if unread > 0:
                self.violate(
                    f"The router has not read the last {unread} frames that {name} had written "
                    "before it ended. What a process said before its end must be heard."
                )

    def _lost(self, to: str, due: Due, how: str) -> None:
        self.violate(
            f"Message {due.number} of {due.sender} to {to} {how}. "
            "What the router takes in must be delivered in order, or reported with the reason."
        )


class LastWordsAreHeard(Property):
    """R1: all that a manager has sent whole before it ended is taken in before it is seen off."""

    id = "R1"
    title = "the last words of a manager are heard"
    sites = frozenset({"process.end", "process.join"})
    sees = MESSAGES | NEWS

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._unheard: Counter[str] = Counter()

    def frame(self, frame: FrameSeen) -> None:
        """Count what a manager sends, and what the router takes in."""
        if frame.way == "send" and frame.process == frame.manager:
            self._unheard[frame.manager] += 1
        elif frame.way == "receive" and frame.process == ROUTER:
            self._unheard[frame.manager] -= 1

    def step(self, step: Step) -> None:
        """See a manager end, and be seen off."""
        who, facts = step.object, self.facts
        if who not in self._unheard:
            return
        if step.site == "process.end":  # what it was just sending is cut off
            ends = [
                end for end in self.world.process(who).ends if facts.manager_of(end.name) == who
            ]
            self._unheard[who] -= any(end._outgoing for end in ends)  # noqa: SLF001
            return
        count = self._unheard.pop(who)
        touched = {facts.manager_of(end) for end in facts.tampered_ns}
        if facts.reads_slowly(ROUTER, step.t_ns) or facts.is_cut_off(who):
            return
        if (
            step.process == ROUTER
            and count > 0
            and who not in touched
            and ROUTER not in facts.raising
        ):
            self.violate(
                f"{who} was seen off with {count} of its frames still in its pipe. The router "
                "takes in all that was sent whole, or the reason why somebody ended is lost."
            )


class NobodyBlocks(RouterWatch):
    """R2: while somebody hangs or does not read, a message between two probes takes 100 ms at most.

    And the router takes what anybody has given to its pipe within that time. A fault's effect on
    anything is excused until it ends, but for one on a third process: its hanging must not be felt
    by these two.
    """

    id = "R2"
    title = "one manager that does not read holds up nobody else"
    sites = frozenset({"note.undelivered", "note.state"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._under_way: dict[tuple[str, int, str], tuple[int, str]] = {}
        self._in_pipe: dict[tuple[str, int], int] = {}

    def given(self, sender: str, head: Head, frame: FrameSeen) -> None:
        """Take down when a message set out."""
        said = self.facts.said
        if said.get(sender) == "running":
            self._in_pipe[sender, head.number] = frame.t_ns
        if not sender.startswith("Probe") or self.facts.session_ends_ns is not None:
            return
        for to in self.facts.addressed(head.to):
            if (
                to.startswith("Probe")
                and to not in self.deaf
                and said.get(sender) == said.get(to) == "running"
            ):
                self._under_way[head.sender, head.number, to] = (frame.t_ns, head.meth)

    def taken_in(self, source: str, head: Head, frame: FrameSeen) -> None:
        """See how long a message was in the pipe to the router."""
        given_ns = self._in_pipe.pop((source, head.number), None)
        if given_ns is None or not self.router_is_sound:
            return
        late_s = (frame.t_ns - max(given_ns, self._disturbed_ns(source))) / NS_PER_S
        if late_s > LATENCY_S and not self.facts.is_stalled(source, given_ns):
            self.violate(
                f"{head.meth}, message {head.number} of {source}, was in its pipe for {late_s:.2f} "
                "s before the router took it in, though nothing was the matter with either. The "
                f"router takes in what comes within {LATENCY_S:g} s, whatever the receivers do."
            )

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:
        """See how long a message was under way."""
        key = (head.sender, head.number, to)
        if key in self._under_way:
            self._judge(key, *self._under_way.pop(key))

    def step(self, step: Step) -> None:
        """See a message that is reported, and the beginning of the end."""
        if step.site == "note.undelivered":
            lost = Undelivered.of(step.detail)
            self._under_way.pop((lost.sender, lost.number, lost.to), None)
        elif step.process == ROUTER or step.detail != "running":
            self._judge_all()

    def at_end(self) -> None:
        """See what has never arrived."""
        if self.facts.session_ends_ns is None:
            self._judge_all()

    def _judge_all(self) -> None:
        under_way, self._under_way = self._under_way, {}
        for key, (began_ns, meth) in under_way.items():
            pipes = {self.facts.manager_of(end) for end in self.facts.tampered_ns}
            if pipes & {key[0], key[2]}:
                continue  # it may be lost, or still under way
            self._judge(key, began_ns, meth)

    def _judge(self, key: tuple[str, int, str], began_ns: int, meth: str) -> None:
        if not self.router_is_sound:
            return  # it may take an end that an exception came out of for broken
        sender, number, to = key
        router_ended_ns = self.world.router.ended_ns  # what it had not handed on by then is lost
        until_ns = self.facts.now_ns if router_ended_ns is None else router_ended_ns
        late_s = (until_ns - max(began_ns, self._disturbed_ns(sender, to))) / NS_PER_S
        stalled = self.facts.is_stalled(to, began_ns) or self.facts.is_stalled(sender, began_ns)
        both_live = self.facts.is_alive(to) and self.facts.is_alive(sender)
        if late_s > LATENCY_S and not stalled and both_live and self.router_is_sound:
            self.violate(
                f"{meth}, message {number} of {sender}, had not reached {to} after {late_s:.2f} s, "
                "though nothing was the matter with either. A message between two managers takes "
                f"{LATENCY_S:g} s at most, whatever a third one does."
            )

    def _disturbed_ns(self, *names: str) -> float:
        """Return until when a fault disturbed one of these processes, the router, or everybody.

        Who reads rows waits for a worker that hangs with their lock.
        """
        readers = {action.process for action in self.world.actions if action.do == "read"}
        holders = [p.name for p in self.world.machine.processes.values() if WORKER in p.name]
        return self.facts.disturbed_ns(
            {*names, ROUTER, *(holders if readers.intersection(names) else ())}
        )


class BroadcastReachesAll(RouterWatch):
    """R4: a broadcast reaches each manager that is alive and has not said that it quits, once.

    A request to quit is the router's own: it asks everybody itself, phase by phase. A broadcast
    comes back to its sender as to anybody else, once.
    """

    id = "R4"
    title = "a broadcast reaches everybody, once"
    sites = frozenset({"note.undelivered"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._owed: dict[tuple[str, int], dict[str, int]] = {}
        self._meth: dict[tuple[str, int], str] = {}

    def taken_in(self, source: str, head: Head, frame: FrameSeen) -> None:
        """Take down whom a broadcast has to reach."""
        if head.to != EVERYBODY or head.meth == "quit" or source in self.facts.raising:
            return
        owed = self._owed.setdefault((head.sender, head.number), {})
        self._meth[head.sender, head.number] = head.meth
        for name in self.facts.managers:
            if name not in self.deaf:
                owed[name] = owed.get(name, 0) + 1

    def handed_on(self, to: str, head: Head, frame: FrameSeen) -> None:
        """Cross off whom a broadcast was given to."""
        owed = self._owed.get((head.sender, head.number))
        if owed is None or head.to != EVERYBODY or not self.router_is_sound:
            return
        owed[to] = owed.get(to, 0) - 1
        if owed[to] < 0:
            who = "who sent it" if to == head.sender else "who had it or had quit"
            self.violate(
                f"The broadcast {head.meth}, message {head.number} of {head.sender}, was handed "
                f"once too often to {to}, {who}. A broadcast reaches each manager once."
            )

    def step(self, step: Step) -> None:
        """Cross off a broadcast that could not be delivered, and was reported."""
        lost = Undelivered.of(step.detail)
        owed = self._owed.get((lost.sender, lost.number), {})
        if owed.get(lost.to, 0) > 0:
            owed[lost.to] -= 1

    def at_end(self) -> None:
        """See that each broadcast has reached everybody, or was reported."""
        if not self.router_ended_well:
            return
        for (sender, number), owed in self._owed.items():
            for name, count in owed.items():
                if count > 0 and self._could_hear(name):
                    self.violate(
                        f"The broadcast {self._meth[sender, number]}, message {number} of {sender},"
                        f" did not reach {name}, which was alive and had not quit. A broadcast "
                        "reaches every manager, or it is reported for whom it did not."
                    )
                    return

    def _could_hear(self, name: str) -> bool:
        """Whether a manager ended by quitting, and not by dying, unnoticed, before."""
        return name in self.deaf


def _other(end: str) -> str:
    """Return the name of the other end of a pipe."""
    return end[:-1] + ("b" if end[-1] == "a" else "a")


PROPERTIES: tuple[type[Property], ...] = (
    NothingLost, LastWordsAreHeard, NobodyBlocks, BroadcastReachesAll,
)  # fmt: skip
