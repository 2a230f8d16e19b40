import gc
import threading

import labscopes
import numpy as np
import pytest

from hal import DeviceContext, FrameFormat
from hal.errors import (
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    MissingExtraError,
    OptionError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)
from hal.registry import create

WAIT_NS = 10 * 10**9


@pytest.fixture
def make():
    """Make cameras of `labscopes`, and close them."""
    made = []

    def make(kind="LabCamera", **options):
        options = {"timeout_s": 2.0, "queue_frames": 1000} | options
        warned = []
        camera = create(
            "microscope.camera", {"device": f"labscopes:{kind}"} | options,
            DeviceContext(warn=warned.append),
        )  # fmt: skip
        camera.warned = warned
        made.append(camera)
        return camera

    yield make
    for camera in made:
        camera.close()


@pytest.fixture
def opened(make):
    def opened(kind="LabCamera", **options):
        camera = make(kind, **options)
        camera.open()
        return camera

    return opened


def until(condition):
    clock = DeviceContext().clock
    deadline_ns = clock.monotonic_ns() + WAIT_NS
    while not (found := condition()):
        assert clock.monotonic_ns() < deadline_ns
        clock.sleep_s(0.001)
    return found


def frame(camera):
    out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)
    return until(lambda: camera.fetch_into(out)), out


def hurry(camera, timeout_s):
    """Give a camera less time than a busy computer may need to open it."""
    camera._timeout_s = camera._running._timeout_s = timeout_s


def error_of(camera):
    """Fetch until something is raised, and return that."""
    out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)

    def raised():
        try:
            camera.fetch_into(out)
        except DeviceError as error:
            return error
        return None

    return until(raised)


def test_the_first_frame_tells_shape_and_depth_and_is_not_counted(opened):
    camera = opened()
    assert camera.frame_format == FrameFormat(8, 6, 8)
    camera.start()
    info, out = frame(camera)
    assert info.frame_number == 0
    assert (out == 2).all()


def test_pixels_in_any_order_of_bytes_and_rows_are_copied_as_they_are_meant(opened):
    camera = opened("SwappedCamera")
    camera.start()
    _, out = frame(camera)
    assert out.dtype == np.dtype("=u2")
    assert out.flags.c_contiguous
    assert (out == np.arange(48).reshape(6, 8)[::-1]).all()


def test_frames_are_turned_and_flipped_as_asked_and_declared_so(opened):
    camera = opened("RotatedCamera", transform=[True, False, True])
    assert camera.frame_format.shape == (8, 2)


def test_what_is_no_grey_of_8_or_16_bits_is_refused_with_what_it_is(make):
    with pytest.raises(OptionError, match=r"an array \(6, 8\) of float64.*properties"):
        make("FloatCamera").open()


def test_frames_that_find_no_room_are_a_gap_of_their_number(opened):
    camera = opened(queue_frames=3)
    camera.start()
    until(lambda: camera._device.sent > 20)  # the first was the one that told shape and depth
    camera._running.inbox.end()  # so that no more come
    numbers = [frame(camera)[0].frame_number for _ in range(3)]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert numbers[0] >= 15


def test_an_error_in_the_librarys_thread_is_raised_after_the_frames_before_it_until_start(opened):
    camera = opened()
    camera._device.next = [np.zeros((6, 8), np.uint8), RuntimeError("cable loose")]
    camera.start()
    assert frame(camera)[0].frame_number == 0
    assert "cable loose" in str(error_of(camera))
    assert "cable loose" in str(error_of(camera))
    camera.start()
    assert frame(camera)[0].frame_number == 0


def test_an_error_that_ends_the_thread_which_delivers_is_not_silence(opened):
    camera = opened()
    camera._device.next = [RuntimeError("30 °C")]  # the library can not pass that on
    camera.start()
    assert "has ended by itself (RuntimeError: 30 °C; UnicodeEncodeError" in str(error_of(camera))
    camera.start()
    assert frame(camera)[0].frame_number == 0


def test_a_thread_that_ends_without_a_word_is_told_and_begins_again_at_start(opened):
    camera = opened()
    camera._device.next = [SystemExit()]
    camera.start()
    assert "has ended by itself (SystemExit)" in str(error_of(camera))
    camera.start()
    assert frame(camera)[0].frame_number == 0


def test_a_thread_that_somebody_else_ends_is_told_too(opened):
    camera = opened(timeout_s=30.0)
    camera.start()
    camera._device._fetch_thread_run = False
    assert "has ended by itself (without a word)" in str(error_of(camera))


def test_an_error_in_what_the_library_does_with_frames_is_told_though_it_only_logs_it(opened):
    camera = opened("ProcessingFails", timeout_s=30.0)
    camera.start()
    assert "no memory for the transform" in str(error_of(camera))


def test_a_camera_that_gives_no_frame_is_a_time_out(opened):
    camera = opened()
    camera.start()
    frame(camera)
    hurry(camera, 0.05)
    camera._device._do_trigger = lambda: None
    error = error_of(camera)
    assert isinstance(error, DeviceTimeoutError)
    assert "0.051 s" in str(error)


def test_a_trigger_that_fails_is_raised(opened):
    camera = opened()

    def fail():
        raise ConnectionResetError("unplugged")

    camera.start()
    camera._device._do_trigger = fail
    assert isinstance(error_of(camera), DisconnectedError)


def test_a_frame_of_another_shape_is_a_protocol_error(opened):
    camera = opened()
    camera._device.next = [np.zeros((6, 9), np.uint8)]
    camera.start()
    error = error_of(camera)
    assert isinstance(error, ProtocolError)
    assert "(6, 9)" in str(error)


def test_a_thread_that_is_stopped_before_it_began_ends_all_the_same(opened):
    camera = opened("SlowThread")
    for _ in range(3):
        camera.start()
        camera.stop()
    camera.start()
    assert frame(camera)[0].frame_number == 0


def test_a_call_that_hangs_holds_up_neither_stop_nor_close_and_is_told_at_start(opened):
    camera = opened("Hangs")
    camera.start()
    frame(camera)
    hurry(camera, 0.1)
    device = camera._device
    device.hangs.set()
    assert device.has_hung.wait(10)
    clock = camera.context.clock
    began_ns = clock.monotonic_ns()
    camera.stop()
    with pytest.raises(DeviceTimeoutError, match="has not stopped within"):
        camera.start()
    camera.close()
    assert clock.monotonic_ns() - began_ns < 5 * 10**9
    assert any("has not shut down" in text for text in camera.warned)
    device.goes_on.set()
    until(lambda: device.shutdowns)


def test_after_close_the_device_was_shut_down_once_and_no_thread_is_left(opened):
    before = set(threading.enumerate())
    camera = opened()
    device = camera._device
    camera.start()
    frame(camera)
    camera.close()
    until(lambda: set(threading.enumerate()) <= before)
    device.__del__()  # as when it is deleted
    assert device.shutdowns == 1


def test_each_open_makes_the_device_anew(opened):
    camera = opened()
    first = camera._device
    camera.close()
    camera.open()
    assert camera._device is not first


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"port": "COM9"}, DisconnectedError, "nothing at COM9"),
        ({"port": "early"}, DisconnectedError, "no licence"),
        ({}, OptionError, "missing 1 required positional argument: 'port'"),
    ],
)
def test_a_constructor_that_fails_is_told_by_kind_and_what_it_had_is_let_go(
    make, options, kind, words
):
    with pytest.raises(kind, match=words):
        make("NeedsPort", options=options).open()
    assert labscopes.NeedsPort.closed
    gc.collect()  # an error in a destructor would fail this test


@pytest.mark.parametrize(
    ("answer", "words"), [(False, "not enabled, and not why"), ("raise", "the shutter is stuck")]
)
def test_a_camera_that_can_not_be_enabled_says_why_if_it_does(make, answer, words):
    with pytest.raises(DeviceError, match=words):
        make("FailsToStart", options={"answer": answer}).open()


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"device": "labscopes"}, OptionError, "package.module:Class"),
        ({"device": "labscopes:Nothing"}, OptionError, "has no class 'Nothing'"),
        ({"device": "nowhere.at_all:Camera"}, OptionError, "there is no module 'nowhere'"),
        ({"device": "microscope.cameras.picamera:PiCamera"}, MissingExtraError, "needs"),
        ({"device": "labscopes:LabStage"}, OptionError, "is a LabStage.*microscope.abc.Camera"),
        ({"member": "x"}, OptionError, "is no controller"),
        ({"device": "labscopes:LabController", "member": "x"}, OptionError, "'stage', 'camera'"),
        ({"options": {"colour": 1}}, OptionError, "colour"),
        ({"properties": {"colour": 1}}, OptionError, "no setting 'colour'"),
        ({"properties": {"roi": 1}}, OptionError, "option of its own"),
        ({"roi": [0, 0, 4]}, OptionError, "expected 4 whole numbers"),
        ({"binning": [0, 1]}, OptionError, "1 or more"),
        ({"frame": [8, 6, 12]}, OptionError, "choose 8 or 16"),
        ({"trigger_type": "loud"}, OptionError, "choose one of software, rising-edge"),
        ({"trigger_type": "rising-edge"}, UnsupportedError, "only trigger type"),
        ({"triggers_ahead": 0}, OptionError, "1 or more"),
        ({"queue_frames": 0}, OptionError, "1 or more"),
        ({"timeout_s": 0}, OptionError, "timeout_s"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_what_would(make, options, kind, words):
    with pytest.raises(kind, match=words):
        make(**options).open()


def test_region_and_binning_are_written_and_read_back(make):
    camera = make(roi=[2, 2, 4, 4], binning=[2, 1])
    camera.open()
    assert tuple(camera._device.get_roi()) == (2, 2, 4, 4)
    assert tuple(camera._device.get_binning()) == (2, 1)
    camera.close()
    for take in (lambda self, roi: None, lambda self, roi: setattr(self, "region", roi) or False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(labscopes.LabCamera, "_set_roi", take)
            with pytest.raises(OptionError, match="the camera has ROI"):
                camera.open()


def test_settings_are_described_in_our_terms(opened):
    camera = opened("Settings")
    described = {setting.name: setting for setting in camera.settings}
    assert (described["gain"].lower, described["gain"].upper) == (0, 100)  # it has 0 itself
    assert (described["offset"].lower, described["offset"].upper) == (None, 10.0)
    assert described["fan"].kind is bool
    assert described["mode"].choices == ("slow", "fast (8)", "fast (9)")
    assert camera.get("mode") == "fast (8)"
    assert camera.get("word") == "on"
    assert camera.get("size") == "1, 2"
    assert described["size"].is_read_only
    assert "roi" not in described
    [warning] = camera.warned
    assert "key (" in warning
    assert "broken (" in warning
    assert not {"key", "broken"} & set(described)


def test_words_are_written_as_the_librarys_numbers_and_what_can_only_be_written_as_a_property(
    opened,
):
    camera = opened("Settings", properties={"key": 7, "gain": 3})
    assert camera._device.written == [7]
    assert camera.get("gain") == 3
    assert camera.set("mode", "slow") == "slow"
    assert camera._device.values["mode"] == 0


@pytest.mark.parametrize("name", ["clipped", "ignored", "refused"])
def test_a_value_that_the_device_does_not_take_is_refused_and_put_back(opened, name):
    camera = opened("Settings")
    with pytest.raises(SettingError, match=f"{name}.*90"):
        camera.set(name, 90)
    assert camera.get(name) == 5


def test_a_text_that_is_too_long_is_refused(opened):
    camera = opened("Settings")
    assert camera.set("note", "abcd") == "abcd"
    with pytest.raises(SettingError, match="4 characters"):
        camera.set("note", "abcde")


def test_a_setting_that_changes_the_frames_is_refused_and_can_be_given_as_a_property(opened):
    camera = opened("Settings")
    with pytest.raises(SettingError, match="option properties"):
        camera.set("depth", 16)
    assert camera.get("depth") == 8
    camera.start()
    assert frame(camera)[1].dtype == np.uint8
    assert opened("Settings", properties={"depth": 16}).frame_format.bits == 16


def test_a_setting_with_which_no_frame_comes_is_refused_and_put_back(opened):
    camera = opened("Settings")
    camera._device.next = [RuntimeError("out of range")]
    with pytest.raises(SettingError, match=r"no frame comes with it.*out of range"):
        camera.set("gain", 50)
    assert camera.get("gain") == 0


def test_a_camera_that_takes_frames_goes_on_with_the_next_number_after_a_setting(opened):
    camera = opened("Settings")
    camera.start()
    first = frame(camera)[0].frame_number
    camera.set("gain", 50)
    camera.set("exposure_us", 2000)
    numbers = [frame(camera)[0].frame_number for _ in range(50)]
    assert numbers[0] > first
    assert numbers == sorted(set(numbers))
    assert camera.get("framerate_hz") > 0


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "long"])
def test_an_exposure_that_is_none_is_refused(opened, value):
    camera = opened(exposure_us=3000)
    with pytest.raises(SettingError, match="exposure_us"):
        camera.set("exposure_us", value)
    assert camera.get("exposure_us") == pytest.approx(3000)


def test_a_camera_that_ignores_an_exposure_is_found_out(opened):
    camera = opened()
    camera._device.set_exposure_time = lambda _: None
    with pytest.raises(SettingError, match="kept"):
        camera.set("exposure_us", 9000)


def test_a_camera_that_does_not_tell_its_exposure_has_no_such_setting(opened):
    camera = opened("Mute", exposure_us=2000)
    assert [s.name for s in camera.settings] == ["framerate_hz"]
    assert camera._device.exposure_s == 0.002


def test_a_camera_triggered_by_wire_is_tried_by_software_and_then_waits_without_a_time_out(opened):
    camera = opened("External")
    device = camera._device
    assert camera.frame_format == FrameFormat(8, 6, 8)
    assert device.trigger_type.name == "RISING_EDGE"
    camera.start()
    hurry(camera, 0.02)
    camera.context.clock.sleep_s(0.05)  # more than the time-out of one that we trigger
    assert camera.fetch_into(np.zeros((6, 8), np.uint8)) is None
    device.triggered.put(None)
    assert frame(camera)[0].frame_number == 0


def test_a_camera_that_takes_no_software_trigger_has_to_be_told_its_frames(make):
    with pytest.raises(OptionError, match=r"frame is needed, as \[width, height, bits\]"):
        make("ByWireAlone").open()
    camera = make("ByWireAlone", frame=[8, 6, 8])
    camera.open()
    camera.start()
    camera._device.triggered.put(None)
    assert frame(camera)[0].frame_number == 0


def test_a_trigger_by_software_can_not_last(make):
    with pytest.raises(UnsupportedError, match="has no length"):
        make("External", trigger_type="software", trigger_mode="bulb").open()


def test_as_many_triggers_are_on_their_way_as_allowed(opened):
    camera = opened(triggers_ahead=3)
    camera._device._fetch_data = lambda: None
    camera.start()
    assert camera._device.triggered.qsize() == 3


def test_a_controllers_device_is_reached_by_its_name(opened):
    camera = opened("LabController", member="camera")
    assert camera.identity.model == "LabController camera"
    camera.start()
    frame(camera)
    device, stage = camera._device, camera._root.devices["stage"]
    camera.close()
    assert device.shutdowns == 1
    del stage


def test_a_closed_camera_says_so(make):
    camera = make()
    for use in (camera.start, lambda: camera.settings, lambda: camera.get("gain")):
        with pytest.raises(DisconnectedError, match="not open"):
            use()
