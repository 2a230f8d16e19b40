"""R3 and R5: what is wrong is refused and said, and nothing grows without a bound."""
# ruff: noqa: ARG002 - a hook takes all that is told

import inspect
import pickle
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from magscope.channel import MAX_WAITING_BYTES, MAX_WAITING_FRAMES, Channel
from magscope.processes import ManagerProcessBase
from magscope.router import REMEMBERED
from magscope.runtime import RuntimeProcess
from magscope.session import LOG_LINES
from sim.properties.base import MESSAGES, NEWS, WORK, FrameSeen, Head, Property
from sim.properties.traffic import RouterWatch, called
from sim.world.plan import ROUTER
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

_NEVER_SENT = ("no message", "unpicklable", "oversized", "nameless")
_OWN = ("quit", "set_settings")


class BadIsRefused(RouterWatch):
    """R3: what is no message, or must not be obeyed, is refused and said by who meets it first.

    That all go on is seen by the other properties: nobody ends who was not told to.
    """

    id = "R3"
    title = "a bad message is refused and reported, and harms nobody"
    sites = frozenset(
        {
            "note.does", "note.warning", "note.message", "note.undelivered", "note.state",
            "process.terminate", "process.kill",
        }
    )  # fmt: skip

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._expected: dict[str, str] = {}
        self._payloads: dict[tuple[str, str, int, str], FrameSeen] = {}

    def garbled(self, source: str) -> None:
        """Expect the router to say that it got something that is no frame."""
        self._expect(ROUTER, f"what {source} had sent, which is no frame")

    def taken_in(self, source: str, head: Head, frame: FrameSeen) -> None:
        """Expect the router to say that nobody has this name, or that it does no such thing."""
        self._is_over(ROUTER)
        is_own = head.to == ROUTER and head.meth not in _OWN
        if is_own or (head.to != ROUTER and not self.facts.addressed(head.to)):
            self._expect(ROUTER, f"{head.meth} from {head.sender} to {head.to}")

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:
        """Keep what a message carries until it is obeyed."""
        self._payloads[to, head.meth, head.number, head.sender] = frame

    def step(self, step: Step) -> None:
        """See what is done, and what is said of it."""
        who = step.process
        if step.site in ("note.warning", "note.undelivered"):
            if who == ROUTER or "refused" in step.detail:
                self._expected.pop(who, None)
        elif step.site == "note.state":
            self._is_over(who)
        elif step.site.startswith("process."):
            if step.object == who:
                self._is_over(who)
        elif step.site == "note.does":
            self._is_over(who)
            for how in _NEVER_SENT:
                if step.detail.startswith("send_bad:") and f"that is {how} at" in step.detail:
                    self._expect(who, f"a message that is {how}")
        else:
            self._is_over(who)
            self._obeys(who, *called(step.detail))

    def _obeys(self, who: str, meth: str, number: int, sender: str) -> None:
        frame = self._payloads.pop((who, meth, number, sender), None)
        manager = self.facts.managers.get(who)
        if frame is None or manager is None:
            return
        if reason := refusal(type(manager), meth, frame):
            self._expect(who, f"{meth} from {sender}, since {reason}")

    def _expect(self, who: str, what: str) -> None:
        if who not in self.facts.raising:
            self._expected[who] = what

    def _is_over(self, who: str) -> None:
        what = self._expected.pop(who, None)
        if what is not None and who not in self.facts.raising:  # it may have failed before that
            self.violate(
                f"{who} went on without a word about {what}. "
                "What is wrong with a message must be refused, and said in the log."
            )


def refusal(cls: type[ManagerProcessBase], meth: str, frame: FrameSeen) -> str:
    """Return why a manager of this class must not obey a message; "" if it may."""
    if meth.startswith("_"):
        return "it is private"
    if hasattr(RuntimeProcess, meth):
        return "it belongs to every process"
    signature = _signature(cls, meth)
    if signature is None:
        return "there is no such method"
    assert frame.parts is not None
    if not frame.parts[2]:
        return "it carries nothing"
    return _misfit(cls, meth, frame.parts[2])


@lru_cache(maxsize=256)
def _misfit(cls: type, meth: str, payload: bytes) -> str:
    signature = _signature(cls, meth)
    assert signature is not None
    try:
        args, kwargs = pickle.loads(payload)
        signature.bind(None, *args, **kwargs)
    except TypeError:
        return "its arguments do not fit"
    except Exception:  # whatever an argument's own constructor raises
        return "it carries what can not be read"
    return ""


@lru_cache(maxsize=1024)
def _signature(cls: type, meth: str) -> inspect.Signature | None:
    method = getattr(cls, meth, None)
    return inspect.signature(method) if inspect.isfunction(method) else None


class BoundedQueues(RouterWatch):
    """R5: no queue of the router's or of a manager's is longer than its stated bound."""

    id = "R5"
    title = "no queue grows without a bound"
    sites = frozenset({"wait"})
    sees = frozenset()

    def step(self, step: Step) -> None:
        """Look at the queues of the process that is about to wait."""
        if step.process == ROUTER:
            self._look_at_router()
        elif step.process in self.facts.managers:
            being = getattr(self.world.machine.running, "being", None)
            mail = getattr(being, "_mail", None)
            if mail is not None:
                self._look_at(mail.channel, step.process)
                self._compare(
                    mail.held, MAX_WAITING_FRAMES, f"messages that {step.process} holds back"
                )

    def _look_at_router(self) -> None:
        session: Any = self.world.scope and self.world.scope.session
        if session is None:
            return
        for peer in session.peers:
            self._look_at(peer.channel, f"the router for {peer.name}")
        self._compare(len(session.router.undelivered), REMEMBERED, "undelivered messages")
        for name in ("log", "errors", "warnings"):
            self._compare(len(getattr(session, name)), LOG_LINES, f"{name} of the session")

    def _look_at(self, channel: Channel, whose: str) -> None:
        size = sum(map(len, channel._waiting))  # noqa: SLF001 - counted, not believed
        if size != channel._waiting_bytes:  # noqa: SLF001 - what it goes by when it refuses
            self.violate(
                f"{size} bytes wait with {whose}, which reckons with {channel._waiting_bytes}. "  # noqa: SLF001
                "It would refuse messages though there is room for them, or take too many."
            )
        if channel.waiting:
            self._compare(channel.waiting, MAX_WAITING_FRAMES, f"messages that wait with {whose}")
            self._compare(size, MAX_WAITING_BYTES, f"bytes that wait with {whose}")

    def _compare(self, found: int, most: int, what: str) -> None:
        if found > most:
            self.violate(
                f"There are {found} {what}, and there must be no more than {most}. "
                "What can not be sent on has to be refused and reported, or memory runs out."
            )


class NonsenseEndsAPipe(Property):
    """R3: a frame whose length can be no frame's is the last thing that is read from its pipe.

    Where the next one begins can not be known, and what is taken for one may be half of another.
    """

    id = "R3"
    title = "nothing is read behind a length that makes no sense"
    sites = frozenset({"pipe.tampered"})
    sees = MESSAGES | WORK | NEWS

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._sent: Counter[str] = Counter()
        self._received: Counter[str] = Counter()
        self._most: dict[str, int] = {}
        self._touched: set[str] = set()

    def step(self, step: Step) -> None:
        """See a frame lose its length; how many come before it is known if all are as sent."""
        is_nonsense = step.detail.startswith(("corrupt length", "oversize"))
        if is_nonsense and step.object not in self._touched:
            self._most[_other(step.object)] = self._sent[step.object]
        self._touched.add(step.object)

    def frame(self, frame: FrameSeen) -> None:
        """Count the frames of each pipe."""
        if frame.way == "send":
            self._sent[frame.end] += 1
            return
        self._received[frame.end] += 1
        most = self._most.get(frame.end)
        if most is not None and self._received[frame.end] > most:
            self.violate(
                f"{frame.process} reads on in a pipe behind a frame whose length makes no sense. "
                "What it takes for frames there need not be any: the pipe must be given up."
            )


def _other(end: str) -> str:
    """Return the other end of a pipe."""
    return end[:-1] + ("b" if end.endswith("a") else "a")


PROPERTIES: tuple[type[Property], ...] = (BadIsRefused, BoundedQueues, NonsenseEndsAPipe)
