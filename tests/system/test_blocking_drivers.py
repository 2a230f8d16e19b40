"""A driver that does not return from a call keeps its manager from nothing else."""

import os
import signal
from pathlib import Path

import pytest
from systemtools import SLACK_S, is_gone, not_clean, session_names, small_rig, wait_until

import magscope.aside
import magscope.session

FOCUS = """
[motors.focus]
driver = "blocking_drivers:BlockingFocus"
options = {{ gate = "{gate}", call = "{call}" }}

"""


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Give a FIFO, on which a driver blocks; who waits for it is soon impatient."""
    monkeypatch.setattr(magscope.aside, "SLOW_S", 0.3)
    monkeypatch.setattr(magscope.aside, "GIVE_UP_S", 1.0)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def has_taken_long(system, role="focus"):
    return system.logged(f"{role}: its driver has not returned for ")


def let_it_return(gate):
    os.close(os.open(gate, os.O_WRONLY))


def notes(gate):
    path = gate.with_name("gate.log")
    return path.read_text().splitlines() if path.exists() else []


def focus_rig(gate, call):
    return small_rig(more=FOCUS.format(gate=gate, call=call))


def is_running(now, name):
    return any(p.name == name and p.state == "running" for p in now.processes)


def test_a_manager_whose_driver_takes_long_lives_on_and_obeys_what_came_meanwhile(live, gate):
    def story(system):
        yield "the focus", lambda now: is_running(now, "focus")
        system.send("focus", "move_absolute", 100.0)
        system.send("focus", "move_absolute", 200.0)
        yield "a word", lambda now: has_taken_long(system)
        silent_s = magscope.session.STALLED_S + 1.0
        began_s = system.now.t_s
        yield "longer than is alive", lambda now: now.t_s > began_s + silent_s
        assert is_running(system.now, "focus")
        let_it_return(gate)
        yield "another", lambda now: system.logged("focus: its driver has returned after")
        yield (
            "both moves",
            lambda now: [m.position for m in now.motors if m.name == "focus"] == [200],
        )

    report = live(focus_rig(gate, "begin_move"), story)
    assert report.is_clean
    assert not any("focus has shown no sign of life" in line for line in report.warnings)
    assert notes(gate) == ["open in helper", "halt in helper", "close in helper"], "S7"


@pytest.mark.parametrize("call", ["open", "begin_move", "read_position", "halt"])
def test_s1_s5_a_driver_that_never_returns_is_left_to_itself_and_the_rest_ends_in_order(
    live, gate, call
):
    def story(system):
        if call == "open":
            yield "the others", lambda now: is_running(now, "BeadLockManager")
        else:
            yield "the focus", lambda now: is_running(now, "focus")
        system.send("focus", "move_absolute", 100.0)
        if call == "begin_move":
            yield (
                "a word",
                lambda now: has_taken_long(system),
            )

    report = live(focus_rig(gate, call), story)
    assert not_clean(report) == {"focus": ("crashed", 1)}
    (said,) = [line for line in report.errors if "left to itself" in line]
    assert "neither stopped nor closed" in said
    assert report.shutdown_s < 3.0, "S1"


def test_s7_a_device_whose_driver_returns_in_time_is_stopped_and_closed(live, gate, monkeypatch):
    monkeypatch.setattr(magscope.aside, "GIVE_UP_S", 10.0)
    ask = magscope.session.Session.ask_to_quit

    def ask_and_let_return(session, peer):
        ask(session, peer)
        if peer.name == "focus":
            let_it_return(gate)

    monkeypatch.setattr(magscope.session.Session, "ask_to_quit", ask_and_let_return)

    def story(system):
        yield "the focus", lambda now: is_running(now, "focus")
        system.send("focus", "move_absolute", 100.0)
        yield "a word", lambda now: has_taken_long(system)

    report = live(focus_rig(gate, "begin_move"), story)
    assert report.is_clean
    assert notes(gate) == ["open in helper", "halt in helper", "close in helper"], "S7"


def test_s4_a_manager_whose_driver_never_returns_leaves_when_the_router_is_gone(
    magscope_run, gate, tmp_path
):
    drivers = Path(__file__).with_name("blocking_drivers.py")
    (tmp_path / drivers.name).write_text(drivers.read_text())
    running = magscope_run(rig=focus_rig(gate, "read_position"))
    running.until_up()
    wait_until(lambda: len(notes(gate)) == 1, "the focus")
    children = running.children()
    running.process.kill()
    wait_until(
        lambda: all(is_gone(c.pid) for c in children), "S4: every child's end", 5.0 + SLACK_S
    )
    running.end()
    assert not session_names(running.pid), "S3"


def test_a_camera_that_never_returns_is_told_of_and_the_rest_goes_on(live, gate):
    rig = small_rig().replace('"sim.bead-camera"', '"blocking_drivers:BlockingCamera"')
    rig = rig.replace("[camera.options]", f'[camera.options]\ngate = "{gate}"\ncall = "fetch_into"')

    def story(system):
        yield "a word", lambda now: has_taken_long(system, "camera")
        system.send("focus", "move_absolute", 50.0)
        yield "the focus", lambda now: any(m.target == 50 for m in now.motors)

    report = live(rig, story)
    assert not_clean(report) == {"CameraManager": ("crashed", 1)}
    assert report.shutdown_s < 3.0, "S1"


def test_s1_a_manager_that_is_told_to_terminate_while_its_driver_does_not_return_ends(live, gate):
    def story(system):
        yield "the focus", lambda now: is_running(now, "focus")
        system.send("focus", "move_absolute", 100.0)
        yield "a word", lambda now: has_taken_long(system)
        system.signal("focus", signal.SIGTERM)
        yield "its end", lambda now: False

    report = live(focus_rig(gate, "begin_move"), story, ends_by_itself=True)
    assert not_clean(report) == {"focus": ("crashed", 1)}
    assert any("left to itself" in line for line in report.errors)
