"""The driver and a camera of software alone speak GigE Vision, in a network of their own."""

import subprocess
import sys

import numpy as np
import peers
import psutil
import pytest
import telegenic

from hal import DeviceContext, MachineClock
from hal.drivers.gigevision import GigeVisionCamera
from hal.errors import (
    BusyError,
    DeviceTimeoutError,
    DisconnectedError,
    DriverError,
    OptionError,
    SettingError,
    UnsupportedError,
)
from hal.registry import create
from hal.testing import CameraTests
from hal.testing.fakes import FakeGigeCamera, FakeProcess, gige_camera
from hal.testing.fakes.network import interfaces_up, own_network
from sim.devices.camera import BeadCamera

pytestmark = pytest.mark.system
SENSOR = {"width_px": 320, "height_px": 256, "framerate_hz": 200, "n_tethered": 1, "n_stuck": 1}
SMALL = {"width_px": 64, "height_px": 48, "framerate_hz": 500, "n_tethered": 0, "n_stuck": 0}
TIMEOUT_S = 0.6


@pytest.fixture(autouse=True)
def network():
    with own_network():
        yield
        peers.end_all()


@pytest.fixture
def make():
    made = []

    def make(**options):
        made.append(
            GigeVisionCamera("127.0.0.1", **{"packet_size": 8000, "buffers": 128} | options)
        )
        return made[-1]

    yield make
    for camera in made:
        camera.close()


def spawn(options=SENSOR, **how) -> FakeProcess:
    return peers.spawn("gigevision", camera="sim.bead-camera", options=options, **how)


def next_frame(camera, out=None):
    form = camera.frame_format
    out = np.zeros(form.shape, form.dtype) if out is None else out
    clock = MachineClock()
    deadline_ns = clock.monotonic_ns() + 10 * 10**9
    while (info := camera.fetch_into(out)) is None:
        assert clock.monotonic_ns() < deadline_ns, "no frame within 10 s"
        clock.sleep_s(camera.ready_in_s())
    return info, out


def expected_frames(count, **options):
    """Return what the sensor sees, drawn in this process by a camera of its own."""
    clock = MachineClock()
    camera = BeadCamera(**SENSOR | options)
    camera.context = DeviceContext.standalone(BeadCamera, clock=clock)
    with camera:
        camera.start()
        return [next_frame(camera)[1] for _ in range(count)]


class TestConformance(CameraTests):
    driver = "gigevision"

    @pytest.fixture(autouse=True)
    def _of_a_peer(self, network):
        self.options = {"address": spawn().address, "packet_size": 8000, "buffers": 16}


def test_what_comes_over_the_network_is_what_the_sensor_sees(make):
    spawn()
    camera = make()
    camera.open()
    camera.start()
    for number, expected in enumerate(expected_frames(8)):
        info, frame = next_frame(camera)
        assert info.frame_number == number
        np.testing.assert_array_equal(frame, expected)
    assert (camera.identity.vendor, camera.identity.is_real) == ("Aravis", False)


def test_a_part_of_the_sensor_comes_as_such(make):
    spawn()
    part = {"Width": 100, "Height": 50, "OffsetX": 20, "OffsetY": 30}
    camera = make(features=part)
    camera.open()
    assert camera.setting("offset_x_px").upper == 220
    camera.start()
    _, frame = next_frame(camera)
    (whole,) = expected_frames(1)
    np.testing.assert_array_equal(frame, whole[30:80, 20:120])


def test_16_bits_come_as_uint16(make):
    spawn()
    camera = make(features={"PixelFormat": "Mono16"})
    camera.open()
    camera.start()
    _, frame = next_frame(camera)
    (whole,) = expected_frames(1)
    assert frame.dtype == np.uint16
    np.testing.assert_array_equal(frame, whole.astype(np.uint16) << 8)


def test_the_block_ids_of_16_bits_wrap_without_a_gap(make):
    spawn(SMALL, first_block=65_530)
    camera = make()
    camera.open()
    camera.start()
    assert [next_frame(camera)[0].frame_number for _ in range(12)] == list(range(12))


def test_timestamps_are_those_of_the_exposures_within_milliseconds(make):
    spawn()
    camera = make()
    camera.open()
    camera.start()
    clock = MachineClock()
    behind_ms, stamps = [], []
    for _ in range(40):
        info, _ = next_frame(camera)
        behind_ms.append((clock.now_ns() - info.timestamp_ns) / 1e6)
        stamps.append(info.timestamp_ns)
    assert min(behind_ms) >= 0.0
    intervals_ms = np.diff(stamps[10:]) / 1e6
    assert np.median(intervals_ms) == pytest.approx(5.0, abs=0.2)


def test_exposure_frame_rate_and_gain_are_those_of_the_camera_and_can_be_set(make):
    spawn()
    camera = make()
    camera.open()
    assert camera.get("framerate_hz") == 200.0
    assert camera.get("exposure_us") == 2500.0
    assert camera.set("exposure_us", 1500.0) == 1500.0
    assert camera.set("framerate_hz", 300.0) == pytest.approx(300.0, abs=0.1)
    assert camera.set("gain", 3) == 3
    camera.start()
    first = next_frame(camera)[0]
    for _ in range(30):
        last = next_frame(camera)[0]
    n_intervals = last.frame_number - first.frame_number
    rate_hz = n_intervals * 1e9 / (last.timestamp_ns - first.timestamp_ns)
    assert rate_hz == pytest.approx(300.0, rel=0.1)


def test_a_width_that_the_camera_itself_would_take_is_refused(make):
    spawn()
    library = telegenic.Camera("127.0.0.1")
    library.connect()
    library.set_integer("Width", 99_999)
    library.invalidate_caches()
    assert library.get_integer("Width") == 99_999  # so somebody has to check
    library.set_integer("Width", 320)
    library.disconnect()
    with pytest.raises(SettingError, match="Width = 99999: must lie between 1 and 320"):
        make(features={"Width": 99_999}).open()
    with pytest.raises(SettingError, match="offset_x_px = 100: with this Width"):
        make(features={"OffsetX": 100}).open()


def test_colours_are_refused(make):
    spawn()
    with pytest.raises(UnsupportedError, match="sends RGB8"):
        make(features={"PixelFormat": "RGB8"}).open()


def test_frames_with_a_lost_packet_are_counted_and_never_passed_on(make):
    spawn(packet_loss=0.005)
    camera = make(packet_size=1400)
    expected = expected_frames(60)
    camera.open()
    camera.start()
    fetched = []
    while not fetched or fetched[-1] < 59:
        info, frame = next_frame(camera)
        if info.frame_number < 60:
            np.testing.assert_array_equal(frame, expected[info.frame_number])
        fetched.append(info.frame_number)
    lost = fetched[-1] - fetched[0] + 1 - len(fetched)
    # One packet of 200 is lost, and a frame has about 60 of them.
    assert 5 < lost < 40
    assert camera.get("incomplete_frames") == lost + fetched[0]


def test_frames_that_nobody_fetches_are_a_gap(make):
    spawn()
    camera = make(buffers=4)
    camera.open()
    camera.start()
    first = next_frame(camera)[0]
    MachineClock().sleep_s(0.2)  # as whoever fetches is held up
    numbers = [next_frame(camera)[0].frame_number for _ in range(8)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] - first.frame_number > 20


def test_the_packet_size_is_tried_out_if_none_is_given(make):
    spawn()
    camera = make(packet_size=None)
    camera.open()
    for _ in range(2):
        camera.start()
        assert next_frame(camera)[0].frame_number == 0
        assert camera._negotiated >= 1400


def fetch_until_it_fails(camera):
    while True:
        next_frame(camera)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_camera_that_dies_or_freezes_is_noticed_in_time_and_comes_back(make, how):
    fake = spawn()
    camera = make(timeout_s=TIMEOUT_S)
    camera.open()
    camera.start()
    next_frame(camera)
    getattr(fake, how)()
    with (
        peers.within(TIMEOUT_S),
        pytest.raises(DisconnectedError, match=r"did not answer for 0\.6 s"),
    ):
        fetch_until_it_fails(camera)
    assert not camera.is_open
    with peers.within(TIMEOUT_S), pytest.raises(DeviceTimeoutError, match="connect timed out"):
        camera.open()
    with peers.within(0.1):
        camera.close()
    if how == "kill":
        spawn()
    else:
        fake.resume()
    camera.open()
    camera.start()
    assert next_frame(camera)[0].frame_number == 0


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_whatever_is_asked_of_a_camera_that_is_just_gone_fails_in_time(make, how):
    for ask in (
        lambda c: c.get("exposure_us"),
        lambda c: c.set("exposure_us", 900.0),
        lambda c: c.start(),
        lambda c: c.stop(),
    ):
        fake = spawn()
        camera = make(timeout_s=TIMEOUT_S)
        camera.open()
        camera.start()
        next_frame(camera)
        getattr(fake, how)()
        with (
            peers.within(TIMEOUT_S),
            pytest.raises((DeviceTimeoutError, DisconnectedError), match=r"127\.0\.0\.1"),
        ):
            ask(camera)
        with peers.within(TIMEOUT_S):
            camera.close()
        fake.close()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_camera_that_is_just_gone_is_closed_in_time_and_without_an_error(make, how):
    fake = spawn()
    camera = make(timeout_s=TIMEOUT_S)
    camera.open()
    camera.start()
    next_frame(camera)
    getattr(fake, how)()
    with peers.within(TIMEOUT_S):
        camera.close()
    assert not camera.is_open


def test_a_camera_that_another_program_controls_is_not_had_until_that_one_lets_go(make):
    spawn()
    other = make()
    other.open()
    # This one does not answer to others at all, where most refuse.
    with pytest.raises((BusyError, DeviceTimeoutError), match="another program"):
        make(timeout_s=TIMEOUT_S).open()
    other.close()
    make().open()


def test_where_there_is_no_camera_it_says_so_in_time(make):
    with (
        peers.within(TIMEOUT_S),
        pytest.raises(DeviceTimeoutError, match=r"at 127\.0\.0\.1.*another program"),
    ):
        make(timeout_s=TIMEOUT_S).open()


def test_what_the_sensor_loses_is_missing_in_the_numbers(make):
    spawn(SENSOR | {"queue_frames": 2})
    camera = make(buffers=256)
    camera.open()
    camera.start()
    first = next_frame(camera)[0].frame_number
    # The sensor begins anew at each change, and what waited is lost.
    for rate_hz in (150.0, 250.0):
        camera.set("framerate_hz", rate_hz)
    numbers = [next_frame(camera)[0].frame_number for _ in range(50)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > first


def test_in_a_network_of_its_own_only_loopback_is_up():
    assert interfaces_up() == {"lo"}


def test_a_fake_does_not_start_where_others_could_find_it(monkeypatch):
    monkeypatch.setattr(gige_camera, "interfaces_up", lambda: {"lo", "eth0"})
    fake = FakeGigeCamera(create("sim.bead-camera", SENSOR))
    with pytest.raises(UnsupportedError, match=r"eth0 .* unshare -rn"):
        fake.start()


def test_a_second_camera_at_the_same_address_is_refused():
    spawn()
    with pytest.raises(DriverError, match=r"UDP port 3956 of 127\.0\.0\.1 can not"):
        spawn()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"packet_loss": 1.5}, "packet_loss = 1.5: expected 0 to 1"),
        ({"first_block": 0}, "first_block = 0: expected 1 to 65535"),
        ({"options": {"width_px": 1}}, "width_px = 1: must lie between"),
    ],
)
def test_a_fake_that_can_not_be_says_why(how, words):
    with pytest.raises(DriverError, match=words):
        spawn(**how)


def test_a_fake_needs_a_camera():
    with pytest.raises(DriverError, match=r"--camera sim\.focus: a Focus is no camera"):
        peers.spawn("gigevision", camera="sim.focus")


class Silent(BeadCamera):
    """A sensor that falls silent after some frames."""

    def fetch_into(self, out):
        info = super().fetch_into(out)
        return None if info is not None and info.frame_number > 5 else info


def test_a_fake_whose_sensor_falls_silent_ends_and_says_so(make):
    sensor = Silent(**SENSOR)
    sensor.context = DeviceContext.standalone(Silent)
    with FakeGigeCamera(sensor) as fake:
        camera = make()
        camera.open()
        camera.start()
        assert next_frame(camera)[0].frame_number == 0
        with pytest.raises(DeviceTimeoutError, match=r"gave no frame for 0\.2 s"):
            fake.wait()
        camera.close()


def test_it_ends_with_its_parent():
    program = (
        "from hal.testing.fakes import FakeProcess\n"
        "fake = FakeProcess('gigevision', camera='sim.bead-camera')\n"
        "fake.start()\n"
        "print(fake.pid, flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    fake = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    peers.until(lambda: not fake.is_running() or fake.status() == psutil.STATUS_ZOMBIE)


def test_options_are_named_by_the_registry():
    with pytest.raises(OptionError, match="needs the option 'address'"):
        create("gigevision", {})
