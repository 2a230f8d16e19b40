"""A device that goes away: the rig file says whether it is the end, or is looked for again."""

from itertools import pairwise

import pytest
from fault_tools import CAMERA, RIG, ended, run, seconds_of

from sim.faults import CameraDisconnect, CameraTimeout, MotorDisconnect

GONE_S = 2.0
CAMERA_GOES = CameraDisconnect(CAMERA, at_s=0.5, for_s=GONE_S)
FOCUS_GOES = MotorDisconnect("focus", at_s=0.5, for_s=GONE_S)


@pytest.fixture
def rig_that(tmp_path):
    """Write a rig file whose devices have these policies."""

    def write(camera="never", focus="never"):
        path = tmp_path / "rig.toml"
        text = RIG.replace("[camera]", f'[camera]\nreconnect = "{camera}"')
        path.write_text(text.replace("[motors.focus]", f'[motors.focus]\nreconnect = "{focus}"'))
        return path

    return write


def scripted(tmp_path, *steps):
    path = tmp_path / "script.py"
    lines = ["from magscope.scripting import Script", "script = Script()"]
    path.write_text("\n".join([*lines, *(f"script({step})" for step in steps), ""]))
    return path


def test_b1_a_camera_that_comes_back_is_found_and_its_frames_go_on(rig_that):
    outcome = run(rig_that(camera="auto"), CAMERA_GOES, for_s=6.0)
    assert outcome.report.is_clean, outcome.report
    gone, not_yet, there = outcome.report.warnings
    assert "camera has gone: " in gone
    assert "the rest goes on; it is looked for" in gone
    assert "camera is not there yet" in not_yet
    assert "camera is there again, after 3.0 s" in there
    assert "a device that had gone is found again" in outcome.reached
    account = outcome.account
    assert account.delivered == pytest.approx(33 + 250, abs=10)
    assert account.device_lost == 0
    (opened, again) = seconds_of(outcome, "note.device", CAMERA)[::2]
    assert again - opened > GONE_S


def test_a_camera_that_does_not_answer_once_is_found_at_once(rig_that):
    outcome = run(rig_that(camera="auto"), CameraTimeout(CAMERA, hit=20), for_s=3.0)
    assert outcome.report.is_clean
    assert "after 1.0 s" in outcome.report.warnings[-1]


def test_a_camera_that_stays_away_is_looked_for_at_longer_and_longer_intervals(rig_that):
    fault = CameraDisconnect(CAMERA, at_s=0.5)
    outcome = run(rig_that(camera="auto"), fault, for_s=40.0)
    opens = seconds_of(outcome, "device.open", CAMERA)[1:]
    waits = [later - earlier for earlier, later in pairwise(opens)]
    assert waits == pytest.approx([2.0, 4.0, 8.0, 10.0, 10.0], abs=0.1)
    assert ended(outcome)[CAMERA] == "clean"
    assert "camera had gone, and was not found again" in outcome.report.errors[0]


def test_a_motor_that_comes_back_obeys_again(rig_that, tmp_path):
    script = scripted(tmp_path, "'sleep', 4.5", "'move_motor', 'focus', 100.0, wait=True")
    outcome = run(rig_that(focus="auto"), FOCUS_GOES, for_s=6.0, script=script)
    assert outcome.report.is_clean, outcome.report
    assert any("the motor is there again" in line for line in outcome.report.warnings)


def test_a_motor_that_has_gone_refuses_what_it_is_told_and_says_why(rig_that, tmp_path):
    script = scripted(tmp_path, "'sleep', 1.8", "'move_motor', 'focus', 100.0, wait=True")
    outcome = run(rig_that(focus="auto"), FOCUS_GOES, for_s=3.0, script=script)
    assert any(
        "the motor has gone, and was not found again yet" in e for e in outcome.report.errors
    )
    assert ended(outcome)["focus"] == "clean"


def test_a_device_is_looked_for_when_somebody_asks(rig_that, tmp_path):
    ask = ["'sleep', 2.0", "'reconnect_motor', 'focus'", "'reconnect_camera'"]  # in vain
    ask += ["'sleep', 2.0", "'reconnect_motor', 'focus'", "'reconnect_camera'"]
    script = scripted(tmp_path, *ask, "'move_motor', 'focus', 50.0, wait=True")
    rig = rig_that(camera="ask", focus="ask")
    outcome = run(rig, CAMERA_GOES, FOCUS_GOES, for_s=6.0, script=script)
    assert outcome.report.is_clean, outcome.report
    told = "\n".join(outcome.report.warnings)
    for role in ("the camera", "the motor"):
        assert f"{role} has gone: " in told
        assert told.count(f"{role} is not there yet") == 1
        assert told.count(f"{role} is there again, after ") == 1
    opens = seconds_of(outcome, "device.open", "focus")
    assert len(opens) == 3, "nobody looks for it unasked"


def test_nobody_looks_for_a_device_for_which_the_rig_file_says_nothing(rig_that):
    outcome = run(rig_that(), CAMERA_GOES, for_s=6.0)
    assert outcome.virtual_s < 1.0
    assert ended(outcome)[CAMERA] == "crashed"


def test_s7_a_motor_that_is_away_at_the_end_is_named(rig_that):
    outcome = run(rig_that(focus="ask"), MotorDisconnect("focus", at_s=0.5), for_s=3.0)
    assert "the motor had gone, and was not found again" in outcome.report.errors[0]
