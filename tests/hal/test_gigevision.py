"""What the driver makes of the library; over the real protocol: test_gigevision_peer.py."""

import gige_library
import numpy as np
import pytest
import telegenic
from gige_library import Frame, Node

from hal.drivers.gigevision import GigeVisionCamera
from hal.drivers.gigevision.blocks import BlockCounter
from hal.drivers.gigevision.errors import kind_of
from hal.errors import (
    BusyError,
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    OptionError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)

ADDRESS = "10.0.0.3"
LOST = telegenic.CameraError("device control was lost (heartbeat failed)")
LATE = telegenic.CameraError("timed out waiting for acknowledge")


@pytest.fixture
def library(monkeypatch):
    library = gige_library.Library()
    monkeypatch.setattr(telegenic, "Camera", library)
    return library


@pytest.fixture
def make(library, context):
    made = []

    def make(**options):
        camera = GigeVisionCamera(ADDRESS, **options)
        camera.context = context
        made.append(camera)
        return camera

    yield make
    library.fails = None
    for camera in made:
        camera.close()


@pytest.fixture
def camera(make):
    camera = make()
    camera.open()
    return camera


def fetch_all(camera):
    out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)
    infos = []
    while (info := camera.fetch_into(out)) is not None:
        infos.append((info.frame_number, info.timestamp_ns, out.copy()))
    return infos


def numbers_of(camera, library, frames):
    camera.start()
    library.acquisition.frames = [Frame(f) if isinstance(f, int) else f for f in frames]
    return [number for number, _, _ in fetch_all(camera)]


@pytest.mark.parametrize(
    ("ids", "numbers"),
    [
        ([1, 2, 3], [0, 1, 2]),
        ([65534, 65535, 1, 2], [0, 1, 2, 3]),
        ([65534, 2], [0, 3]),
        ([7, 9, 20], [0, 2, 13]),
        ([9, 9, 8, 10], [0, None, None, 1]),
        ([2, 65535, 3], [0, None, 1]),
        ([65535, 65536, 65538], [0, 1, 3]),
        ([70_000, 170_000], [0, 100_000]),
        ([2**40, 2**40 + 5, 2**40 + 4], [0, 5, None]),
    ],
)
def test_block_ids_of_16_or_64_bits_become_numbers_with_a_gap_for_each_that_is_missing(
    ids, numbers
):
    counter = BlockCounter()
    assert [counter.number(block_id) for block_id in ids] == numbers


def test_70_000_blocks_are_numbered_through():
    counter = BlockCounter()
    ids = [k % 65535 + 1 for k in range(70_000)]
    assert [counter.number(block_id) for block_id in ids] == list(range(70_000))


def test_an_incomplete_frame_is_counted_and_a_gap_and_never_passed_on(camera, library):
    broken = Frame(12, is_complete=False, pixels=b"?" * 48)
    numbers = numbers_of(camera, library, [10, 11, broken, 13])
    assert numbers == [0, 1, 3]
    assert camera.get("incomplete_frames") == 1
    camera.start()
    assert camera.get("incomplete_frames") == 0


def test_a_frame_that_is_called_complete_but_is_too_short_is_not_passed_on(camera, library):
    assert numbers_of(camera, library, [1, Frame(2, received_size=47), 3]) == [0, 2]
    assert camera.get("incomplete_frames") == 1


def test_where_the_first_frame_is_incomplete_the_next_has_number_1(camera, library):
    assert numbers_of(camera, library, [Frame(1, is_complete=False), 2]) == [1]


def test_a_frame_that_comes_behind_a_newer_one_is_not_passed_on(camera, library):
    assert numbers_of(camera, library, [5, 7, 6, 7, 8]) == [0, 2, 3]


def test_pixels_are_copied_in_place_and_what_is_added_behind_them_is_not(camera, library):
    camera.start()
    library.acquisition.frames = [Frame(1, pixels=bytes(range(60)), received_size=60)]
    out = np.zeros((6, 8), np.uint8)
    assert camera.fetch_into(out).frame_number == 0
    assert out.ravel().tolist() == list(range(48))


def test_more_than_8_bits_become_uint16_of_little_endian_pixels(make, library):
    camera = make(features={"PixelFormat": "Mono12"})
    camera.open()
    assert camera.frame_format.dtype == np.uint16
    camera.start()
    pixels = np.arange(48, dtype="<u2") * 85
    library.acquisition.frames = [
        Frame(1, pixel_format="Mono12", pixels=pixels.tobytes(), received_size=96)
    ]
    ((_, _, out),) = fetch_all(camera)
    assert out.ravel().tolist() == pixels.tolist()


@pytest.mark.parametrize("change", [{"width": 4}, {"height": 12}, {"pixel_format": "RGB8"}])
def test_a_frame_of_another_shape_is_an_error_and_touches_nothing(camera, library, change):
    camera.start()
    library.acquisition.frames = [Frame(1, **change)]
    out = np.full((6, 8), 171, np.uint8)
    with pytest.raises(ProtocolError, match="not 8 x 6 px of Mono8 as it declared: reopen it"):
        camera.fetch_into(out)
    assert (out == 171).all()


def test_timestamps_are_the_devices_intervals_on_the_contexts_clock(camera, library, clock):
    camera.start()
    stamps = []
    for k, late_ns in enumerate([3_000_000, 500_000, 7_000_000, 500_000, 900_000]):
        sent_ns = clock.now_ns()
        clock.sleep_s(late_ns / 1e9)
        library.acquisition.frames = [Frame(k + 1, timestamp_ns=5_000 + 10_000_000 * k)]
        stamps += [stamp - sent_ns for _, stamp, _ in fetch_all(camera)]
        clock.sleep_s((10_000_000 - late_ns) / 1e9)
    assert stamps[1:] == pytest.approx([500_000] * 4, abs=5000)


def test_a_camera_that_does_not_tell_its_time_is_stamped_on_arrival(camera, library, clock):
    camera.start()
    for number in (1, 2):
        clock.sleep_s(0.01)
        library.acquisition.frames = [Frame(number, timestamp_ns=0)]
        ((_, stamp, _),) = fetch_all(camera)
        assert stamp == clock.now_ns()


def test_it_asks_to_be_called_at_a_quarter_of_the_interval_also_when_frames_were_lost(
    camera, library
):
    camera.start()
    ids = [1, 3, 5, 6, 9]
    library.acquisition.frames = [Frame(k, timestamp_ns=10**9 + k * 1_000_000) for k in ids]
    fetch_all(camera)
    assert camera.ready_in_s() == pytest.approx(0.00025)


def test_it_asks_to_be_called_at_once_when_a_frame_waits_and_loses_none_by_looking(camera, library):
    camera.start()
    assert 0.0 < camera.ready_in_s() <= 0.002
    library.acquisition.frames = [Frame(1), Frame(2)]
    assert camera.ready_in_s() == camera.ready_in_s() == 0.0
    assert [number for number, _, _ in fetch_all(camera)] == [0, 1]
    camera.stop()
    assert camera.ready_in_s() > 0.0


def test_what_waits_is_forgotten_when_it_is_stopped(camera, library):
    camera.start()
    library.acquisition.frames = [Frame(1)]
    camera.ready_in_s()
    camera.stop()
    assert fetch_all(camera) == []


def test_the_packet_size_is_tried_out_once_in_each_connection(camera, library):
    for _ in range(2):
        camera.start()
    camera.close()
    camera.open()
    camera.start()
    assert library.sizes == [None, 1500, None]


def test_the_packet_size_of_the_options_is_used(make, library):
    camera = make(packet_size=9000)
    camera.open()
    camera.start()
    assert library.sizes == [9000]


def test_a_camera_that_is_gone_is_noticed_within_the_time_out(make, library):
    make(timeout_s=3.0, local_address="10.0.0.1").open()
    how = library.asked_for
    notices_s = how["heartbeat_timeout"] / 3 + how["gvcp_timeout"] * (how["retries"] + 1)
    assert notices_s == pytest.approx(3.0)
    assert how["address"] == ADDRESS
    assert how["local_ip"] == "10.0.0.1"


def test_limits_are_those_of_the_features_and_what_has_none_has_none_here(camera):
    told = {s.name: (s.kind, s.lower, s.upper, s.is_read_only) for s in camera.settings}
    assert told == {
        "exposure_us": (float, 10.0, 1e7, False),
        "framerate_hz": (float, 0.0, None, False),
        "offset_x_px": (int, 0, 24, False),
        "width_px": (int, 4, 2048, True),
        "height_px": (int, 1, 2048, True),
        "pixel_format": (str, None, None, True),
        "incomplete_frames": (int, None, None, True),
    }


def test_a_frame_rate_without_limits_has_those_of_its_period(camera, library):
    library.nodes["AcquisitionFramePeriod"] = Node("integer", 10_000, (1000, 10_000_000))
    assert camera.setting("framerate_hz").lower == pytest.approx(0.1)
    assert camera.setting("framerate_hz").upper == pytest.approx(1000.0)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("exposure_us", 9.0, "between 10 and 1e"),
        ("exposure_us", "long", "expected float"),
        ("framerate_hz", -1, "between 0 and inf"),
        ("offset_x_px", 25, "between 0 and 24"),
        ("width_px", 16, "read-only"),
        ("incomplete_frames", 0, "read-only"),
        ("Width", 16, "no setting 'Width'; this device has: exposure_us"),
    ],
)
def test_a_value_outside_never_reaches_the_device(camera, library, name, value, words):
    before = {name: node.value for name, node in library.nodes.items()}
    with pytest.raises(SettingError, match=words):
        camera.set(name, value)
    assert {name: node.value for name, node in library.nodes.items()} == before


def test_a_value_is_read_from_the_device_and_not_from_what_was_written(camera, library):
    library.nodes["ExposureTime"].clipped = 2000.0
    assert camera.set("exposure_us", 2500.0) == 2000.0
    assert camera.get("exposure_us") == 2000.0


@pytest.mark.parametrize("asked", [2500.0, 1010.0])
def test_a_value_that_is_ignored_in_silence_is_noticed(camera, library, asked):
    library.nodes["ExposureTime"].clipped = 1000.0
    with pytest.raises(SettingError, match=f"exposure_us = {asked}: .* ignored it and has 1000"):
        camera.set("exposure_us", asked)


def test_a_value_is_taken_by_a_device_that_counts_in_whole_numbers(camera, library):
    library.nodes["ExposureTime"].value = library.nodes["ExposureTime"].clipped = 20.0
    assert camera.set("exposure_us", 20.4) == 20.0


def test_while_frames_are_taken_what_the_camera_locks_is_busy(camera, library):
    library.nodes["OffsetX"].access = telegenic.AccessMode.RO
    camera.start()
    with pytest.raises(BusyError, match="stop the camera first"):
        camera.set("offset_x_px", 4)
    camera.stop()
    with pytest.raises(SettingError, match="read-only"):
        camera.set("offset_x_px", 4)


def test_features_of_the_options_are_written_in_their_order(make, library):
    features = {"ReverseX": True, "Width": 16, "DeviceUserID": "right", "ExposureTime": 50}
    make(features=features).open()
    assert {name: library.nodes[name].value for name in features} == features


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"Width": 99_999}, "Width = 99999: must lie between 4 and 2048"),
        ({"Width": 18}, "steps of 4; choose 16 or 20"),
        ({"Wdith": 8}, "no feature 'Wdith'"),
        ({"PixelFormat": "Mono9"}, "choose one of"),
        ({"SensorTemperature": 5.0}, "read-only"),
        ({"AcquisitionStart": 1}, "it is a command"),
        ({"ReverseX": "perhaps"}, "expected bool"),
        ({"OffsetX": 28}, "offset_x_px = 28: with this Width it must not exceed 24"),
    ],
)
def test_a_feature_that_the_camera_does_not_take_leaves_it_closed(make, library, features, words):
    camera = make(features=features)
    with pytest.raises(SettingError, match=words):
        camera.open()
    assert not camera.is_open
    assert not library.connected


def test_colours_are_refused(make):
    with pytest.raises(UnsupportedError, match="sends RGB8; in features, set PixelFormat to one"):
        make(features={"PixelFormat": "RGB8"}).open()


def test_its_identity_is_what_the_camera_says(camera, library):
    assert (camera.identity.vendor, camera.identity.model) == ("Basler", "a2A")
    assert camera.identity.serial == "40"
    assert camera.identity.is_real
    library.info = gige_library.Info("", "", "")
    camera.close()
    camera.open()
    assert (camera.identity.vendor, camera.identity.model) == ("GigE Vision", ADDRESS)


def test_a_lost_link_is_told_once_all_frames_are_fetched_and_until_it_is_opened_again(
    camera, library
):
    camera.start()
    library.acquisition.frames, library.connected = [Frame(1)], False
    out = np.zeros((6, 8), np.uint8)
    assert camera.fetch_into(out).frame_number == 0
    for _ in range(2):
        with pytest.raises(DisconnectedError, match=r"did not answer for 2 s.* open it again"):
            camera.fetch_into(out)
    assert not camera.is_open
    with pytest.raises(DisconnectedError):
        camera.start()
    camera.open()
    assert numbers_of(camera, library, [8, 9]) == [0, 1]


def test_a_camera_that_was_left_running_is_stopped_when_it_is_opened(camera, library):
    assert library.executed == ["AcquisitionStop"]
    camera.close()
    library.refuses = telegenic.CameraError("device answered command 0x0082 with WRONG_CONFIG")
    camera.open()
    camera.close()
    library.refuses = LATE
    with pytest.raises(DeviceTimeoutError):
        camera.open()
    assert not library.connected
    library.refuses = None


def test_closing_a_camera_that_is_gone_raises_nothing(camera, library):
    camera.start()
    library.acquisition.fails, library.connected = LOST, False
    camera.close()
    assert not camera.is_open


def test_stopping_a_camera_that_is_gone_is_told_once(camera, library):
    camera.start()
    library.acquisition.fails = LATE
    with pytest.raises(DeviceTimeoutError, match=f"stopping the camera at {ADDRESS}: timed out"):
        camera.stop()
    camera.stop()


def test_a_camera_that_does_not_answer_is_told_whatever_is_asked(camera, library):
    library.fails = LATE
    for ask in (
        lambda: camera.get("exposure_us"),
        lambda: camera.set("exposure_us", 20.0),
        lambda: camera.settings,
        camera.start,
    ):
        with pytest.raises(DeviceTimeoutError, match=ADDRESS):
            ask()


def test_a_closed_camera_has_neither_format_nor_settings_nor_frames(make):
    camera = make()
    for use in (
        lambda: camera.frame_format,
        lambda: camera.settings,
        lambda: camera.setting("gain"),
        camera.start,
        lambda: camera.fetch_into(np.zeros((6, 8), np.uint8)),
    ):
        with pytest.raises(DisconnectedError, match="is not open: open it before"):
            use()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("connect timed out", DeviceTimeoutError),
        ("timed out waiting for acknowledge", DeviceTimeoutError),
        ("device control is held by another application", BusyError),
        ("device control was lost (heartbeat failed)", DisconnectedError),
        ("driver is not connected", DisconnectedError),
        ("io error: Network is unreachable (os error 101)", DisconnectedError),
        ("malformed packet: short", ProtocolError),
        ("device description: not well-formed", ProtocolError),
        ("device does not support resend", UnsupportedError),
        ("something else", DeviceError),
    ],
)
def test_what_the_library_says_is_sorted_by_its_words(make, library, text, kind):
    assert kind_of(text, DeviceError) is kind
    library.fails = telegenic.CameraError(text)
    with pytest.raises(kind, match="connecting to the camera at"):
        make().open()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"address": "camera"}, "expected an IPv4 address"),
        ({"address": "::1"}, "expected an IPv4 address"),
        ({"address": "255.255.255.255"}, "the address of one camera"),
        ({"address": "239.1.1.1"}, "the address of one camera"),
        ({"address": "0.0.0.0"}, "the address of one camera"),
        ({"local_address": "eth0"}, "local_address = 'eth0'"),
        ({"packet_size": 100}, "expected 576 to 65500"),
        ({"buffers": 0}, "expected 1 to 10000"),
        ({"timeout_s": 0.0}, "expected seconds"),
    ],
)
def test_an_option_that_can_not_be_is_refused_at_once(options, words):
    with pytest.raises(OptionError, match=words):
        GigeVisionCamera(**{"address": ADDRESS} | options)
