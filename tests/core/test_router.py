import pickle
from collections import defaultdict

import pytest
from core_tools import RULES
from fakes import FakeEnd, FakeManager, Keeper, Processor, Producer
from hypothesis import given
from hypothesis import strategies as st

from magscope.channel import Channel
from magscope.processes import ManagerProcessBase
from magscope.protocol import Kind, arguments, envelope, pack, pack_message, unpack
from magscope.router import REMEMBERED, Peer, Router
from magscope.runtime import current
from magscope.utils import Message


def leave_a_mark(marks=[]):  # noqa: B006 - the marks are the point
    marks.append("opened")
    return marks


class LeavesAMark:
    """Whoever opens it calls `leave_a_mark`."""

    def __reduce__(self):
        return (leave_a_mark, ())


class System:
    """A router with managers that are not processes."""

    def __init__(self, *managers, room=1_000_000, **limits):
        self.control, self.own, self.warnings = [], [], []
        self.router = Router(
            lambda peer, frame: self.control.append((peer.name, frame)),
            lambda head, frame: self.own.append((head, frame)),
            self.warnings.append,
        )
        self.ends = {}
        for manager in managers:
            self.ends[manager.name] = FakeEnd(room)
            peer = Peer(manager, Channel(self.ends[manager.name], **limits))
            peer.state = "running"
            self.router.add(peer)
        self.count = 0

    def send(self, sender, message):
        self.count += 1
        self.ends[sender].inbox.append(pack_message(message, sender, self.count))
        self.serve()
        return self.count

    def serve(self):
        self.router.serve({peer.channel for peer in self.router.peers.values()})

    def received(self, name):
        """Return (sender, number) of what a manager got."""
        heads = [envelope(unpack(raw)) for raw in self.ends[name].sent]
        return [(head.sender, head.number) for head in heads]

    def reports(self):
        return [(r.sender, r.number, r.to) for r in self.router.undelivered]

    def peer(self, name):
        return self.router.peers[name]


@pytest.fixture
def system():
    return System(Producer(), Processor(), Keeper("k1"), Keeper("k2"))


def test_r1_messages_arrive_once_and_in_order(system):
    for _ in range(5):
        system.send("Producer", Message("Processor", "do"))
        system.send("k1", Message("Processor", "do"))
    got = system.received("Processor")
    assert got == [(s, n) for n in range(1, 11) for s in (["k1", "Producer"][n % 2],)]
    assert system.router.routed == 10
    assert system.router.undelivered_count == 0


def test_a_message_arrives_as_the_bytes_that_were_sent(system):
    system.send("Producer", Message("Processor", "do", 1, two=2))
    frame = unpack(system.ends["Processor"].sent[0])
    assert arguments(frame) == ((1,), {"two": 2})


def test_r3_the_router_never_opens_what_it_forwards(system):
    system.send("Producer", Message("Processor", "do", LeavesAMark()))
    assert arguments(unpack(system.ends["Processor"].sent[0])) == ((["opened"],), {})


def test_a_message_may_name_a_base_class_and_reaches_all_that_derive_from_it(system):
    system.send("Producer", Message(Keeper, "do"))
    assert [len(system.received(n)) for n in ("Producer", "Processor", "k1", "k2")] == [0, 0, 1, 1]
    system.send("Producer", Message(FakeManager, "do"))
    assert [len(system.received(n)) for n in ("Producer", "Processor", "k1", "k2")] == [1, 1, 2, 2]


def test_a_message_may_name_one_of_several_by_its_own_name(system):
    system.send("Producer", Message("k2", "do"))
    assert system.received("k1") == []
    assert system.received("k2") == [("Producer", 1)]


@pytest.mark.parametrize("name", ["RuntimeProcess", "Process", "BaseProcess", "object", "ABC"])
def test_r3_what_is_below_the_managers_is_no_address(system, name):
    system.send("Producer", Message(name, "do"))
    assert system.reports() == [("Producer", 1, name)]


def test_r4_a_broadcast_reaches_every_listening_manager_once_its_sender_too(system):
    system.peer("k1").state = "quitting"
    system.peer("k2").state = "starting"
    system.send("Producer", Message(ManagerProcessBase, "set_settings", {}))
    assert [len(system.received(n)) for n in ("Producer", "Processor", "k1", "k2")] == [1, 1, 0, 1]
    assert system.reports() == []


def test_r4_a_broadcast_that_one_manager_can_not_take_is_reported_for_that_one(system):
    system.ends["k1"].is_cut = True
    system.router.forward(*parts("Producer", 7, Message(ManagerProcessBase, "do")))
    assert system.reports() == [("Producer", 7, "k1")]
    assert system.received("k2") == [("Producer", 7)]


def parts(sender, number, message):
    frame = unpack(raw := pack_message(message, sender, number))
    return envelope(frame), raw, frame


def test_r3_a_message_to_nobody_is_reported_once_with_those_there_are(system):
    system.send("Producer", Message("Nobody", "do"))
    (report,) = system.router.undelivered
    assert report[:4] == ("Producer", 1, "Nobody", "do")
    assert report.reason == "is unknown; there are Producer, Processor, k1, k2"
    assert system.router.undelivered_count == 1


@pytest.mark.parametrize("state", ["quitting", "gone"])
def test_r1_a_message_to_a_manager_that_no_longer_listens_is_reported(system, state):
    system.peer("Processor").state = state
    system.send("Producer", Message("Processor", "do"))
    assert [(r.to, r.reason) for r in system.router.undelivered] == [("Processor", f"is {state}")]
    assert system.received("Processor") == []


def test_r1_a_message_to_a_closed_pipe_is_reported(system):
    system.ends["Processor"].is_cut = True
    system.router.forward(*parts("Producer", 1, Message("Processor", "do")))
    system.router.forward(*parts("Producer", 2, Message("Processor", "do")))
    assert [(r.number, r.reason) for r in system.router.undelivered] == [
        (1, "is gone"), (2, "is gone"),
    ]  # fmt: skip


@pytest.mark.parametrize("flushed_before", [False, True])
def test_r1_what_waits_for_a_manager_that_dies_is_reported_exactly_once(flushed_before):
    system = System(Producer(), Processor(), room=2)
    for _ in range(6):
        system.send("Producer", Message("Processor", "do"))
    assert system.router.undelivered_count == 0
    system.ends["Processor"].is_cut = True
    if flushed_before:
        system.router.writable()
    system.send("Producer", Message("Processor", "do"))
    for _ in range(2):
        system.router.drop(system.peer("Processor"), "is gone")
    assert system.received("Processor") == [("Producer", 1), ("Producer", 2)]
    assert sorted(system.reports()) == [("Producer", n, "Processor") for n in range(3, 8)]


def test_r2_r5_a_manager_that_does_not_read_delays_nobody_and_its_queue_is_bounded():
    system = System(Producer(), Processor(), Keeper("k1"), max_frames=10)
    system.ends["Processor"].room = 0
    for _ in range(40):
        system.send("Producer", Message("Processor", "do"))
        system.send("Producer", Message("k1", "do"))
    assert len(system.received("k1")) == 40
    assert system.peer("Processor").channel.waiting == 10
    assert [p.name for p in system.router.stalled()] == ["Processor"]
    assert system.router.undelivered_count == 29
    assert {r.reason for r in system.router.undelivered} == {
        "does not take its messages, and its queue is full"
    }
    assert len(system.warnings) == 1
    system.ends["Processor"].room = 100
    assert list(system.router.writable()) == []
    assert [n for _, n in system.received("Processor")] == list(range(1, 22, 2))


def test_r5_the_reports_that_are_kept_are_bounded_and_the_count_is_not(system):
    for number in range(REMEMBERED + 5):
        system.router.forward(*parts("Producer", number, Message("Nobody", "do")))
    assert system.router.undelivered_count == REMEMBERED + 5
    assert len(system.router.undelivered) == REMEMBERED
    assert len(system.warnings) == 1


HOSTILE = [b"", b"?", b"M", b"Mx\n", b"M\xff\n", b"Ma\tb\tc\tx\t0\n", pickle.dumps(1)]


@pytest.mark.parametrize("raw", HOSTILE)
def test_r3_a_frame_that_is_none_is_reported_and_the_next_one_arrives(system, raw):
    system.ends["Producer"].inbox.append(raw)
    system.send("Producer", Message("Processor", "do"))
    assert system.received("Processor") == [("Producer", 1)]
    assert len(system.warnings) == 1
    assert system.warnings[0].startswith("Producer sent ")


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), IndexError("x"), TypeError("x")])
def test_r3_news_that_can_not_be_understood_is_reported_and_the_next_message_arrives(system, error):
    def fail(*_):
        raise error

    system.router._on_control = fail
    system.ends["Producer"].inbox.append(pack(Kind.WORKER, payload=b"{"))
    system.send("Producer", Message("Processor", "do"))
    assert system.received("Processor") == [("Producer", 1)]
    assert "Producer sent" in system.warnings[0]


def test_what_is_no_message_goes_to_the_router_itself(system):
    system.ends["k1"].inbox.append(pack(Kind.LOG, "info", payload=b"hello"))
    system.serve()
    ((name, frame),) = system.control
    assert (name, frame.kind, frame.payload) == ("k1", Kind.LOG, b"hello")
    assert system.router.routed == 0


@pytest.mark.parametrize("message", [Message("MagScope", "set_settings"),
                                     Message("ManagerProcessBase", "quit")])  # fmt: skip
def test_s2_a_request_to_the_router_or_to_quit_is_not_forwarded(system, message):
    system.send("Producer", message)
    assert [head.meth for head, _ in system.own] == [message.meth]
    assert not any(end.sent for end in system.ends.values())


def test_a_manager_alone_can_be_told_to_quit(system):
    system.router.send(Message("k1", "quit"))
    assert system.received("k1") == [("MagScope", 1)]
    assert system.own == []


def test_r1_what_a_manager_sent_before_it_died_arrives(system):
    end = system.ends["Producer"]
    end.inbox += [pack_message(Message("Processor", "do"), "Producer", n) for n in (1, 2)]
    end.is_cut = True
    system.serve()
    assert system.received("Processor") == [("Producer", 1), ("Producer", 2)]
    assert system.peer("Producer").channel not in system.router.readable()


def test_the_router_waits_for_room_only_where_something_waits():
    system = System(Producer(), Processor(), room=1)
    assert list(system.router.writable()) == []
    for _ in range(3):
        system.send("Producer", Message("Processor", "do"))
    assert list(system.router.writable()) == [system.peer("Processor").channel]


def addresses(cls, name):
    current().singletons().clear()
    return Peer(cls(name), Channel(FakeEnd())).addresses


def test_a_managers_addresses_are_its_name_and_its_classes_up_to_the_managers_base():
    assert addresses(Keeper, "k") == {"k", "Keeper", "FakeManager", "ManagerProcessBase"}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from("ABC"), st.sampled_from("ABCD*")),
        st.tuples(st.just("room"), st.sampled_from("ABC"), st.integers(0, 5)),
        st.tuples(st.just("cut"), st.sampled_from("ABC"), st.none()),
        st.tuples(st.just("drop"), st.sampled_from("ABC"), st.none()),
        st.tuples(st.just("flush"), st.none(), st.none()),
        st.tuples(st.just("quit"), st.sampled_from("ABC"), st.none()),
    ),
    max_size=60,
)


@given(steps=steps)
@RULES
def test_r1_every_message_arrives_in_order_or_waits_or_is_reported_once(steps):
    current().singletons().clear()
    system = System(*[FakeManager(name) for name in "ABC"], room=1, max_frames=3)
    expected = defaultdict(list)  # (sender, number) by receiver
    for step, who, what in steps:
        if step == "send":
            number = system.count + 1
            listening = [p.name for p in system.router.peers.values() if p.listens]
            if what == "*":
                to, receivers = ManagerProcessBase, listening
            else:
                to, receivers = what, [what]
            if system.ends[who].is_cut:
                continue
            system.send(who, Message(to, "do"))
            for receiver in receivers:
                expected[receiver].append((who, number))
        elif step == "room":
            system.ends[who].room += what
        elif step == "cut":
            system.ends[who].is_cut = True
        elif step == "drop" and system.ends[who].is_cut:
            system.router.drop(system.peer(who), "is gone")
        elif step == "flush":
            system.router.writable()
        elif step == "quit":
            system.peer(who).state = "quitting"
    for name in "ABC":
        system.ends[name].room = 1_000_000
    system.router.writable()
    for name in "ABC":
        if system.ends[name].is_cut:
            system.router.drop(system.peer(name), "is gone")
    for receiver in "ABCD":
        got = system.received(receiver) if receiver != "D" else []
        reported = [(s, n) for s, n, to in system.reports() if to == receiver]
        assert sorted(got + reported) == sorted(expected[receiver]), "R1: lost or doubled"
        for sender in "ABC":
            numbers = [n for s, n in got if s == sender]
            assert numbers == sorted(numbers), "R1: out of order"
    assert system.router.undelivered_count == len(system.router.undelivered)
