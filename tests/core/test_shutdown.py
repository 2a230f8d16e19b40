import pytest
from fakes import FakeEnd, Keeper, Processor, Producer

from hal.clock import NS_PER_S
from magscope.channel import Channel
from magscope.router import Peer
from magscope.shutdown import Bounds, Shutdown


class Ending:
    """A shutdown of managers that are not processes, on a clock that is told the time."""

    def __init__(self, *managers, bounds=None):
        self.asked, self.failures = [], []
        self.peers = {m.name: Peer(m, Channel(FakeEnd()), state="running") for m in managers}
        self.shutdown = Shutdown(
            self.peers.values(), lambda peer: self.asked.append(peer.name),
            self.failures.append, bounds,
        )  # fmt: skip

    def at(self, seconds):
        return self.shutdown.step(round((1000 + seconds) * NS_PER_S))

    def begin(self):
        self.shutdown.begin(1000 * NS_PER_S)

    def now_is(self, state, *names):
        for name in names:
            self.peers[name].state = state

    def signals(self, name):
        return self.peers[name].manager.signals


@pytest.fixture
def ending():
    return Ending(Keeper("k1"), Processor(), Producer("p1"), Producer("p2"), Keeper("k2"))


def test_nothing_is_due_before_anybody_asked(ending):
    assert ending.at(0) is None
    ending.shutdown.hurry(0)
    assert ending.at(100) is None
    assert ending.asked == []


def test_s2_producers_quit_first_then_what_processes_then_what_stores(ending):
    ending.begin()
    ending.at(0)
    assert ending.asked == ["p1", "p2"]
    ending.now_is("quitting", "p1")
    ending.at(0.1)
    assert ending.asked == ["p1", "p2"]
    ending.now_is("gone", "p2")
    ending.at(0.2)
    assert ending.asked == ["p1", "p2", "Processor"]
    ending.now_is("quitting", "Processor")
    ending.at(0.3)
    assert ending.asked == ["p1", "p2", "Processor", "k1", "k2"]


def test_s2_each_manager_is_asked_once_however_often_the_end_is_begun(ending):
    for seconds in range(5):
        ending.shutdown.begin((1000 + seconds) * NS_PER_S)
        ending.at(seconds)
        ending.at(seconds)
    assert sorted(ending.asked) == ["Processor", "k1", "k2", "p1", "p2"]
    assert ending.shutdown.began_ns == 1000 * NS_PER_S


def test_s1_a_phase_that_does_not_end_keeps_the_next_one_only_so_long(ending):
    ending.begin()
    ending.at(1.99)
    assert "Processor" not in ending.asked
    ending.at(2.0)
    assert "Processor" in ending.asked
    assert "k1" not in ending.asked
    ending.at(3.5)
    assert ending.asked[-2:] == ["k1", "k2"]
    assert not any(ending.signals(name) for name in ending.peers)


def test_s1_who_has_not_left_is_terminated_and_then_killed_each_once(ending):
    ending.begin()
    ending.now_is("gone", "p1", "p2", "Processor", "k2")
    for seconds in (0, 4.99):
        ending.at(seconds)
    assert ending.signals("k1") == []
    for seconds in (5.0, 6.0, 7.99):
        ending.at(seconds)
    assert ending.signals("k1") == ["terminate"]
    assert ending.peers["k1"].force == "terminated"
    for seconds in (8.0, 9.0):
        ending.at(seconds)
    assert ending.signals("k1") == ["terminate", "kill"]
    assert ending.peers["k1"].force == "killed"
    assert ending.failures == [
        "k1 does not quit: it is terminated", "k1 does not quit: it is killed",
    ]  # fmt: skip
    assert not any(ending.signals(name) for name in ("p1", "p2", "Processor", "k2"))


@pytest.mark.parametrize("state", ["starting", "running", "quitting"])
def test_s1_whatever_state_a_manager_hangs_in_it_is_forced(state):
    ending = Ending(Producer())
    ending.now_is(state, "Producer")
    ending.begin()
    ending.at(5)
    ending.at(8)
    assert ending.signals("Producer") == ["terminate", "kill"]


def test_who_is_still_starting_and_holds_no_device_need_not_go_on_with_it(ending):
    ending.now_is("starting", "p1", "k1")
    ending.peers["k1"].manager.holds_device = True
    ending.begin()
    assert ending.at(0) == pytest.approx(1.0)
    ending.at(1.0)
    assert ending.signals("p1") == ["terminate"]
    assert ending.peers["p1"].is_dismissed
    assert not ending.signals("k1")
    assert not ending.signals("p2")
    assert ending.failures == []


def test_s1_a_router_that_was_late_kills_at_once(ending):
    ending.begin()
    ending.at(60)
    assert all(ending.signals(name) == ["kill"] for name in ending.peers)
    assert sorted(ending.asked) == ["Processor", "k1", "k2", "p1", "p2"]


def test_who_quits_by_itself_is_not_asked(ending):
    ending.now_is("quitting", "p1")
    ending.now_is("gone", "Processor")
    ending.begin()
    ending.at(0)
    assert ending.asked == ["p2"]
    ending.now_is("gone", "p2")
    ending.at(0)
    assert ending.asked == ["p2", "k1", "k2"]


def test_s1_asked_twice_it_does_not_wait_for_the_grace(ending):
    ending.begin()
    ending.at(1)
    ending.shutdown.hurry(1001 * NS_PER_S)
    ending.at(1)
    assert sorted(ending.asked) == ["Processor", "k1", "k2", "p1", "p2"]
    ending.at(1.9)
    assert not any(ending.signals(name) for name in ending.peers), "who was told has a moment"
    ending.at(2)
    assert all(ending.signals(name) == ["terminate"] for name in ending.peers)
    for seconds in (3, 4.9):
        ending.shutdown.hurry((1000 + round(seconds)) * NS_PER_S)
        ending.at(seconds)
    assert ending.signals("p1") == ["terminate"]
    ending.at(5)
    assert ending.signals("p1") == ["terminate", "kill"]


def test_s1_hurrying_never_puts_the_end_off(ending):
    ending.begin()
    ending.at(7)
    ending.shutdown.hurry(1007 * NS_PER_S)
    assert ending.shutdown.began_ns == 1000 * NS_PER_S


@pytest.mark.parametrize(
    ("at", "next_s"), [(0, 2), (0.5, 1.5), (2, 1.5), (3.5, 1.5), (5, 3), (7.5, 0.5), (9, 0.05)]
)
def test_the_next_step_is_due_at_the_next_bound(ending, at, next_s):
    ending.begin()
    for seconds in (0, 2, 3.5):
        if seconds < at:
            ending.at(seconds)
    assert ending.at(at) == pytest.approx(next_s)


def test_the_bounds_may_be_others():
    ending = Ending(Producer(), Keeper("k"), bounds=Bounds((0.1,), 0.2, 0.3))
    ending.begin()
    ending.at(0.05)
    assert ending.asked == ["Producer"]
    ending.at(0.1)
    assert ending.asked == ["Producer", "k"]
    ending.at(0.2)
    ending.at(0.3)
    assert ending.signals("Producer") == ["terminate", "kill"]


def test_s1_with_as_many_phases_as_one_likes_the_last_bound_holds_for_the_rest():
    class Last(Keeper):
        quit_phase = 9

    ending = Ending(Producer(), Processor(), Keeper("k"), Last("last"))
    ending.begin()
    ending.at(4.9)
    assert "last" not in ending.asked
    ending.at(5)
    assert ending.asked[-1] == "last"
