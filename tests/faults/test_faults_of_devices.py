import numpy as np
import pytest
from fault_tools import CAMERA, ended, run, seconds_of

import sim
from hal.clock import NS_PER_S, Clock
from hal.device import DeviceContext
from hal.errors import (
    DeviceTimeoutError,
    DisconnectedError,
    LimitError,
    MotionError,
    SettingError,
)
from hal.motor import FocusMotor, LinearMotor, RotaryMotor
from sim.devices.motors import Focus, MagnetHeight, MagnetRotation
from sim.devices.truth import TruthCamera
from sim.faults import (
    CameraBlocks,
    CameraBurst,
    CameraDisconnect,
    CameraDrop,
    CameraDuplicate,
    CameraLate,
    CameraRefuse,
    CameraTimeout,
    CameraTorn,
    MotorBlocks,
    MotorDisconnect,
    MotorLimit,
    MotorLostSteps,
    MotorOvershoot,
    MotorSlow,
    MotorStall,
    MotorStuck,
)
from sim.faults.devices import Trouble, in_trouble

MS = NS_PER_S // 1000


class HandClock(Clock):
    """A clock that stands still until somebody sleeps."""

    def __init__(self):
        self.ns = 0

    def now_ns(self):
        return self.ns

    def monotonic_ns(self):
        return self.ns

    def sleep_s(self, seconds):
        self.ns += round(seconds * NS_PER_S)


class Bench:
    """A device with something in front of it."""

    def __init__(self, device):
        self.clock = HandClock()
        device.context = DeviceContext.standalone(type(device), clock=self.clock, seed=3)
        self.visited, self.waits = [], []
        self.trouble = Trouble(self.waits.append)
        self.inner = device
        self.device = in_trouble(device, self.trouble, self.visited.append)
        self.device.open()

    def frames(self, milliseconds=10, out=None):
        """Let time pass, and return the numbers of the frames that have come."""
        self.clock.ns += milliseconds * MS
        found = []
        form = self.device.frame_format
        out = np.empty(form.shape, form.dtype)
        while (info := self.device.fetch_into(out)) is not None:
            found.append((info.frame_number, info.timestamp_ns, out.copy()))
        return found


@pytest.fixture
def camera():
    bench = Bench(TruthCamera(framerate_hz=100.0))
    bench.device.start()
    return bench


@pytest.fixture
def focus():
    return Bench(Focus(start_nm=0.0))


def begin(bench, kind, **values):
    fault = kind("x", at_s=0.0, **values)
    bench.trouble.begin(fault)
    return fault


def numbers(frames):
    return [number for number, _, _ in frames]


def test_a_camera_with_nothing_the_matter_is_the_camera(camera):
    bare = Bench(TruthCamera(framerate_hz=100.0))
    bare.inner.start()
    bare.device = bare.inner
    for mine, its in zip(camera.frames(55), bare.frames(55), strict=True):
        assert mine[:2] == its[:2]
        assert np.array_equal(mine[2], its[2])
    for name in ("annotation_name", "annotation_columns", "queue_frames", "nm_per_px", "beads"):
        assert getattr(camera.device, name) == getattr(camera.inner, name)
    assert camera.device.identity == camera.inner.identity
    assert camera.device.set("framerate_hz", 50.0) == 50.0
    assert camera.device.get("framerate_hz") == 50.0
    assert camera.visited[:3] == ["device.open", "device.fetch", "device.frame"]
    camera.device.close()
    assert not camera.device.is_open


def test_frames_are_lost_and_the_numbers_show_it(camera):
    begin(camera, CameraDrop, frames=3)
    assert numbers(camera.frames(60)) == [3, 4, 5]


def test_a_frame_comes_twice_with_its_own_number(camera):
    begin(camera, CameraDuplicate)
    frames = camera.frames(30)
    assert numbers(frames) == [0, 0, 1, 2]
    assert frames[0][1] == frames[1][1]
    assert np.array_equal(frames[0][2], frames[1][2])


def test_the_lower_half_of_a_torn_frame_is_that_of_the_one_before(camera):
    before = camera.frames()[0][2]
    begin(camera, CameraTorn)
    torn, whole = (camera.frames()[0][2] for _ in range(2))
    half = len(torn) // 2
    assert np.array_equal(torn[half:], before[half:])
    assert not np.array_equal(torn[:half], before[:half])
    assert not np.array_equal(whole[half:], before[half:])


def test_frames_are_late_with_their_own_times_and_in_order(camera):
    fault = begin(camera, CameraLate, late_s=0.025)
    assert numbers(camera.frames(10)) == []
    assert camera.device.ready_in_s() <= 0.025
    assert numbers(camera.frames(10)) == []
    late = [camera.frames(10) for _ in range(4)]
    assert [n for frames in late for n in numbers(frames)] == [0, 1, 2]
    camera.trouble.end(fault)
    assert numbers(camera.frames(30)) == [3, 4, 5, 6, 7, 8]
    assert numbers(camera.frames(10)) == [9]


def test_after_a_burst_all_that_the_camera_has_kept_comes_at_once(camera):
    fault = begin(camera, CameraBurst)
    assert numbers(camera.frames(50)) == []
    assert camera.device.ready_in_s() > 0
    camera.trouble.end(fault)
    assert numbers(camera.frames(0)) == [0, 1, 2, 3, 4]


def test_a_camera_that_is_gone_says_so_until_it_is_connected_again(camera):
    fault = begin(camera, CameraDisconnect)
    for _ in range(2):
        with pytest.raises(DisconnectedError):
            camera.frames()
        assert not camera.device.is_open
    with pytest.raises(DisconnectedError):
        camera.device.open()
    camera.trouble.end(fault)
    with pytest.raises(DisconnectedError):
        camera.frames()
    camera.device.open()
    camera.device.start()
    assert numbers(camera.frames()) == [0]
    camera.device.close()


def test_a_camera_refuses_a_setting_and_does_not_answer_once(camera):
    begin(camera, CameraRefuse)
    with pytest.raises(SettingError, match="refuses"):
        camera.device.set("framerate_hz", 50.0)
    assert camera.device.set("framerate_hz", 50.0) == 50.0
    begin(camera, CameraTimeout)
    with pytest.raises(DeviceTimeoutError):
        camera.frames()
    assert len(camera.frames(50)) > 1


def travel(bench, target, seconds):
    """Move, let time pass, and return where the motor says it is and where it is."""
    bench.device.move_to(target)
    for _ in range(round(seconds * 100)):
        bench.clock.sleep_s(0.01)
        if not bench.device.is_moving:
            break
    return bench.device.read_position(), bench.inner.read_position()


def test_a_motor_with_nothing_the_matter_is_the_motor(focus):
    assert travel(focus, 1000.0, 1.0) == (1000.0, 1000.0)
    assert focus.device.axis == focus.inner.axis
    assert focus.device.target == 1000.0
    assert {"device.move", "device.moving", "device.position"} <= set(focus.visited)
    focus.device.stop()
    focus.device.close()
    assert not focus.device.is_open


@pytest.mark.parametrize(
    ("driver", "kind"),
    [(Focus, FocusMotor), (MagnetHeight, LinearMotor), (MagnetRotation, RotaryMotor)],
)
def test_what_stands_in_front_of_a_motor_is_such_a_motor(driver, kind):
    bench = Bench(driver())
    assert isinstance(bench.device, kind)
    assert bench.device.unit == bench.inner.unit
    assert bench.device is not bench.inner
    if bench.device.axis.can_home:
        bench.device.home()


@pytest.mark.parametrize(("kind", "error"), [(MotorStall, MotionError), (MotorLimit, LimitError)])
def test_a_motor_stops_on_its_way_and_says_why(focus, kind, error):
    begin(focus, kind)
    assert not focus.device.is_moving, "it stands, and nothing can be in its way"
    focus.device.move_to(30_000.0)
    focus.clock.sleep_s(0.1)
    with pytest.raises(error):
        assert focus.device.is_moving
    focus.clock.sleep_s(0.1)
    assert not focus.device.is_moving
    assert 0 < focus.device.read_position() < 30_000
    assert travel(focus, 0.0, 2.0) == (0.0, 0.0)


def test_a_motor_goes_too_far_and_comes_back(focus):
    begin(focus, MotorOvershoot, by=500.0)
    focus.device.move_to(1000.0)
    furthest = 0.0
    while focus.device.is_moving:
        focus.clock.sleep_s(0.001)
        furthest = max(furthest, focus.device.read_position())
    assert furthest == pytest.approx(1500.0)
    assert focus.device.read_position() == 1000.0


def test_a_motor_that_lost_steps_is_not_where_it_says(focus):
    begin(focus, MotorLostSteps, by=300.0)
    assert travel(focus, 1000.0, 1.0) == (1000.0, 700.0)
    assert travel(focus, 0.0, 1.0) == (0.0, -300.0)


def test_a_motor_is_gone_slow_or_says_that_it_moves(focus):
    fault = begin(focus, MotorDisconnect)
    with pytest.raises(DisconnectedError):
        focus.device.read_position()
    focus.trouble.end(fault)
    focus.device.open()
    assert focus.device.read_position() == 0.0
    slow = begin(focus, MotorSlow, late_s=0.5)
    before_ns = focus.clock.ns
    focus.device.read_position()
    assert focus.clock.ns - before_ns == NS_PER_S // 2
    focus.trouble.end(slow)
    blocks = begin(focus, MotorBlocks)
    focus.device.read_position()
    (is_over,) = focus.waits
    assert not is_over()
    focus.trouble.end(blocks)
    assert is_over()
    stuck = begin(focus, MotorStuck)
    assert travel(focus, 100.0, 0.5) == (100.0, 100.0)
    assert focus.device.is_moving
    focus.trouble.heal()
    assert not focus.device.is_moving
    assert focus.trouble.find(type(stuck)) is None


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (CameraDrop(CAMERA, hit=7, frames=3), 3),
        (CameraLate(CAMERA, hit=7, for_s=0.2, late_s=0.05), 0),
        (CameraDuplicate(CAMERA, hit=7), 0),
        (CameraBurst(CAMERA, at_s=0.1, for_s=0.1), 0),
        (MotorOvershoot("focus", at_s=0.05), 0),
        (MotorLostSteps("focus", hit=1), 0),
        (MotorSlow("focus", at_s=0.05, for_s=0.2, late_s=0.05), 0),
        (MotorStuck("focus", at_s=0.05, for_s=0.2), 0),
        (MotorBlocks("focus", at_s=0.05, for_s=0.2), 0),
        (CameraBlocks(CAMERA, at_s=0.05, for_s=0.1), 0),
    ],
    ids=str,
)
def test_b1_a_device_that_goes_wrong_a_little_ends_nothing(rig, moving, fault, lost):
    outcome = run(rig, fault, script=moving)
    assert outcome.report.is_clean
    assert outcome.account.device_lost == lost
    assert outcome.account.delivered == pytest.approx(45, abs=10)


@pytest.mark.parametrize(
    "fault",
    [
        CameraDisconnect(CAMERA, at_s=0.2),
        CameraDisconnect(CAMERA, site="device.open"),
        CameraTimeout(CAMERA, hit=5),
        MotorStall("focus", at_s=0.2),
        MotorLimit("focus", at_s=0.2),
        MotorDisconnect("focus", at_s=0.2, for_s=1.0),
    ],
    ids=str,
)
def test_s5_a_device_that_fails_ends_the_session_and_is_named(rig, moving, fault):
    outcome = run(rig, fault, script=moving, for_s=1.0)
    assert outcome.virtual_s < 0.5
    assert ended(outcome)[fault.process] == "crashed"
    role = "camera" if fault.process == CAMERA else "focus"
    assert outcome.report.errors[0].startswith(f"{fault.process}: ")
    assert role in outcome.report.errors[0]


def test_a_setting_that_the_camera_refuses_in_the_rig_file_ends_the_session(rig, tmp_path):
    path = tmp_path / "rig.toml"
    settings = "settings = { framerate_hz = 50 }"
    path.write_text(rig.read_text().replace("[motors.focus]", f"{settings}\n[motors.focus]"))
    outcome = run(path, CameraRefuse(CAMERA))
    assert ended(outcome)[CAMERA] == "crashed"
    assert "framerate_hz = 50" in outcome.report.errors[0]


def test_a_torn_frame_is_seen_by_who_looks_for_it_and_is_no_violation(rig):
    outcome = run(rig, CameraTorn(CAMERA, hit=7))
    assert "torn" in outcome.report.errors[0]
    assert outcome.account.lost == 10


def test_a_device_fault_without_a_device_is_not_reached(rig):
    fault = MotorStall("ZLutManager", at_s=0.1)
    assert sim.run(rig, seed=1, for_s=0.2, faults=[fault]).unreached == (fault,)


def test_a_device_has_nothing_in_front_of_it_where_no_fault_is_planned(rig):
    outcome = run(rig)
    assert not [step for step in outcome.trace.steps if step.site.startswith("device.")]
    outcome = run(rig, MotorStuck("focus", at_s=0.1, for_s=0.1))
    assert seconds_of(outcome, "device.moving", "focus")
    assert not seconds_of(outcome, "device.fetch", CAMERA)
