import multiprocessing
import os
import shutil
import sys
from itertools import pairwise

import genicam_fakes as fakes
import numpy as np
import pytest
from genicam import genapi, gentl

from hal import DeviceContext, MachineClock, registry
from hal.drivers.genicam import GenicamCamera, camera, device
from hal.drivers.genicam.blocks import BlockCount
from hal.drivers.genicam.errors import in_words, kind_of
from hal.drivers.genicam.pixels import FORMATS
from hal.drivers.genicam.producers import EMULATOR_PATH, PATH_VARIABLE
from hal.drivers.timeline import Timeline
from hal.errors import (
    BusyError,
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    DriverError,
    MissingExtraError,
    OptionError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

QUICK = {"AcquisitionFrameRate": 200.0}
RED = {
    "producer": "viky",
    "serial": 0,
    "width_px": 160,
    "height_px": 120,
    "buffers": 8,
    "features": QUICK,
}
PATIENCE_NS = 10 * 10**9
MS = 10**6


def wait_until(condition):
    clock = MachineClock()
    deadline_ns = clock.monotonic_ns() + PATIENCE_NS
    while not (found := condition()):
        assert clock.monotonic_ns() < deadline_ns, "not within 10 s"
        clock.sleep_s(0.0005)
    return found


def blank(camera) -> np.ndarray:
    return np.zeros(camera.frame_format.shape, camera.frame_format.dtype)


def next_frame(camera, out=None):
    out = blank(camera) if out is None else out
    return wait_until(lambda: camera.fetch_into(out))


def names(camera):
    return [setting.name for setting in camera.settings]


# viky, the producer that comes with the library


def test_frames_have_the_size_of_the_options_and_are_not_black():
    with GenicamCamera(**RED) as red:
        assert red.frame_format.shape == (120, 160)
        assert red.frame_format.bits == 8
        red.start()
        out = blank(red)
        assert next_frame(red, out).frame_number == 0
        assert next_frame(red, out).frame_number == 1
        assert out.std() > 0


def test_of_several_components_only_the_intensity_is_sent_and_its_format_is_chosen(monkeypatch):
    def open_as_left_by_another_program(*which):
        opened = device.open_device(*which)
        opened.features.write("ComponentSelector", "Range")
        opened.features.write("ComponentEnable", True)
        return opened

    monkeypatch.setattr(camera, "open_device", open_as_left_by_another_program)
    with GenicamCamera(**RED) as red:
        assert red.get("ComponentSelector") == "Intensity"
        assert red.get("pixel_format") == "Mono8"
        red.start()
        next_frame(red)
        red.stop()
        red._device.features.write("ComponentSelector", "Range")
        assert red.get("ComponentEnable") is False


def test_a_component_that_is_not_grey_can_not_be_selected():
    with GenicamCamera(**RED) as red:
        with pytest.raises(SettingError, match="Coord3D_ABC32f_Planar; grey is needed"):
            red.set("ComponentSelector", "Range")
        assert red.get("ComponentSelector") == "Intensity"


@pytest.mark.parametrize("name", ["VikyTL_DEV_green", "Machine Vision Games Ltd. Viky"])
def test_a_device_is_chosen_by_what_it_is_called(name):
    options = RED | {"serial": None, "device": name}
    if "green" in name:
        with GenicamCamera(**options) as green:
            assert green.identity.serial == "1"
    else:
        with pytest.raises(DisconnectedError, match=f"no camera with device = '{name}'"):
            GenicamCamera(**options).open()


@pytest.mark.parametrize("choice", [{"serial": None}, {"serial": None, "device": "Viky"}])
def test_where_several_are_meant_they_are_listed(choice):
    three = r"choose one of(\n  .* serial = '[012]', device = 'VikyTL_DEV_(red|green|blue)'){3}"
    with pytest.raises(OptionError, match=three):
        GenicamCamera(**RED | choice).open()


def test_a_serial_number_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(DisconnectedError, match=r"serial = '7'; there are\n.*serial = '0'"):
        GenicamCamera(**RED | {"serial": 7}).open()


def test_a_relative_producer_is_looked_for_beside_the_rig_file(tmp_path):
    shutil.copy(EMULATOR_PATH, tmp_path / "maker.cti")
    red = GenicamCamera(**RED | {"producer": "maker.cti"})
    red.context = DeviceContext(directory=tmp_path)
    with red:
        assert red.identity.serial == "0"


def test_a_folder_may_stand_for_the_producers_in_it(tmp_path):
    shutil.copy(EMULATOR_PATH, tmp_path / "maker.cti")
    with GenicamCamera(**RED | {"producer": str(tmp_path)}) as red:
        assert red.identity.model == "Viky"


def test_without_the_option_the_folders_of_the_variable_are_searched(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.cti").write_bytes(b"not a library")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "maker.cti").symlink_to(EMULATOR_PATH)
    monkeypatch.setenv(PATH_VARIABLE, os.pathsep.join(str(tmp_path / each) for each in "ab"))
    with GenicamCamera(**RED | {"producer": None}) as red:
        assert red.identity.serial == "0"


@pytest.mark.parametrize(
    ("folders", "words"),
    [(None, "nothing, as it is not set"), (f"/no/a{os.pathsep}/no/b", "/no/a, /no/b")],
)
def test_where_no_producer_is_found_what_was_searched_is_said(monkeypatch, folders, words):
    monkeypatch.delenv(PATH_VARIABLE, raising=False)
    if folders:
        monkeypatch.setenv(PATH_VARIABLE, folders)
    with pytest.raises(OptionError, match=f'{PATH_VARIABLE}: {words}.*producer.*"viky"'):
        GenicamCamera().open()


@pytest.mark.parametrize(
    ("made", "words"), [(None, "no such file"), ("folder", "no .cti file in this folder")]
)
def test_a_producer_that_is_not_there_is_named(tmp_path, made, words):
    if made:
        (tmp_path / "it").mkdir()
    red = GenicamCamera(producer="it")
    red.context = DeviceContext(directory=tmp_path)
    with pytest.raises(OptionError, match=f"producer = 'it': {words}.*{tmp_path}"):
        red.open()
    assert not red.is_open


@pytest.mark.parametrize("source", [None, genapi._genapi.__file__])
def test_a_file_that_is_no_producer_is_a_driver_error_that_names_it(tmp_path, source):
    path = tmp_path / "maker.cti"
    if source:
        shutil.copy(source, path)  # a library, of something else
    else:
        path.write_bytes(b"not a library")
    red = GenicamCamera(producer=str(path))
    for _ in range(2):
        with pytest.raises(DriverError, match=r"maker\.cti can not be loaded; is it a GenTL"):
            red.open()
    assert not red.is_open


@pytest.mark.parametrize("module", ["genicam", "harvesters.core"])
def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    for name in list(sys.modules):
        if name.startswith("hal.drivers.genicam"):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r'pip install "magscope-rig\[genicam\]"'):
        registry.load_driver("genicam")


def test_to_import_the_driver_changes_no_warning_filter():
    code = (
        "import warnings, numpy; before = list(warnings.filters); import hal.drivers.genicam;"
        "assert list(warnings.filters) == before, warnings.filters"
    )
    child = multiprocessing.get_context("spawn").Process(target=exec, args=(code,))
    child.start()
    child.join(10)
    assert child.exitcode == 0


def test_features_are_written_in_their_order_and_read_back():
    both = [
        {"ComponentSelector": "Range", "ComponentEnable": True},
        {"ComponentSelector": "Intensity", "BouncingBallSize": 31, "AcquisitionFrameRate": 100.4},
    ]
    with GenicamCamera(**RED | {"features": both}) as red:
        assert red.get("BouncingBallSize") == 31
        assert red.get("framerate_hz") == pytest.approx(100.4, abs=1)
        assert names(red)[-3:] == ["ComponentSelector", "ComponentEnable", "BouncingBallSize"]
        red.start()
        with pytest.raises(UnsupportedError, match="payloads of GenTL's type 10, not images"):
            next_frame(red)  # in several parts, so both components are sent


def test_data_that_comes_behind_the_image_does_no_harm():
    features = QUICK | {"ChunkModeActive": True, "ChunkEnable": True}
    with GenicamCamera(**RED | {"features": features}) as red:
        red.start()
        assert [next_frame(red).frame_number for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"features": {"Gian": 1}}, SettingError, "features: no setting 'Gian'.*width_px"),
        (
            {"features": {"Width": 99999}},
            SettingError,
            "features: Width = 99999: must lie between 100 and 800",
        ),
        ({"features": {"AspectRatio": 2.0}}, SettingError, "AspectRatio is read-only"),
        ({"features": {"PixelFormat": "Mono9"}}, SettingError, r"choose one of \['RGBa8', "),
        ({"features": {"FancyBallOperation": False}}, SettingError, "executed with true"),
        ({"pixel_format": "RGBa8"}, OptionError, "'RGBa8': choose one of Mono8; it must be grey"),
        ({"pixel_format": "Mono12"}, OptionError, "'Mono12': choose one of Mono8"),
        ({"width_px": 99999}, OptionError, "Width = 99999: must lie between 100 and 800"),
        ({"height_px": 0}, OptionError, "Height = 0: must lie between 100 and 800"),
    ],
)
def test_a_camera_that_can_not_be_opened_says_why_and_stays_closed(options, kind, words):
    red = GenicamCamera(**RED | options)
    with pytest.raises(kind, match=words):
        red.open()
    assert not red.is_open
    with GenicamCamera(**RED):  # nobody has it any more
        pass


@pytest.mark.parametrize(
    ("options", "words"),
    [({"buffers": 1}, "buffers = 1: must be 2"), ({"timeout_s": -1}, "timeout_s = -1 s: must be")],
)
def test_an_option_that_can_not_be_is_refused_at_once(options, words):
    with pytest.raises(OptionError, match=words):
        GenicamCamera(**options)


def test_settings_are_those_that_the_device_has_with_its_limits():
    with GenicamCamera(**RED) as red:
        assert names(red) == ["framerate_hz", "width_px", "height_px", "pixel_format"]
        rate = red.setting("framerate_hz")
        assert (rate.kind, rate.unit, rate.lower, rate.upper) == (float, "Hz", 1.0, 200.0)
        assert red.setting("pixel_format").choices == ("Mono8",)
        assert red.set("framerate_hz", "10.4") == red.get("AcquisitionFrameRate")
        assert red.set("width_px", 200) == 200
        assert red.frame_format.shape == (120, 200)
        red.start()
        next_frame(red)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("framerate_hz", 201, "between 1 and 200"),
        ("framerate_hz", "fast", "expected float"),
        ("width_px", 99999, "between 100 and 800"),
        ("exposure_us", 10, "no setting 'exposure_us'; this device has: framerate_hz"),
        ("ExposureTime", 10, "no setting 'ExposureTime'"),
        ("Root", 10, "no setting 'Root'"),
        ("AspectRatio", 1.0, "read-only"),
    ],
)
def test_a_value_that_the_device_can_not_take_is_a_setting_error(name, value, words):
    with GenicamCamera(**RED) as red, pytest.raises(SettingError, match=words):
        red.set(name, value)


def test_while_frames_are_taken_their_shape_can_not_be_changed():
    with GenicamCamera(**RED) as red:
        red.start()
        with pytest.raises(BusyError, match=r"width_px can not be set.*stop the camera first"):
            red.set("width_px", 200)
        with pytest.raises(BusyError, match="Height"):
            red.set("Height", 200)
        with pytest.raises(SettingError, match="between 100"):
            red.set("width_px", 1)
        assert red.set("framerate_hz", 150) == 150
        next_frame(red)


def test_a_pixel_format_that_can_not_be_read_is_put_back():
    with GenicamCamera(**RED) as red:
        with pytest.raises(SettingError, match="'RGBa8': the device sends RGBa8; grey is needed"):
            red.set("PixelFormat", "RGBa8")
        assert red.get("PixelFormat") == "Mono8"
        red.start()
        next_frame(red)


def test_frames_that_were_not_fetched_in_time_are_a_gap_in_the_numbers():
    with GenicamCamera(**RED) as red, GenicamCamera(**RED | {"serial": 1}) as green:
        red.start()
        wait_until(lambda: next_frame(red) and 150 < red._run.framerate_hz < 250)
        first = next_frame(red).frame_number
        wait_until(lambda: red._stream.n_waiting >= red.queue_frames - 1)
        assert red.ready_in_s() == 0.0
        green.start()
        for _ in range(20):  # as many as red takes meanwhile, and has no room for
            next_frame(green)
        infos = [next_frame(red) for _ in range(12)]
        numbers = [info.frame_number for info in infos]
        assert numbers == sorted(set(numbers))
        assert numbers[0] == first + 1
        assert numbers[-1] - first > 12 + 5
        stamps = [info.timestamp_ns for info in infos]
        assert stamps == sorted(set(stamps))
        assert stamps[5] - stamps[0] > 10 * MS  # though all six were fetched at once


def test_opened_and_started_again_it_begins_anew():
    red = GenicamCamera(**RED)
    for _ in range(3):
        red.open()
        for _ in range(2):
            red.start()
            assert [next_frame(red).frame_number for _ in range(3)] == [0, 1, 2]
        red.stop()
        red.stop()
        red.close()
    red.close()
    for use in (
        lambda: red.frame_format,
        lambda: red.settings,
        red.start,
        lambda: red.get("Width"),
    ):
        with pytest.raises(DisconnectedError, match="open it first"):
            use()


def test_two_cameras_of_one_producer_take_frames_at_once():
    with GenicamCamera(**RED) as red:
        green = GenicamCamera(**RED | {"serial": 1})
        green.open()
        red.start()
        green.start()
        for _ in range(3):
            assert next_frame(red).frame_number == next_frame(green).frame_number
        green.close()
        next_frame(red)
        assert red.identity.serial == "0"


def test_a_device_that_is_in_use_is_busy_and_goes_on():
    with GenicamCamera(**RED) as red:
        red.start()
        second = GenicamCamera(**RED)
        with pytest.raises(BusyError, match=r"serial = '0'.*in use by another program"):
            second.open()
        assert not second.is_open
        next_frame(red)
    with second:
        second.start()
        next_frame(second)


def test_it_works_in_a_process_that_was_spawned():
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=fakes.take_one_frame, args=(there, RED))
    child.start()
    assert here.poll(10)
    number, shape, mean = here.recv()
    assert (number, shape) == (0, (120, 160))
    assert mean > 0
    child.join(10)
    assert child.exitcode == 0


@pytest.mark.parametrize("part", ["device", "stream"])
def test_a_device_that_is_gone_is_disconnected_can_be_closed_and_comes_back(part):
    red = GenicamCamera(**RED)
    red.open()
    red.start()
    next_frame(red)
    gone = red._device.module if part == "device" else red._stream._stream
    gone.close()
    out = np.full(red.frame_format.shape, 171, np.uint8)
    with pytest.raises(DisconnectedError, match=r"fetching a frame: .*open it again"):
        red.fetch_into(out)
    assert (out == 171).all()
    with pytest.raises(DisconnectedError, match=r"stopping|AcquisitionStop"):
        red.stop()
    with pytest.raises(DisconnectedError):
        red.start()
    red.close()
    with red:
        red.start()
        assert next_frame(red).frame_number == 0


def test_a_device_that_is_gone_while_it_takes_frames_can_be_closed():
    red = GenicamCamera(**RED)
    red.open()
    red.start()
    red._device.module.close()
    red._device._producer.system.close()
    red.close()
    assert not red.is_open
    with red:
        red.start()
        next_frame(red)


def test_a_camera_that_is_silent_for_too_long_is_reported_and_may_go_on():
    with GenicamCamera(**RED | {"timeout_s": 0.5}) as red:
        red.start()
        next_frame(red)
        red._device.features.begin("AcquisitionStop")
        out = blank(red)
        with pytest.raises(
            DeviceTimeoutError, match=r"no frame for 0.* the camera answers.*timeout"
        ):
            wait_until(lambda: red.fetch_into(out) and False)
        assert red.fetch_into(out) is None
        red._device.features.begin("AcquisitionStart")
        next_frame(red)


# a camera that GenApi describes, whose buffers the test fills


@pytest.fixture
def fake(monkeypatch, clock):
    """Make an open camera with the features of the fakes, on a clock that stands still."""
    opened = []

    def make(*, wraps_ids=False, ticks_hz=0, **options):
        its = fakes.Device(wraps_ids=wraps_ids, ticks_hz=ticks_hz)
        monkeypatch.setattr(camera, "open_device", lambda *_: its)
        monkeypatch.setattr(camera, "Stream", fakes.Stream)
        made = GenicamCamera(**{"producer": "viky", "width_px": 64, "height_px": 2} | options)
        warned = []
        made.context = DeviceContext(clock=clock, warn=warned.append)
        made.open()
        made.warned = warned
        opened.append(made)
        return made

    yield make
    for each in opened:
        each.close()


def grey(level=7, **told):
    return fakes.Buffer(np.full((2, 64), level, np.uint8), **told)


def fetch_all(its):
    out = blank(its)
    return [its.fetch_into(out).frame_number for _ in range(len(its._stream.full))]


def test_the_usual_settings_are_listed_with_units_and_the_first_grey_format_is_chosen(fake):
    its = fake(features={"Unlimited": 8, "Gain": 2.0})
    told = {s.name: (s.unit, s.lower, s.upper) for s in its.settings}
    assert told == {
        "exposure_us": ("us", 10.0, 1e6),
        "framerate_hz": ("Hz", 1.0, 500.0),
        "gain": ("dB", 0.0, 24.0),
        "width_px": ("px", 64.0, 672.0),
        "height_px": ("px", 2.0, 1024.0),
        "offset_x_px": ("px", 0.0, 1216.0),
        "offset_y_px": ("px", 0.0, 1022.0),
        "pixel_format": ("", None, None),
        "Unlimited": ("", None, None),
    }
    assert its.get("pixel_format") == "Mono8"
    assert its.setting("pixel_format").choices == ("Mono12p", "Mono12", "Mono8")
    assert its.get("gain") == 2.0
    assert its.set("exposure_us", 1234.5) == 1234.5


def test_a_region_lies_in_the_middle_of_the_sensor_on_its_steps(fake):
    its = fake(width_px=640, height_px=512)
    assert (its.get("offset_x_px"), its.get("offset_y_px")) == (320, 256)
    its = fake(width_px=1024, features={"OffsetX": 640})  # which leaves only 640
    assert (its.get("offset_x_px"), its.get("width_px")) == (128, 1024)
    its = fake(width_px=624, height_px=514)
    assert (its.get("offset_x_px"), its.get("offset_y_px")) == (320, 254)


def test_a_value_between_steps_is_refused_with_the_steps(fake):
    its = fake()
    with pytest.raises(SettingError, match=r"Width to 65 .from 64 to 672 in steps of 16"):
        its.set("width_px", 65)
    assert its.get("width_px") == 64


def test_the_frame_rate_is_enabled_when_it_is_set_and_not_when_it_is_refused(fake, monkeypatch):
    its = fake()
    assert its.get("AcquisitionFrameRateEnable") is False
    with pytest.raises(SettingError, match="between 1 and 500"):
        its.set("framerate_hz", 1000)
    assert its.get("AcquisitionFrameRateEnable") is False
    write = its._device.features.write

    def refuse(name, value):
        if name == "AcquisitionFrameRate":
            raise SettingError("not now")
        return write(name, value)

    monkeypatch.setattr(its._device.features, "write", refuse)
    with pytest.raises(SettingError, match="not now"):
        its.set("framerate_hz", 250)
    assert its.get("AcquisitionFrameRateEnable") is False
    monkeypatch.undo()
    assert its.set("framerate_hz", 250) == 250
    assert its.get("AcquisitionFrameRateEnable") is True


def test_a_value_that_is_ignored_in_silence_is_noticed(fake, monkeypatch):
    its = fake()
    deaf = property(lambda node: node.get_value(True), lambda *_: None)
    monkeypatch.setattr(genapi.IFloat, "value", deaf)
    with pytest.raises(SettingError, match=r"ExposureTime = 20\.0: the device ignored it"):
        its.set("exposure_us", 20.0)


def test_a_command_that_does_not_end_is_a_time_out(fake, clock):
    its, began_ns = fake(timeout_s=2.0), clock.now_ns()
    with pytest.raises(DeviceTimeoutError, match="AcquisitionStart is not done after 2 s"):
        its.set("AcquisitionStart", True)
    assert clock.now_ns() - began_ns == pytest.approx(2e9, rel=0.01)
    with pytest.raises(SettingError, match="AcquisitionStart has no value to be read"):
        its.get("AcquisitionStart")


def test_a_command_is_done_when_the_device_says_so(fake, clock, monkeypatch):
    its, asked = fake(), []
    monkeypatch.setattr(genapi.ICommand, "is_done", lambda _: asked.append(1) or len(asked) == 3)
    assert its.set("AcquisitionStart", "true") is True
    assert len(asked) == 3


def test_frame_numbers_follow_the_block_ids_and_lost_blocks_are_gaps(fake):
    its = fake()
    its.start()
    its._stream.full.extend(grey(frame_id=i) for i in (41, 42, 45))
    assert fetch_all(its) == [0, 1, 4]
    assert its.warned == []


def test_ids_of_16_bits_go_on_at_1_with_gige_vision(fake):
    its = fake(wraps_ids=True)
    its.start()
    its._stream.full.extend(grey(frame_id=i) for i in (65533, 65535, 1, 4))
    assert fetch_all(its) == [0, 2, 3, 6]
    assert its.warned == []


def test_ids_that_say_nothing_of_losses_are_told_once(fake):
    its = fake()
    its.start()
    its._stream.full.extend(grey(frame_id=0) for _ in range(4))
    assert fetch_all(its) == [0, 1, 2, 3]
    assert its.warned == ["lost frames can not be counted: block id 0 came after 0"]
    its.start()
    its._stream.full.append(grey())
    assert fetch_all(its) == [0]
    assert its.warned[1:] == ["lost frames can not be counted: the producer tells no block ids"]


def test_a_buffer_that_is_not_whole_is_lost_never_handed_on_and_given_back(fake):
    its = fake()
    its.start()
    whole, cut = grey(3, frame_id=11), grey(9, frame_id=10, is_whole=False, height=1, width=64)
    short = grey(9, frame_id=12, size_filled=127)
    its._stream.full.extend([cut, whole, short])
    out = np.full((2, 64), 171, np.uint8)
    assert its.fetch_into(out).frame_number == 1
    assert (out == 3).all()
    out[:] = 171
    assert its.fetch_into(out) is None
    assert (out == 171).all()
    assert its._stream.given_back == [cut, whole, short]
    assert len(its.warned) == 1
    assert its.warned[0].startswith("a frame came incomplete; such frames count as lost")


def test_a_producer_that_does_not_tell_whether_a_buffer_is_whole_is_judged_by_its_bytes(fake):
    its = fake()
    its.start()
    unknown = gentl.NotImplementedException("no")
    for size, number in ((127, None), (128, 1)):
        buffer = grey(frame_id=size, size_filled=size)
        buffer.is_complete = lambda: (_ for _ in ()).throw(unknown)
        its._stream.full.append(buffer)
        info = its.fetch_into(blank(its))
        assert (info and info.frame_number) == number


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        ({"width": 32, "height": 2}, ProtocolError, r"a frame \(2, 32\), not \(2, 64\)"),
        ({"payload_type": 10}, UnsupportedError, "type 10, not images"),
        ({"frame_id": gentl.IoException("cable")}, DisconnectedError, "cable.*open it again"),
        ({"frame_id": gentl.TimeoutException("late")}, DeviceTimeoutError, "late"),
    ],
)
def test_a_frame_that_is_not_as_declared_is_never_handed_on(fake, told, kind, words):
    its = fake()
    its.start()
    its._stream.full.append(grey(**{"frame_id": 1} | told))
    out = np.full((2, 64), 171, np.uint8)
    with pytest.raises(kind, match=words):
        its.fetch_into(out)
    assert (out == 171).all()
    assert len(its._stream.given_back) == 1


@pytest.mark.parametrize(
    ("told", "ticks_hz", "period_ns"),
    [("timestamp_ns", 0, 10_000_000), ("timestamp", 125_000_000, 80_000_000)],
)
def test_frames_are_placed_in_time_by_the_clock_of_the_device(
    fake, clock, told, ticks_hz, period_ns
):
    its = fake(ticks_hz=ticks_hz)
    its.start()
    stamps = []
    for number, late_s in enumerate([0.0, 0.004, 0.001, 0.006]):
        clock.sleep_s(late_s)
        ticks = 1_795_634_727_923_977_259 + number * 10_000_000
        its._stream.full.append(grey(frame_id=number, **{told: ticks}))
        stamps.append(its.fetch_into(blank(its)).timestamp_ns)
        clock.sleep_s(period_ns / 1e9 - late_s)
    assert np.diff(stamps) == pytest.approx([period_ns] * 3, rel=2e-4)  # and not as they arrived
    assert stamps[0] == clock.now_ns() - 4 * period_ns


def test_a_camera_that_waits_for_a_trigger_may_be_silent(fake, clock):
    its = fake(timeout_s=1.0)
    for mode, is_told in (("Off", True), ("On", False)):
        its.set("TriggerMode", mode)
        its.start()
        clock.sleep_s(1.1)
        if is_told:
            with pytest.raises(DeviceTimeoutError, match=r"no frame for 1\.1 s"):
                its.fetch_into(blank(its))
        assert its.fetch_into(blank(its)) is None


def test_a_camera_that_is_silent_as_it_is_gone_is_disconnected(fake, clock, monkeypatch):
    its = fake(timeout_s=1.0)
    its.start()
    clock.sleep_s(1.1)

    def hung_up(*_):
        raise gentl.IoException("no answer")

    monkeypatch.setattr(genapi.IInteger, "get_value", hung_up)
    with pytest.raises(DisconnectedError, match="reading Width: IoException: no answer; see"):
        its.fetch_into(blank(its))


def test_a_slow_camera_is_given_three_of_its_intervals(fake, clock):
    its = fake(timeout_s=1.0)
    its.start()
    for number in range(2):
        its._stream.full.append(grey(frame_id=number))
        its.fetch_into(blank(its))
        clock.sleep_s(1.0)
    clock.sleep_s(2.9)
    assert its.fetch_into(blank(its)) is None
    clock.sleep_s(0.2)
    with pytest.raises(DeviceTimeoutError):
        its.fetch_into(blank(its))


def test_where_the_device_has_no_frame_rate_it_is_measured(fake, clock, monkeypatch):
    its = fake()
    has = its._device.features.has
    monkeypatch.setattr(its._device.features, "has", lambda n: "FrameRate" not in n and has(n))
    assert its.setting("framerate_hz").is_read_only
    assert its.get("framerate_hz") == 0.0
    its.start()
    for number in range(3):
        its._stream.full.append(grey(frame_id=number))
        its.fetch_into(blank(its))
        clock.sleep_s(0.02)
    assert its.get("framerate_hz") == pytest.approx(50)
    its.stop()
    assert its.get("framerate_hz") == pytest.approx(50)


def test_a_start_that_fails_leaves_the_camera_stopped(fake, monkeypatch):
    its = fake()

    def refuse(name):
        raise DisconnectedError(name)

    monkeypatch.setattr(its._device.features, "begin", refuse)
    with pytest.raises(DisconnectedError, match="AcquisitionStart"):
        its.start()
    assert not its._stream.is_started
    assert its.fetch_into(blank(its)) is None


def test_packed_pixels_are_unpacked_into_16_bits(fake):
    its = fake(pixel_format="Mono12p")
    assert its.frame_format.bits == 16
    its.start()
    pixels = np.arange(128, dtype=np.uint16).reshape(2, 64) * 32
    its._stream.full.append(fakes.Buffer(packed("Mono12p", pixels), frame_id=1))
    out = blank(its)
    its.fetch_into(out)
    assert (out == pixels).all()


# pixels, block ids, time, errors


def packed(name, pixels):
    """Pack pixels bit by bit, as the standards draw it."""
    depth, flat = FORMATS[name].depth, [int(p) for p in pixels.ravel()]
    if name.endswith("p"):
        whole = sum(pixel << (depth * k) for k, pixel in enumerate(flat))
        return whole.to_bytes(-(-depth * len(flat) // 8), "little")
    n_low = depth - 8
    data = b""
    for first, second in zip(flat[::2], [*flat[1::2], 0], strict=False):
        low = (first % 2**n_low) | (second % 2**n_low) << 4
        data += bytes([first >> n_low, low, second >> n_low])
    return data


@pytest.mark.parametrize("name", ["Mono10p", "Mono12p", "Mono10Packed", "Mono12Packed"])
@pytest.mark.parametrize("shape", [(4, 8), (3, 5), (1, 1), (2, 3)])
def test_packed_formats_are_unpacked_to_the_last_bit(name, shape):
    form = FORMATS[name]
    pixels = np.random.default_rng(3).integers(0, 2**form.depth, shape, dtype=np.uint16)
    data = np.frombuffer(packed(name, pixels), np.uint8)
    assert form.frame_bytes(shape[1], shape[0]) <= data.size
    out = np.full(shape, 0xABCD, np.uint16)
    form.copy(data, out)
    assert (out == pixels).all()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_padding_of_rows_is_left_out(name):
    form = FORMATS[name]
    pixels = (
        np.random.default_rng(3).integers(0, 2**form.depth, (3, 8)).astype(f"u{form.bits // 8}")
    )
    rows = [packed(name, row) if form.unpack else row.tobytes() for row in pixels]
    data = np.frombuffer(b"".join(row + b"\xff\xff" for row in rows), np.uint8)
    assert form.frame_bytes(8, 3, 2) == data.size
    out = np.zeros_like(pixels)
    form.copy(data, out, padding=2)
    assert (out == pixels).all()


@pytest.mark.parametrize("padding", [0, 2])
def test_the_high_byte_may_come_first(padding):
    pixels = np.array([[1, 256], [513, 1027]], np.uint16)
    rows = [row.astype(">u2").tobytes() + bytes(padding) for row in pixels]
    out = np.zeros_like(pixels)
    data = np.frombuffer(b"".join(rows), np.uint8)
    FORMATS["Mono12"].copy(data, out, padding=padding, is_big_endian=True)
    assert (out == pixels).all()


@pytest.mark.parametrize(
    ("may_wrap", "ids", "numbers"),
    [
        (False, [0, 1, 2], [0, 1, 2]),
        (False, [7, 65535, 65536, 70000], [0, 65528, 65529, 69993]),
        (True, [65534, 65535, 65536], [0, 1, 2]),
        (True, [65530, 3], [0, 8]),
        (True, [65535, 1], [0, 1]),
        (False, [2**40, 2**40 + 5], [0, 5]),
        (True, [10, 9, 10], [0, 1, 2]),  # what came too late is no loss of 65 thousand
        (False, [10, 2, 3], [0, 1, 2]),
    ],
)
def test_block_ids_are_counted_on(may_wrap, ids, numbers):
    count = BlockCount(may_wrap=may_wrap)
    assert [count.number(block_id) for block_id in ids] == numbers
    is_odd = any(b <= a for a, b in pairwise(ids)) and ids[0] < 65530
    assert bool(count.oddity) is is_odd


def test_without_a_clock_of_the_device_frames_fetched_together_lie_apart():
    timeline = Timeline()
    period_ns, stamps = 5 * MS, []
    for burst in range(30):
        arrival_ns = 10**18 + (8 * burst + 7) * period_ns + MS
        for k in range(8):
            before_ns = arrival_ns - 8 * period_ns
            stamp = timeline.place(arrival_ns, None, 1, not_before_ns=before_ns, is_newest=k == 7)
            stamps.append(stamp)
    truth = 10**18 + np.arange(len(stamps)) * period_ns
    assert np.abs(np.array(stamps) - truth)[16:].max() <= 2 * MS
    assert timeline.framerate_hz == pytest.approx(200)


def test_without_a_clock_of_the_device_a_frame_lies_between_two_looks():
    timeline = Timeline()
    for k in range(5):
        timeline.place(10**18 + 10 * k * MS, None, 1, not_before_ns=0)
    looked_ns, came_ns = 10**18 + 500 * MS, 10**18 + 501 * MS
    assert timeline.place(came_ns, None, 1, not_before_ns=looked_ns) == looked_ns
    early_ns = came_ns + 2 * MS
    assert timeline.place(early_ns, None, 1, not_before_ns=came_ns) == early_ns


def test_a_clock_of_the_device_that_is_set_back_begins_anew():
    timeline = Timeline()
    counts_ms = [1000.0, 1010.0, 5.0, 15.0]
    stamps = [timeline.place(10**18 + k * 10 * MS, c, 1) for k, c in enumerate(counts_ms)]
    assert stamps == [10**18 + k * 10 * MS for k in range(4)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (gentl.TimeoutException, DeviceTimeoutError),
        (gentl.IoException, DisconnectedError),
        (gentl.InvalidHandleException, DisconnectedError),
        (gentl.AccessDeniedException, BusyError),
        (gentl.ResourceInUseException, BusyError),
        (gentl.NotImplementedException, UnsupportedError),
        (gentl.LoadLibraryException, DriverError),
        (gentl.InvalidBufferException, ProtocolError),
        (gentl.ErrorException, DeviceError),
        (genapi.TimeoutException, DeviceTimeoutError),
        (genapi.OutOfRangeException, SettingError),
        (genapi.AccessException, SettingError),
        (genapi.LogicalErrorException, ProtocolError),
        (genapi.RuntimeException, DeviceError),
    ],
)
def test_what_the_libraries_raise_is_sorted_by_its_class(error, kind):
    assert kind_of(error("why")) is kind
    assert in_words(error("why : in a file")) == f"{error.__name__}: why"
    assert in_words(error("")) == error.__name__


def test_a_device_that_does_not_describe_itself_is_let_go_of(monkeypatch):
    class Nothing:
        def __init__(self, **_):
            self.node_map = fakes.node_map("")

    with monkeypatch.context() as patch:
        patch.setattr(device, "RemoteDevice", Nothing)
        with pytest.raises(ProtocolError, match=r"Viky.*does not describe itself as a camera"):
            GenicamCamera(**RED).open()
    with GenicamCamera(**RED):
        pass
