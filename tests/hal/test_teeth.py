"""The kit finds what is broken: each broken device by the check that is meant for it."""

import inspect

import broken_cameras
import broken_motors
import pytest
from right_devices import HomelessMotor, RightCamera, RightMotor

from hal.testing import Subject, run_checks
from hal.testing.catalogue import CHECKS

RIGHT = [RightCamera, RightMotor, HomelessMotor]
BROKEN = [
    kind
    for module in (broken_cameras, broken_motors)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if "caught_by" in vars(kind)
]


def outcomes(kind):
    return {outcome.name: outcome for outcome in run_checks(Subject.of(kind)).outcomes}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_device_passes(kind):
    failed = [o for o in outcomes(kind).values() if o.state == "failed"]
    assert not failed


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: f"{kind.__module__}-{kind.__name__}")
def test_a_broken_device_is_caught_by_the_check_that_is_meant_for_it(kind):
    subject = Subject.of(kind)
    (meant,) = [check for check in CHECKS[subject.kind] if check.name == kind.caught_by]
    (outcome,) = run_checks(subject, [meant]).outcomes
    assert outcome.state == "failed"
    assert outcome.expected
    assert outcome.got


def test_every_check_catches_something():
    caught = {(Subject.of(kind).kind, kind.caught_by) for kind in BROKEN}
    of_both = {check.name for check in CHECKS["device"]}
    meant = {
        (kind, check.name) for kind in ("camera", "motor") for check in CHECKS[kind]
        if check.name not in of_both
    }  # fmt: skip
    assert not meant - caught
    assert not of_both - {name for _, name in caught} - {"takes-what-it-reads"}
