from collections.abc import Callable

import numpy as np
import pymmcore_nano as mm
import pytest

from hal import MachineClock
from hal.drivers.micromanager import MicroManagerCamera
from hal.drivers.micromanager.device import refuse_if_ignored
from hal.drivers.micromanager.errors import kind_of
from hal.drivers.timeline import Timeline
from hal.errors import (
    BusyError,
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    DriverError,
    LimitError,
    OptionError,
    OverrunError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

SMALL = {"width_px": 64, "height_px": 48, "exposure_ms": 1.0, "buffer_mb": 1}
# A core of 1 MB holds three of these.
LARGE = {"width_px": 640, "height_px": 480, "exposure_ms": 1.0, "buffer_mb": 1}


def wait_until(condition: Callable[[], object]):
    clock = MachineClock()
    deadline_ns = clock.monotonic_ns() + 10 * 10**9
    while not (found := condition()):
        assert clock.monotonic_ns() < deadline_ns, "not within 10 s"
        clock.sleep_s(0.0005)
    return found


def blank(camera) -> np.ndarray:
    return np.zeros(camera.frame_format.shape, camera.frame_format.dtype)


def next_frame(camera, out=None):
    out = blank(camera) if out is None else out
    return wait_until(lambda: camera.fetch_into(out))


@pytest.mark.parametrize(("bits", "dtype"), [(None, np.uint8), (8, np.uint8), (16, np.uint16)])
def test_size_and_depth_are_those_of_the_options(bits, dtype):
    with MicroManagerCamera(**SMALL | {"exposure_ms": 10.0}, bits=bits) as camera:
        assert (camera.frame_format.width_px, camera.frame_format.height_px) == (64, 48)
        camera.start()
        out = blank(camera)
        assert out.dtype == dtype
        next_frame(camera, out)
        assert out.std() > 0


def test_without_options_the_demonstration_camera_gives_8_bits_at_100_hz():
    with MicroManagerCamera(buffer_mb=4) as camera:
        assert camera.frame_format.bits == 8
        assert camera.get("exposure_us") == 10_000.0
        assert camera.get("framerate_hz") == 0.0
        camera.start()
        for _ in range(5):
            next_frame(camera)
        assert 20 < camera.get("framerate_hz") < 110


def test_every_frame_that_was_not_fetched_in_time_is_a_gap_in_the_numbers():
    with MicroManagerCamera(**LARGE) as camera:
        camera.start()
        core = camera._core
        first = next_frame(camera).frame_number
        metadata = mm.Metadata()

        def newest():
            core.getLastImageMD(metadata)
            return int(metadata["ImageNumber"])

        wait_until(lambda: core.getRemainingImageCount() and newest() > first + 12)
        last = newest()
        infos = []
        while not infos or infos[-1].frame_number < last:
            infos.append(next_frame(camera))
        numbers = [info.frame_number for info in infos]
        assert numbers == sorted(set(numbers))
        assert len(numbers) < numbers[-1] - first  # some are lost, and every one shows
        stamps = [info.timestamp_ns for info in infos]
        assert stamps == sorted(set(stamps))


def test_stop_on_overrun_delivers_what_was_kept_then_raises_once_and_starts_again():
    with MicroManagerCamera(**LARGE, stop_on_overrun=True) as camera:
        camera.start()
        wait_until(camera._core.isBufferOverflowed)
        capacity = camera._core.getBufferTotalCapacity()
        out = blank(camera)
        assert [camera.fetch_into(out).frame_number for _ in range(capacity)] == [*range(capacity)]
        wait_until(lambda: not camera._core.isSequenceRunning())
        out[:] = 171
        with pytest.raises(OverrunError, match=f"after number {capacity - 1}: nobody fetched"):
            camera.fetch_into(out)
        assert (out == 171).all()
        assert camera.fetch_into(out) is None
        camera.start()
        assert next_frame(camera).frame_number == 0


def test_a_camera_that_stops_by_itself_is_reported_once():
    with MicroManagerCamera(**SMALL) as camera:
        camera.start()
        camera._core.stopSequenceAcquisition()
        out = blank(camera)
        while camera._core.getRemainingImageCount():
            camera.fetch_into(out)
        with pytest.raises(DeviceError, match="stopped taking frames by itself"):
            camera.fetch_into(out)
        assert camera.fetch_into(out) is None


def test_timestamps_are_unix_time_and_as_regular_as_the_device_is():
    with MicroManagerCamera(**SMALL | {"exposure_ms": 5.0}) as camera:
        before_ns = MachineClock().now_ns()
        camera.start()
        stamps = [next_frame(camera).timestamp_ns for _ in range(10)]
        assert before_ns < stamps[0]
        assert stamps[-1] <= MachineClock().now_ns()


def test_it_asks_to_be_called_at_a_quarter_of_the_interval_but_at_once_when_a_frame_waits():
    with MicroManagerCamera(**SMALL | {"exposure_ms": 4.0}) as camera:
        camera.start()
        for _ in range(3):
            next_frame(camera)
        while camera.fetch_into(blank(camera)):
            pass
        assert 0.0 <= camera.ready_in_s() <= 0.002
        wait_until(camera._core.getRemainingImageCount)
        assert camera.ready_in_s() == 0.0
        camera.stop()
        assert 0.0002 <= camera.ready_in_s() <= 0.002


@pytest.mark.parametrize("exposure_us", [-5_000.0, 1e12])
def test_an_exposure_that_micro_manager_would_ignore_is_refused(exposure_us):
    with MicroManagerCamera(**SMALL) as camera:
        with pytest.raises(SettingError, match="between 0 and 1e\\+07"):
            camera.set("exposure_us", exposure_us)
        assert camera.get("exposure_us") == 1000.0


def test_an_exposure_that_is_ignored_in_silence_is_noticed(monkeypatch):
    with MicroManagerCamera(**SMALL) as camera:
        monkeypatch.setattr(mm.CMMCore, "hasPropertyLimits", lambda *_: False)
        with pytest.raises(SettingError, match="ignored it and has 1000"):
            camera.set("exposure_us", 1e12)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("Gain", "abc", "expected int"),
        ("Gain", 9, "between -5 and 8"),
        ("ScanMode", 4, r"choose one of \[1, 2, 3\]"),
        ("Mode", "Waves", "choose one of .*Artificial Waves"),
        ("CCDTemperature RO", 5, "read-only"),
        ("MaximumExposureMs", 5, "read-only"),
        ("framerate_hz", 5, "read-only"),
        ("Gian", 1, "no setting 'Gian'"),
        ("Exposure", 5, "no setting 'Exposure'"),
    ],
)
def test_a_write_that_micro_manager_ignores_or_refuses_is_a_setting_error(name, value, words):
    with MicroManagerCamera(**SMALL) as camera, pytest.raises(SettingError, match=words):
        camera.set(name, value)


def test_a_property_is_written_by_its_own_name_and_read_back():
    with MicroManagerCamera(**SMALL) as camera:
        assert camera.set("Gain", "3") == 3
        assert camera.get("Gain") == 3
        assert camera.set("Mode", "Noise") == "Noise"
        assert camera.set("CCDTemperature", -10) == pytest.approx(-10.0)


@pytest.mark.parametrize(("name", "value"), [("Gain", 3), ("Mode", "Noise")])
def test_a_property_that_is_ignored_in_silence_is_noticed(monkeypatch, name, value):
    with MicroManagerCamera(**SMALL) as camera:
        monkeypatch.setattr(mm.CMMCore, "setProperty", lambda *_: None)
        with pytest.raises(SettingError, match=f"{name} = {value!r}: the device ignored it"):
            camera.set(name, value)


@pytest.mark.parametrize(
    ("name", "value"), [("PixelType", "16bit"), ("BitDepth", 12), ("Binning", 2)]
)
def test_a_property_that_would_change_the_frames_of_an_open_camera_is_put_back(name, value):
    with MicroManagerCamera(**SMALL) as camera:
        before = {s.name: camera.get(s.name) for s in camera.settings}
        with pytest.raises(SettingError, match="give it in the option properties"):
            camera.set(name, value)
        assert {s.name: camera.get(s.name) for s in camera.settings} == before
        camera.start()
        next_frame(camera)


def test_while_frames_are_taken_only_what_keeps_their_shape_can_be_set():
    with MicroManagerCamera(**SMALL) as camera:
        camera.start()
        with pytest.raises(BusyError, match="stop the camera first"):
            camera.set("OnCameraCCDXSize", 32)
        with pytest.raises(SettingError, match="between"):
            camera.set("StripeWidth", 99)
        assert camera.set("exposure_us", 2000.0) == 2000.0
        assert camera.set("Gain", 1) == 1
        next_frame(camera)


def test_properties_of_the_options_are_written_before_frames_are_taken():
    properties = {"Binning": 2, "MaximumExposureMs": 500.0, "Gain": 2}
    with MicroManagerCamera(**SMALL, properties=properties) as camera:
        assert camera.get("Binning") == 2
        assert camera.frame_format.shape == (48, 64)
        assert camera.get("Gain") == 2
        assert camera.setting("exposure_us").upper == 500_000.0


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"properties": {"Gian": 1}}, SettingError, "no property 'Gian'; DCam has: .*Gain"),
        ({"properties": {"Gain": 99}}, SettingError, "between -5 and 8"),
        ({"properties": {"PixelType": "32bitRGB"}}, UnsupportedError, "8 or 16 bits of grey"),
        ({"width_px": 10**8}, SettingError, "OnCameraCCDXSize"),
        ({"device": "DStage"}, OptionError, "is a StageDevice"),
        ({"exposure_ms": -1}, SettingError, "exposure_us"),
    ],
)
def test_a_camera_that_can_not_be_opened_says_why_and_stays_closed(options, kind, words):
    camera = MicroManagerCamera(**{"buffer_mb": 1} | options)
    with pytest.raises(kind, match=words):
        camera.open()
    assert not camera.is_open


def test_a_depth_that_no_frame_has_is_refused_at_once():
    with pytest.raises(OptionError, match="bits = 12: choose 8 or 16"):
        MicroManagerCamera(bits=12)


class WithoutSensorSize(MicroManagerCamera):
    """The demonstration camera seen as one whose sensor has a fixed size."""

    def _choose_size(self, core):
        class Core:
            def __getattr__(self, name):
                return getattr(core, name)

            def hasProperty(self, *_):  # noqa: N802
                return False

        super()._choose_size(Core())


def test_a_sensor_of_fixed_size_is_read_out_in_its_middle():
    with WithoutSensorSize(**SMALL) as camera:
        assert camera._core.getROI() == ((512 - 64) // 2, (512 - 48) // 2, 64, 48)
        camera.start()
        next_frame(camera)


def test_a_region_larger_than_the_sensor_is_refused_although_the_core_takes_it():
    with pytest.raises(OptionError, match="the sensor has 512 x 512 px"):
        WithoutSensorSize(width_px=1000, buffer_mb=1).open()


def test_a_frame_of_another_shape_is_never_passed_on():
    with MicroManagerCamera(**SMALL) as camera:
        camera.start()
        camera._format = camera._format.__class__(32, 48, 8)
        out = np.full((48, 32), 171, np.uint8)
        with pytest.raises(ProtocolError, match=r"\(48, 64\) of uint8, not \(48, 32\)"):
            wait_until(lambda: camera.fetch_into(out))
        assert (out == 171).all()


def test_a_closed_camera_has_neither_format_nor_settings():
    camera = MicroManagerCamera()
    for use in (lambda: camera.frame_format, lambda: camera.settings, camera.start):
        with pytest.raises(DisconnectedError, match="open it first"):
            use()


def test_an_adapter_of_another_device_interface_is_a_driver_error(tmp_path):
    (tmp_path / "libmmgr_dal_Broken.so.0").write_bytes(b"not a library")
    camera = MicroManagerCamera(adapter="Broken", adapter_path=str(tmp_path))
    with pytest.raises(DriverError, match=f"device interface {mm.DEVICE_INTERFACE_VERSION}"):
        camera.open()


def test_without_the_test_adapters_the_path_of_the_adapters_is_asked_for(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mm_test_adapters", None)
    with pytest.raises(OptionError, match="adapter_path is needed"):
        MicroManagerCamera().open()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('Error in device "Z": Position out of range (103)', LimitError),
        ('Error in device "Z": Unsupported device command (11)', UnsupportedError),
        ('Error in device "C": Invalid property name encountered: Nope (2)', SettingError),
        ('Cannot set property "Gain" to "99"', SettingError),
        ("This operation can not be executed while sequence acquisition is running.", BusyError),
        ('Wait for device "Z" timed out after 5000ms', DeviceTimeoutError),
        ('Error in device "Z": Serial timeout occurred. (17)', DeviceTimeoutError),
        ('Error in device "Z": Invalid response (16)', ProtocolError),
        ('No device with label "Z"', DisconnectedError),
        ("Something else (4711)", DeviceError),
    ],
)
def test_what_micro_manager_says_is_sorted_by_its_code_or_its_words(text, kind):
    assert kind_of(text) is kind


@pytest.mark.parametrize(
    ("before", "asked", "taken"),
    [(1.0, 2.0, 2.01), (1, 2, 2), (1.0, 1.00001, 1.0), ("a", "b", "b")],
)
def test_a_number_near_to_what_was_asked_is_what_a_device_takes(before, asked, taken):
    refuse_if_ignored("x", before, asked, taken)


@pytest.mark.parametrize(("before", "asked", "taken"), [(1.0, 2.0, 1.0), ("a", "b", "c")])
def test_a_value_that_a_device_ignored_is_refused(before, asked, taken):
    with pytest.raises(SettingError, match="ignored"):
        refuse_if_ignored("x", before, asked, taken)


def test_late_arrivals_do_not_move_the_timeline():
    timeline = Timeline()
    late_ms = [3.0, 0.5, 7.0, 0.5, 2.0, 0.6]
    start_ns = 10**18
    stamps = [
        timeline.place(start_ns + round((10 * k + late) * 1e6), 10.0 * k, 1)
        for k, late in enumerate(late_ms)
    ]
    ideal = [start_ns + round((10 * k + 0.5) * 1e6) for k in range(len(late_ms))]
    assert stamps[1:] == pytest.approx(ideal[1:], abs=10_000)
    assert timeline.framerate_hz == pytest.approx(100)


@pytest.mark.parametrize("drift", [-5e-5, 5e-5])
def test_the_timeline_follows_a_device_clock_that_drifts(drift):
    timeline = Timeline()
    for k in range(20_000):
        true_ns = 10**18 + k * 10_000_000
        stamp = timeline.place(true_ns + 500_000, 10.0 * k * (1 + drift), 1)
    assert abs(stamp - true_ns) < 600_000


def test_a_device_without_a_count_of_time_is_stamped_on_arrival_and_stamps_always_rise():
    timeline = Timeline()
    assert [timeline.place(t, None, 1) for t in (100, 100, 90, 200)] == [100, 101, 102, 200]
