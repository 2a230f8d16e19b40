"""How the kit runs, reports, and leaves things; `test_teeth` is about what it finds."""

import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from broken_cameras import IgnoresGain, IgnoresWords, StopsTakingFramesWhenAdjusted
from broken_motors import LosesItsTargetAtARefusal
from right_devices import GAIN, RightCamera, RightMotor

from hal import Setting
from hal.errors import DisconnectedError, DriverError, MissingExtraError, OptionError
from hal.testing import CameraTests, MotorTests, Subject, run_checks
from hal.testing.catalogue import CHECKS

BROKEN = Path(__file__).parent / "broken"


def only(subject, *names):
    return [check for check in CHECKS[subject.kind] if check.name in names]


def outcome_of(kind, name, **options):
    subject = Subject.of(kind, **options)
    return run_checks(subject, only(subject, name)).outcomes[0]


def test_neither_the_layer_nor_the_kit_is_imported_with_pytest_or_hypothesis():
    code = (
        "import sys, hal, hal.testing;"
        "assert not {'pytest', 'hypothesis', 'magscope', 'sim'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_hypothesis_one_is_told_how_to_install_it(monkeypatch):
    class Untouched(RightMotor):
        def open(self):
            pytest.fail("the device was touched")

    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(MissingExtraError, match="pip install hypothesis"):
        run_checks(Subject.of(Untouched))


def test_a_failure_in_any_order_is_told_by_its_smallest_calls_and_the_same_each_time():
    first, second = (outcome_of(LosesItsTargetAtARefusal, "does-so-in-any-order") for _ in range(2))
    assert first == replace(second, seconds=first.seconds)
    assert first.calls[0] == "motor.open()"
    assert sum("move_to(" in call for call in first.calls) == 2
    assert "raised LimitError" in "".join(first.calls)
    assert len(first.calls) <= 12


def test_the_same_calls_are_drawn_each_time():
    drawn = []

    class Logs(RightMotor):
        def begin_move(self, target):
            drawn[-1].append(target)
            super().begin_move(target)

    for _ in range(2):
        drawn.append([])
        assert outcome_of(Logs, "does-so-in-any-order").state == "passed"
    first, second = drawn
    assert len(set(first)) > 10
    assert first == second


def test_no_sequence_is_drawn_when_there_is_no_time_for_it():
    outcome = outcome_of(StopsTakingFramesWhenAdjusted, "does-so-in-any-order", seconds=0.0)
    assert outcome.state == "passed"


def test_a_setting_that_is_to_be_left_alone_is_not_written():
    class Guarded(RightCamera):
        def set(self, name, value):
            assert name != GAIN.name or value == "none", "the laser burns"
            return super().set(name, value)

    assert run_checks(Subject.of(Guarded, leave_alone=frozenset({GAIN.name}))).ok
    assert outcome_of(Guarded, "takes-other-values").state == "failed"
    assert outcome_of(Guarded, "does-so-in-any-order").state == "failed"
    assert outcome_of(IgnoresGain, "takes-other-values").state == "failed"


def test_words_are_not_tried_on_a_machine():
    class OnAMachine(IgnoresWords):
        has_own_time = True

    assert outcome_of(IgnoresWords, "takes-other-values").state == "failed"
    assert outcome_of(OnAMachine, "takes-other-values").state == "passed"


def test_settings_are_put_back_as_they_were():
    class Remembers(RightCamera):
        values: ClassVar = dict.fromkeys(())

        def __init__(self):
            if not self.values:
                self.values.update({s.name: value for s, value in self.known.items()})

    before = {s.name: value for s, value in RightCamera.known.items()}
    assert outcome_of(Remembers, "takes-other-values").state == "passed"
    assert Remembers.values == before


def test_a_device_that_hangs_is_left_and_the_call_is_named():
    let_go = threading.Event()

    class Hangs(RightCamera):
        def fetch_into(self, out):
            if self.is_running:
                let_go.wait()
            return super().fetch_into(out)

    subject = Subject.of(Hangs)
    checks = only(subject, "opens-and-closes", "frames-come-in-order", "stops-promptly")
    try:
        opens, comes, stops = run_checks(subject, checks, longest_call_s=0.05).outcomes
    finally:
        let_go.set()
    assert opens.state == "passed"
    assert comes.state == "failed"
    assert comes.got == "camera.fetch_into(out) hangs"
    assert comes.calls[-1] == "camera.fetch_into(out) has not returned"
    assert stops.state == "not applicable"
    assert stops.reason == "not run: frames-come-in-order failed for good"


@pytest.mark.parametrize("name", ["stops", "does-so-in-any-order"])
def test_a_device_that_ends_the_process_fails(name):
    class Leaves(RightMotor):
        def halt(self):
            sys.exit(0)

        def close(self):
            self.is_open = False

    outcome = outcome_of(Leaves, name)
    assert outcome.state == "failed"
    assert outcome.got.startswith("SystemExit")


def test_nothing_is_asked_of_a_device_once_the_checks_are_over():
    subject = Subject.of(RightMotor)
    with subject.stand() as stand:
        stand.motor.open()
        subject.let_go()
        with pytest.raises(InterruptedError):
            stand.motor.open()
    assert not stand.itself.is_open


def test_a_motor_is_stopped_and_closed_when_the_check_is_interrupted():
    is_closed = threading.Event()

    class Interrupted(RightMotor):
        def begin_move(self, target):
            super().begin_move(target)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            is_closed.wait(20.0)

        def close(self):
            super().close()
            is_closed.set()

    # A process that a shell started in the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_checks(Subject.of(Interrupted), only(Subject.of(Interrupted), "stops"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert is_closed.is_set()


def test_a_device_that_does_not_open_fails_once_and_the_rest_is_not_run():
    class Absent(RightMotor):
        def open(self):
            raise DisconnectedError("no motor at COM3")

    first, *rest = run_checks(Subject.of(Absent)).outcomes
    assert first.state == "failed"
    assert first.got == "DisconnectedError: no motor at COM3"
    assert {outcome.state for outcome in rest} == {"not applicable"}


def test_a_driver_that_refuses_its_options_when_it_opens_is_bad_input_and_no_failure():
    class Refuses(RightMotor):
        def open(self):
            raise OptionError("port = '': which one?")

    with pytest.raises(OptionError, match="which one"):
        run_checks(Subject.of(Refuses))


@pytest.mark.parametrize("name", ["hal:Setting", Setting])
def test_what_is_no_device_is_refused(name):
    with pytest.raises(DriverError, match=r"hal:Setting|hal\.device:Setting.*derive it from"):
        Subject.of(name)


def test_a_device_is_closed_after_each_check():
    opened = []

    class Counted(RightMotor):
        def open(self):
            super().open()
            opened.append(self)

    run_checks(Subject.of(Counted), [c for c in CHECKS["motor"] if c.name != "goes-home"])
    assert len(opened) > 20
    assert not any(device.is_open for device in opened)


def test_a_report_counts_and_can_be_printed_as_json():
    report = run_checks(Subject.of(RightMotor, seconds=0.0))
    facts = report.as_dict()
    assert facts["driver"] == "right_devices:RightMotor"
    assert (facts["kind"], facts["clock"], facts["ok"]) == ("motor", "manual", True)
    assert facts["passed"] + facts["not_applicable"] == len(facts["checks"])
    assert [check["name"] for check in facts["checks"]] == [c.name for c in CHECKS["motor"]]


def test_each_check_is_a_test_of_an_authors_own_pytest(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "from hal.testing import CameraTests\n"
        "class TestMine(CameraTests):\n"
        "    driver = 'broken_cameras:BeginsAtOne'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    search = {"PYTHONPATH": f"{BROKEN}:{Path(__file__).parents[2]}"}
    ran = subprocess.run(
        command, cwd=tmp_path, env=search, capture_output=True, text=True, check=False
    )
    assert "TestMine::test_frames_come_in_order" in ran.stdout
    assert "expected the first frame to have number 0" in ran.stdout
    assert "TestMine::test_says_who_it_is" not in ran.stdout


def test_a_motor_is_not_taken_for_a_camera():
    class Wrong(CameraTests):
        driver = RightMotor

    with pytest.raises(AssertionError, match="is a motor, no camera"):
        Wrong().test_opens_and_closes()


@pytest.mark.parametrize(("tests", "kind"), [(CameraTests, "camera"), (MotorTests, "motor")])
def test_the_tests_are_the_checks(tests, kind):
    names = {f"test_{check.name.replace('-', '_')}" for check in CHECKS[kind]}
    assert names == {name for name in dir(tests) if name.startswith("test_")}
    assert all(getattr(tests, name).__doc__ for name in names)
