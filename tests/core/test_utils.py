import time
from enum import IntEnum, StrEnum

import numpy as np
import pytest

from magscope.utils import (
    AcquisitionMode,
    Message,
    PoolVideoFlag,
    Units,
    crop_stack_to_rois,
    date_timestamp_str,
    registerwithscript,
    rois_by_bead,
)


class Receiver:
    def obey(self):
        pass


def test_a_message_names_its_receiver_and_method_as_text():
    for message in (Message(Receiver, Receiver.obey), Message("Receiver", "obey")):
        assert (message.to, message.meth) == ("Receiver", "obey")
        assert (message.args, message.kwargs) == ((), {})


def test_a_messages_arguments_are_kept():
    message = Message("A", "b", 1, "two", three=3)
    assert (message.args, message.kwargs) == ((1, "two"), {"three": 3})


def test_a_keyword_args_is_appended_to_the_positional_arguments():
    message = Message("A", "b", 1, args=(2, 3), four=4)
    assert (message.args, message.kwargs) == ((1, 2, 3), {"four": 4})
    assert Message("A", "b", args=[5]).args == (5,)


def test_messages_of_the_same_content_are_equal():
    assert Message("A", "b", 1, c=2) == Message("A", "b", args=(1,), c=2)
    assert Message("A", "b") != Message("A", "c")
    assert Message("A", "b") != "A.b()"


def test_a_message_reads_as_a_call():
    assert repr(Message("A", "b", 1, c="x")) == "A.b(1, c='x')"


def test_the_modes_are_text_and_say_what_they_do():
    assert issubclass(AcquisitionMode, StrEnum)
    names = "TRACK TRACK_AND_CROP_VIDEO TRACK_AND_FULL_VIDEO CROP_VIDEO FULL_VIDEO ZLUT"
    assert [mode.name for mode in AcquisitionMode] == names.split()
    does = {m.name: (m.tracks, m.saves_crops, m.saves_frames) for m in AcquisitionMode}
    assert does == {
        "TRACK": (True, False, False),
        "TRACK_AND_CROP_VIDEO": (True, True, False),
        "TRACK_AND_FULL_VIDEO": (True, False, True),
        "CROP_VIDEO": (False, True, False),
        "FULL_VIDEO": (False, False, True),
        "ZLUT": (True, False, False),
    }


def test_the_pools_flag_has_the_contracts_numbers():
    assert issubclass(PoolVideoFlag, IntEnum)
    assert {f.name: f.value for f in PoolVideoFlag} == {"READY": 0, "RUNNING": 1, "FINISHED": 2}


def test_units_are_factors_to_si():
    assert pytest.approx(5e-9) == 5 * Units.nm
    assert Units.um / Units.nm == pytest.approx(1000)
    assert Units.pN == 1e-12


def test_a_registered_method_stays_what_it_was():
    @registerwithscript("name")
    def method(a):
        return a + 1

    assert method(1) == 2


@pytest.fixture
def stack():
    """Return a stack (width 12, height 8, 3 images) as the video buffer gives it."""
    return np.arange(3 * 8 * 12, dtype=np.uint16).reshape(3, 8, 12).T


def test_regions_are_cut_out_with_x_first(stack):
    crops = crop_stack_to_rois(stack, [(0, 4, 0, 4), (8, 12, 4, 8), (3, 7, 1, 5)])
    assert crops.shape == (4, 4, 3, 3)
    assert crops.dtype == stack.dtype
    assert np.array_equal(crops[..., 0], stack[0:4, 0:4])
    assert np.array_equal(crops[..., 1], stack[8:12, 4:8])
    assert np.array_equal(crops[..., 2], stack[3:7, 1:5])


def test_b2_the_regions_are_copies(stack):
    crops = crop_stack_to_rois(stack, [(0, 4, 0, 4)])
    before = crops.copy()
    stack[:] = 0
    assert np.array_equal(crops, before)


def test_no_regions_give_no_crops(stack):
    assert crop_stack_to_rois(stack, []).shape == (0, 0, 3, 0)
    assert crop_stack_to_rois(stack, np.empty((0, 4), int)).dtype == stack.dtype


@pytest.mark.parametrize("roi", [(0, 5, 0, 4), (0, 4, 0, 5), (0, 3, 0, 3)])
def test_regions_of_different_sizes_are_refused(stack, roi):
    with pytest.raises(ValueError, match=r"ROI 1 is .* all must be of one size"):
        crop_stack_to_rois(stack, [(0, 4, 0, 4), roi])


@pytest.mark.parametrize("roi", [(-1, 3, 0, 4), (9, 13, 0, 4), (0, 4, -1, 3), (0, 4, 5, 9)])
def test_a_region_that_reaches_outside_is_refused(stack, roi):
    with pytest.raises(ValueError, match="reaches outside the image of 12 by 8 px"):
        crop_stack_to_rois(stack, [roi])


@pytest.mark.parametrize(
    "rois",
    [
        {0: (1, 5, 2, 6), 7: [3, 7, 0, 4]},
        {"0": (1.0, 5, 2, 6), np.int64(7): np.array([3, 7, 0, 4])},
    ],
)
def test_regions_by_bead_are_whole_numbers_by_whole_numbers(rois):
    checked = rois_by_bead(rois)
    assert checked == {0: (1, 5, 2, 6), 7: (3, 7, 0, 4)}
    assert all(type(n) is int for bead, roi in checked.items() for n in (bead, *roi))


def test_the_beads_of_a_list_are_numbered_by_their_places():
    assert rois_by_bead([(0, 4, 0, 4), (4, 8, 4, 8)]) == {0: (0, 4, 0, 4), 1: (4, 8, 4, 8)}
    assert rois_by_bead([]) == {}


@pytest.mark.parametrize(
    "roi",
    [
        (4, 0, 0, 4), (0, 4, 4, 0), (0, 0, 0, 4), (-1, 3, 0, 4), (0, 4, -1, 3), (0, 4, 0), 5, None,
        (0, 4, 0, 4, 5), ("a", 4, 0, 4), (0.5, 4.5, 0, 4), (float("nan"), 4, 0, 4),
        (0, float("inf"), 0, 4), "0404",
    ],
)  # fmt: skip
def test_a_region_that_is_none_is_refused_with_the_bead_and_what_was_expected(roi):
    with pytest.raises(ValueError, match=r"ROI of bead 3 .*: expected \(x0, x1, y0, y1\)"):
        rois_by_bead({3: roi})


def test_regions_by_bead_are_of_one_size():
    with pytest.raises(ValueError, match=r"different sizes \[\(4, 4\), \(5, 4\)\] px"):
        rois_by_bead([(0, 4, 0, 4), (0, 5, 0, 4)])


@pytest.fixture
def zone(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (1_779_010_215.25, "2026-05-17 09-30-15.250"),
        (1_779_010_215.0009, "2026-05-17 09-30-15.000"),
        (1_779_010_215.9999, "2026-05-17 09-30-15.999"),
        (0, "1970-01-01 00-00-00.000"),
    ],
)
def test_a_time_becomes_a_part_of_a_file_name(zone, timestamp, text):
    assert date_timestamp_str(timestamp) == text
