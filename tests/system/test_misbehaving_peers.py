"""A motor's controller that dies, freezes or comes back does not take the rest of the rig along."""

from contextlib import ExitStack

import pytest
from systemtools import SLACK_S, built, not_clean, scripted, small_rig, wait_until

from hal.testing.fakes import FakeProcess
from magscope.rig import load_rig
from magscope.scope import MagScope

RIG = """
[motors.focus]
driver = "pi-gcs"
options = {{ port = "{port}", timeout_s = 0.3 }}
reconnect = "{policy}"
"""
ZABER = """
[motors.magnet_height]
driver = "zaber.linear"
options = {{ port = "{port}", nm_per_microstep = 500.0, timeout_s = 0.3 }}
reconnect = "{policy}"
"""


GONE, THERE = "the motor has gone: ", "the motor is there again, after "


@pytest.fixture
def spawn():
    """Return what starts a fake controller; all of them end with the test."""
    with ExitStack() as running:

        def start(protocol, port=0):
            how = {"motor": "sim.focus"}
            if protocol == "zaber":
                how = {"motor": "sim.magnet-height", "per_step": 500.0}
            return running.enter_context(FakeProcess(protocol, port=port, **how))

        yield start


def rig_of(fake, policy, motor=RIG):
    return small_rig(
        framerate_hz=50, workers=1, more=motor.format(port=fake.address, policy=policy)
    )


def position(now, name):
    return next((m.position for m in now.motors if m.name == name), None)


def is_up(now):
    return {p.state for p in now.processes} == {"running"}


@pytest.mark.parametrize("deed", ["kill", "stop"])
def test_a_motor_whose_controller_comes_back_is_found_and_obeys(live, spawn, deed):
    fake = spawn("pi-gcs")

    def story(system):
        yield "all up", is_up
        getattr(fake, deed)()
        yield "a word", lambda now: system.logged(GONE)
        frames = system.now.frames.delivered
        yield "frames go on", lambda now: now.frames.delivered > frames + 20
        if deed == "kill":
            spawn("pi-gcs", port=fake.port)
        else:
            fake.resume()
        yield "it is found", lambda now: system.logged(THERE)
        system.send("focus", "move_absolute", 321.0)
        yield "it obeys", lambda now: position(now, "focus") == pytest.approx(321.0)

    report = live(rig_of(fake, "auto"), story)
    assert report.is_clean, report.errors


@pytest.mark.parametrize("deed", ["kill", "stop"])
def test_s5_a_motor_whose_controller_goes_ends_the_session_unless_the_rig_file_says_otherwise(
    live, spawn, deed
):
    fake = spawn("pi-gcs")

    def story(system):
        yield "all up", is_up
        getattr(fake, deed)()
        yield "the end", lambda now: False

    report = live(rig_of(fake, "never"), story, ends_by_itself=True)
    assert not_clean(report) == {"focus": ("crashed", 1)}
    assert "focus: motor focus: " in report.errors[0]
    assert report.shutdown_s < SLACK_S, "S1"


def test_a_motor_is_looked_for_when_the_program_asks(live, spawn):
    fake = spawn("pi-gcs")

    def story(system):
        yield "all up", is_up
        fake.kill()
        yield "a word", lambda now: system.logged(GONE)
        system.scope.reconnect()
        yield "in vain", lambda now: system.logged("the motor is not there yet: ")
        spawn("pi-gcs", port=fake.port)
        system.scope.reconnect()
        yield "it is found", lambda now: system.logged(THERE)

    assert live(rig_of(fake, "ask"), story).is_clean


def test_a_motor_that_went_away_does_so_again_when_its_capture_is_played_back(
    live, spawn, tmp_path
):
    fake = spawn("pi-gcs")

    def at_the_rig(system):
        yield "all up", is_up
        fake.kill()
        yield "a word", lambda now: system.logged(GONE)
        spawn("pi-gcs", port=fake.port)
        yield "it is found", lambda now: system.logged(THERE)

    def at_the_desk(system):
        yield "it is found", lambda now: system.logged(THERE)

    scope = built(rig_of(fake, "auto"), tmp_path)
    scope.capture_dir = tmp_path / "captured"
    assert live(scope, at_the_rig).is_clean
    replayed = MagScope(rig=load_rig(tmp_path / "captured" / "rig.toml"))
    report = live(replayed, at_the_desk)
    assert report.is_clean, report.errors
    assert GONE in report.warnings[0]


@pytest.mark.parametrize("deed", ["kill", "stop"])
def test_a_zaber_stage_that_comes_back_is_found_and_obeys(magscope_run, spawn, tmp_path, deed):
    fake = spawn("zaber")
    steps = scripted(
        tmp_path / "steps.py", "'sleep', 9.0", "'move_motor', 'magnet_height', 5e5, wait=True"
    )
    # Its library can not be used once the process that loaded it was forked: not in this one.
    words = ("--script", steps, "--for", "11", "--record", "out")
    running = magscope_run(*words, rig=rig_of(fake, "auto", ZABER))
    rows = (tmp_path / "out").glob
    wait_until(lambda: any(p.read_text().count("\n") > 1 for p in rows("Motor *.csv")), "the stage")
    getattr(fake, deed)()
    running.until_said(GONE)
    if deed == "kill":
        spawn("zaber", port=fake.port)
    else:
        fake.resume()
    running.until_said(THERE)
    ended = running.end()
    assert ended.code == 0, ended.output
