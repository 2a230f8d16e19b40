"""A motor's controller that dies, freezes or comes back does not take the rest of the rig along."""

from contextlib import ExitStack

import pytest
from systemtools import built, not_clean, small_rig

from hal.testing.fakes import FakeProcess
from magscope.rig import load_rig
from magscope.scope import MagScope

MOTORS = {
    "zaber": """
[motors.magnet_height]
driver = "zaber.linear"
options = {{ port = "{port}", nm_per_microstep = 500.0, timeout_s = 0.3 }}
reconnect = "{policy}"
""",
    "pi-gcs": """
[motors.focus]
driver = "pi-gcs"
options = {{ port = "{port}", timeout_s = 0.3 }}
reconnect = "{policy}"
""",
}
NAMES = {"zaber": "magnet_height", "pi-gcs": "focus"}


@pytest.fixture
def spawn():
    """Return what starts a fake controller; all of them end with the test."""
    with ExitStack() as running:

        def start(protocol, port=0):
            how = {"zaber": {"motor": "sim.magnet-height", "per_step": 500.0}}
            how["pi-gcs"] = {"motor": "sim.focus"}
            return running.enter_context(FakeProcess(protocol, port=port, **how[protocol]))

        yield start


def rig_of(protocol, fake, policy):
    return small_rig(
        framerate_hz=50, workers=1, more=MOTORS[protocol].format(port=fake.address, policy=policy)
    )


def position(now, name):
    return next((m.position for m in now.motors if m.name == name), None)


def is_up(now):
    return {p.state for p in now.processes} == {"running"}


@pytest.mark.parametrize("deed", ["kill", "stop"])
@pytest.mark.parametrize("protocol", NAMES)
def test_a_motor_whose_controller_comes_back_is_found_and_obeys(live, spawn, protocol, deed):
    name = NAMES[protocol]
    fake = spawn(protocol)

    def story(system):
        yield "all up", is_up
        getattr(fake, deed)()
        yield "a word", lambda now: system.logged("the motor has gone: ")
        frames = system.now.frames.delivered
        yield "frames go on", lambda now: now.frames.delivered > frames + 20
        if deed == "kill":
            spawn(protocol, port=fake.port)
        else:
            fake.resume()
        yield "it is found", lambda now: system.logged("the motor is there again, after ")
        system.send(name, "move_absolute", 321_000.0 if name == "magnet_height" else 321.0)
        yield "it obeys", lambda now: position(now, name) in (321_000.0, 321.0)

    report = live(rig_of(protocol, fake, "auto"), story)
    assert report.is_clean, report.errors


@pytest.mark.parametrize("deed", ["kill", "stop"])
@pytest.mark.parametrize("protocol", NAMES)
def test_s5_a_motor_whose_controller_goes_ends_the_session_unless_the_rig_file_says_otherwise(
    live, spawn, protocol, deed
):
    name = NAMES[protocol]
    fake = spawn(protocol)

    def story(system):
        yield "all up", is_up
        getattr(fake, deed)()
        yield "the end", lambda now: False

    report = live(rig_of(protocol, fake, "never"), story, ends_by_itself=True)
    assert not_clean(report) == {name: ("crashed", 1)}
    assert f"{name}: motor {name}: " in report.errors[0]
    assert report.shutdown_s < 3.0, "S1"


def test_a_motor_is_looked_for_when_the_program_asks(live, spawn):
    fake = spawn("zaber")

    def story(system):
        yield "all up", is_up
        fake.kill()
        yield "a word", lambda now: system.logged("the motor has gone: ")
        system.scope.reconnect()
        yield "in vain", lambda now: system.logged("the motor is not there yet: ")
        spawn("zaber", port=fake.port)
        system.scope.reconnect()
        yield "it is found", lambda now: system.logged("the motor is there again, after ")

    assert live(rig_of("zaber", fake, "ask"), story).is_clean


def test_a_motor_that_went_away_does_so_again_when_its_capture_is_played_back(
    live, spawn, tmp_path
):
    fake = spawn("zaber")

    def at_the_rig(system):
        yield "all up", is_up
        fake.kill()
        yield "a word", lambda now: system.logged("the motor has gone: ")
        spawn("zaber", port=fake.port)
        yield "it is found", lambda now: system.logged("the motor is there again, after ")

    def at_the_desk(system):
        yield "it is found", lambda now: system.logged("the motor is there again, after ")

    scope = built(rig_of("zaber", fake, "auto"), tmp_path)
    scope.capture_dir = tmp_path / "captured"
    assert live(scope, at_the_rig).is_clean
    replayed = MagScope(rig=load_rig(tmp_path / "captured" / "rig.toml"))
    report = live(replayed, at_the_desk)
    assert report.is_clean, report.errors
    assert "Connection has been closed" in report.warnings[0]
