"""Messages between managers that are real processes: prompt, ordered, and never lost in silence."""

import re
import signal

import numpy as np
import pytest
from probes import Receiver, Sender, Sleeper
from systemtools import built, small_rig

RIG = small_rig(on=False, workers=1, zlut=None)


@pytest.fixture
def scope(tmp_path):
    """A system with a sender, a receiver, and a receiver that a test stops."""
    scope = built(RIG, tmp_path)
    for probe in (Sender, Receiver, Sleeper):
        scope.add_hardware(probe())
    return scope


def received(system, name):
    """Return the numbers that a probe has received so far."""
    buffer = system.session.parts.matrices[name]
    return buffer.newest(buffer.shape[0])[:, 1].astype(int).tolist()


def is_running(now, *names):
    states = {p.name: p.state for p in now.processes}
    return all(states[name] == "running" for name in names)


def test_r2_a_stopped_manager_delays_no_message_between_two_others(live, scope):
    def story(system):
        yield "probes", lambda now: is_running(now, "Sender", "Receiver", "Sleeper")
        system.signal("Sleeper", signal.SIGSTOP)
        system.send("Sender", "send_pings", "Sleeper", 0, 2000)
        system.send("Sender", "send_pings", "Receiver", 0, 20)
        yield "all of them", lambda now: len(received(system, "Receiver")) == 20
        assert received(system, "Receiver") == list(range(20)), "R1"
        assert received(system, "Sleeper") == [], "R2: they did not wait for it"
        system.signal("Sleeper", signal.SIGCONT)
        yield "those that waited", lambda now: len(received(system, "Sleeper")) == 2000

    report = live(scope, story)
    assert report.is_clean
    assert report.undelivered == 0


def test_r5_r1_a_flood_to_a_stopped_manager_is_bounded_reported_and_hurts_no_other(live, scope):
    count, burst = 14_000, 2000

    def story(system):
        yield "probes", lambda now: is_running(now, "Sender", "Receiver", "Sleeper")
        system.signal("Sleeper", signal.SIGSTOP)
        for first in range(0, count, burst):
            system.send("Sender", "send_pings", "Sleeper", first, burst)
            system.send("Sender", "send_pings", "Receiver", first, 1)
            yield (
                "the others' messages",
                lambda now, first=first: received(system, "Receiver")[-1:] == [first],
            )
        assert received(system, "Receiver") == list(range(0, count, burst)), "R1"
        peer = system.session.router.peers["Sleeper"]
        assert peer.channel.waiting <= 10_000, "R5"
        lost = system.session.router.undelivered_count
        assert lost > 0
        system.signal("Sleeper", signal.SIGCONT)
        yield "the rest", lambda now: len(received(system, "Sleeper")) == count - lost
        numbers = received(system, "Sleeper")
        assert (np.diff(numbers) > 0).all(), "R1: a duplicate, or out of order"
        told = [u for u in system.session.router.undelivered if u.to == "Sleeper"]
        assert len(told) == lost, "R1"

    report = live(scope, story)
    assert not [p for p in report.processes if p.outcome != "clean"]
    assert report.undelivered > 0
    assert any("its queue is full" in line for line in report.warnings)


def test_r1_messages_that_a_sender_has_no_room_for_are_reported(live, scope):
    def story(system):
        yield "probes", lambda now: is_running(now, "Sender", "Receiver")
        system.send("Sender", "send_pings", "Receiver", 0, 40_000)
        yield "what there was room for", lambda now: system.logged("refused: more")

        def accounted():
            told = [x.text for x in system.session.log if "refused: more" in x.text]
            lost = sum(int(count) for text in told for count in re.findall(r"(\d+) messages", text))
            arrived = len(received(system, "Receiver"))
            return arrived + lost + system.session.router.undelivered_count

        yield "the others", lambda now: accounted() >= 40_000
        assert accounted() == 40_000, "R1"
        numbers = received(system, "Receiver")
        assert numbers == sorted(set(numbers)), "R1"

    assert live(scope, story, deadline_s=60.0).is_clean


def test_r3_bad_messages_are_refused_and_reported_and_all_go_on(live, scope):
    def story(system):
        yield "probes", lambda now: is_running(now, "Sender", "Receiver")
        system.send("Sender", "send_bad")
        yield "the good one", lambda now: received(system, "Receiver") == [1]

    report = live(scope, story)
    assert report.is_clean
    told = "\n".join(report.warnings)
    for text in (
        "is not a Message",
        "NobodyManager is unknown",
        "no method 'no_such_method'",
        "it is private",
        "it belongs to the process",
        "missing a required argument",
        "can not be pickled",
        "too many for a message",
    ):
        assert text in told, f"R3: {text} in {told}"
    assert len(report.warnings) == 8


def test_r3_a_handler_that_raises_is_reported_and_its_manager_goes_on(live, scope):
    def story(system):
        yield "the sender", lambda now: is_running(now, "Sender", "Receiver")
        system.send("Sender", "fail")
        system.send("Sender", "send_pings", "Receiver", 0, 1)
        yield "its next message", lambda now: received(system, "Receiver") == [0]

    report = live(scope, story)
    assert [line for line in report.errors if "the handler's own mistake" in line]
    assert all(p.outcome == "clean" for p in report.processes)


def test_r4_a_broadcast_reaches_every_manager_once(live, scope):
    def story(system):
        yield "probes", lambda now: is_running(now, "Sender", "Receiver", "Sleeper")
        system.send("Probe", "ping", 7, 0.0)
        for name in ("Sender", "Receiver", "Sleeper"):
            yield name, lambda now, name=name: received(system, name) == [7]

    assert live(scope, story).is_clean


def test_settings_that_are_assigned_while_running_reach_every_manager(live, scope):
    def story(system):
        yield "the lock's manager", lambda now: is_running(now, "BeadLockManager")
        scope.settings = {**scope.settings, "magnification": 60}
        routed = system.now.messages
        yield "a look later", lambda now: now.messages >= routed
        system.send("BeadLockManager", "set_xy_lock_max", -1)
        yield "an error", lambda now: system.logged("xy-lock max = -1 px")

    report = live(scope, story)
    assert scope.settings["magnification"] == 60
    assert len(report.errors) == 1
