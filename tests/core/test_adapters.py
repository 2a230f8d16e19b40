"""Drivers written for MagScope as devices of `hal`, and as the conformance kit sees them."""

import sys
from pathlib import Path

import pytest

from hal.errors import DisconnectedError, OptionError
from hal.testing import run_checks
from magscope.conformance import subject_of

ROOT = Path(__file__).parents[2]
LEGACY = {
    "existing_drivers:OldCamera": "camera",
    "existing_drivers:OldFocus": "motor",
    "legacy_rig:MyCamera": "camera",
    "legacy_rig:MyFocus": "motor",
    "legacy_rig:MyThermometer": "device",
}
BROKEN = """
import time
from existing_drivers import OldCamera, OldFocus
from legacy_rig import MyThermometer
import numpy as np


class TimelessCamera(OldCamera):
    caught_by = "frames-come-in-order"

    def fetch(self):
        before = self.next_s
        super().fetch()
        if self.next_s != before:
            self.video_buffer.write_image_and_timestamp(bytes(320 * 240), before)


class WaitingCamera(OldCamera):
    caught_by = "fetch-never-waits"

    def fetch(self):
        time.sleep(max(self.next_s - time.time(), 0))
        super().fetch()


class DeafCamera(OldCamera):
    caught_by = "takes-what-it-reads"

    def get_setting(self, name):
        return "50.0" if self.framerate == 50.0 else "49"

    def set_setting(self, name, value):
        self.framerate = 49.0


class StuckFocus(OldFocus):
    caught_by = "arrives-at-its-target"

    def move_absolute(self, z):
        pass


class GoneFocus(OldFocus):
    caught_by = "opens-and-closes"

    def connect(self):
        pass


class NarrowThermometer(MyThermometer):
    caught_by = "writes-rows-of-its-shape"

    def fetch(self):
        self._buffer.write(np.array([[time.time()]]))


class LateThermometer(MyThermometer):
    caught_by = "writes-rows-of-its-shape"

    def fetch(self):
        self._buffer.write(np.array([[time.monotonic(), 20.0]]))


class Choosy(OldFocus):
    def __init__(self, port):
        if port != "COM3":
            raise ValueError(f"port = {port!r}")
        super().__init__()
"""
NAMES = (
    "TimelessCamera", "WaitingCamera", "DeafCamera", "StuckFocus", "GoneFocus",
    "NarrowThermometer", "LateThermometer",
)  # fmt: skip
MODULES = ("existing_drivers", "legacy_rig", "broken_legacy")


@pytest.fixture(autouse=True)
def _beside_the_drivers(monkeypatch, tmp_path):
    (tmp_path / "broken_legacy.py").write_text(BROKEN)
    for place in (ROOT / "examples", ROOT / "tests" / "system", tmp_path):
        monkeypatch.syspath_prepend(str(place))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def named(subject, *names):
    from hal.testing.catalogue import CHECKS

    return [check for check in (*CHECKS[subject.kind], *subject.more) if check.name in names]


@pytest.mark.parametrize("driver", LEGACY)
def test_a_driver_written_for_magscope_passes_the_checks_of_its_kind(driver):
    report = run_checks(subject_of(driver, seconds=0.3))
    assert report.kind == LEGACY[driver]
    assert [outcome for outcome in report.outcomes if outcome.state == "failed"] == []
    assert report.count("passed") > 3


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_driver_written_for_magscope_is_caught_by_the_check_meant_for_it(name):
    subject = subject_of(f"broken_legacy:{name}")
    import broken_legacy

    meant = named(subject, getattr(broken_legacy, name).caught_by)
    (outcome,) = run_checks(subject, meant).outcomes
    assert outcome.state == "failed"


def test_what_a_camera_of_magscope_can_not_tell_is_excused_with_the_reason():
    subject = subject_of("existing_drivers:OldCamera")
    (outcome,) = run_checks(subject, named(subject, "losses-show-as-gaps")).outcomes
    assert outcome.state == "not applicable"
    assert outcome.reason == "a CameraBase does not number its frames"


def test_a_focus_is_stopped_by_being_sent_to_where_it_is():
    subject = subject_of("existing_drivers:OldFocus")
    with subject.stand() as stand:
        stand.motor.open()
        sent = []
        focus = stand.itself._focus
        focus.get_is_moving = lambda: True
        focus.move_absolute = sent.append
        focus.z_nm = 30.0
        stand.motor.stop()
        assert sent == [30.0]


def test_a_closed_camera_of_magscope_has_no_format():
    subject = subject_of("existing_drivers:OldCamera")
    with subject.stand() as stand, pytest.raises(DisconnectedError, match="open it before"):
        _ = stand.camera.frame_format


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "argument: 'port'"), ({"port": "COM1"}, "port = 'COM1'"), ({"x": 1}, "argument 'x'")],
)
def test_options_that_such_a_driver_does_not_take_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        subject_of("broken_legacy:Choosy", options)


def test_a_driver_can_be_looked_at_twice_in_one_process():
    for _ in range(2):
        assert subject_of("broken_legacy:Choosy", {"port": "COM3"}).kind == "motor"
