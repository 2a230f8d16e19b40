from collections import deque

import numpy as np
import pytest
from core_tools import RULES
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from magscope.datatypes import BufferOverflow, BufferUnderflow, VideoBuffer, int_to_uint_dtype
from magscope.runtime import machine
from magscope.runtime.os_memory import session_directory


@pytest.fixture
def locks(runtime):
    return {"VideoBuffer": runtime.lock()}


@pytest.fixture
def make(locks):
    made = []

    def build(*, n_stacks=2, n_images=3, width=4, height=2, bits=8):
        made.append(
            VideoBuffer(
                create=True, locks=locks, n_stacks=n_stacks, n_images=n_images,
                width=width, height=height, bits=bits,
            )
        )  # fmt: skip
        return made[-1]

    yield build
    for buffer in made:
        buffer.close()
        buffer.unlink()


def picture(number, height=2, width=4, dtype=np.uint8):
    """Return a frame, row by row, whose every pixel differs from its neighbours'."""
    return (np.arange(height * width).reshape(height, width) + number).astype(dtype)


def fill(buffer, count, first=0):
    width, height = buffer.image_shape
    for number in range(first, first + count):
        image = picture(number, height, width, buffer.dtype)
        buffer.write_image_and_timestamp(image.tobytes(), 100.0 + number)


def has_name(session, name="VideoBuffer"):
    return (session_directory() / f"mgs-{session}-{name}").exists()


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_the_attributes_follow_from_the_geometry(make, bits):
    buffer = make(n_stacks=2, n_images=3, width=4, height=2, bits=bits)
    assert buffer.name == "VideoBuffer"
    assert (buffer.n_stacks, buffer.n_images, buffer.n_total_images) == (2, 3, 6)
    assert buffer.stack_shape == (4, 2, 3)
    assert buffer.image_shape == (4, 2)
    assert buffer.dtype == np.dtype(f"uint{bits}")
    assert buffer.itemsize == bits // 8
    assert buffer.image_size == 8 * bits // 8
    assert buffer.stack_size == 3 * buffer.image_size
    assert buffer.buffer_size == 2 * buffer.stack_size


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_b2_an_image_comes_back_as_the_transpose_of_its_rows_with_its_own_time(make, bits):
    buffer = make(bits=bits)
    written = picture(3, dtype=buffer.dtype)
    written[1, 2] = np.iinfo(buffer.dtype).max
    buffer.write_image_and_timestamp(written.tobytes(), 12.25)
    image, t = buffer.read_image()
    assert image.shape == (4, 2)
    assert image.dtype == buffer.dtype
    assert np.array_equal(image, written.T)
    assert t == 12.25


def test_b2_an_image_that_was_read_is_a_copy(make):
    buffer = make(n_stacks=1, n_images=1)
    fill(buffer, 1)
    image, _ = buffer.read_image()
    fill(buffer, 1, first=50)
    assert np.array_equal(image, picture(0).T)


@pytest.mark.parametrize("bits", [0, 1, 12, 24, 128, -8, None, "8"])
def test_a_pixel_has_8_16_32_or_64_bits(bits):
    with pytest.raises(ValueError, match="expected 8, 16, 32 or 64"):
        int_to_uint_dtype(bits)


@pytest.mark.parametrize("field", ["n_stacks", "width", "height", "n_images", "bits"])
@pytest.mark.parametrize("wrong", [None, 0, -1, 2.5, "4"])
def test_a_new_buffer_needs_every_size_as_a_whole_number_above_0(locks, session, field, wrong):
    sizes = {"n_stacks": 2, "width": 4, "height": 2, "n_images": 3, "bits": 8, field: wrong}
    with pytest.raises(ValueError, match=field):
        VideoBuffer(create=True, locks=locks, **sizes)
    assert not has_name(session)


def test_a_new_buffer_of_a_wrong_pixel_leaves_no_segment(locks, session):
    with pytest.raises(ValueError, match="12"):
        VideoBuffer(create=True, locks=locks, n_stacks=2, width=4, height=2, n_images=3, bits=12)
    assert not has_name(session)


def test_a_buffer_without_its_lock_names_the_key(runtime):
    with pytest.raises(KeyError, match="VideoBuffer"):
        VideoBuffer(create=False, locks={"TracksBuffer": runtime.lock()})


def test_attaching_to_a_buffer_that_nobody_made_fails(locks):
    with pytest.raises(FileNotFoundError):
        VideoBuffer(create=False, locks=locks)


def test_there_is_one_video_buffer_a_session(make):
    make()
    with pytest.raises(FileExistsError):
        make()


def test_an_attached_buffer_has_the_creators_geometry_and_frames(make, locks):
    creator = make(bits=16)
    fill(creator, 3)
    with VideoBuffer(create=False, locks=locks) as other:
        for name in ("n_stacks", "n_images", "n_total_images", "stack_shape", "image_shape",
                     "dtype", "itemsize", "image_size", "stack_size", "buffer_size"):  # fmt: skip
            assert getattr(other, name) == getattr(creator, name)
        stack, times = other.peak_stack()
        assert np.array_equal(stack[:, :, 2], picture(2, dtype=np.uint16).T)
        assert times.tolist() == [100.0, 101.0, 102.0]
        del stack, times


def test_who_attached_does_not_unlink(make, locks, session):
    creator = make()
    other = VideoBuffer(create=False, locks=locks)
    other.close()
    other.unlink()
    assert has_name(session)
    creator.unlink()
    assert not has_name(session)


def test_close_and_unlink_may_be_repeated(make, session):
    buffer = make()
    for _ in range(3):
        buffer.close()
        buffer.unlink()
    assert not has_name(session)


def test_leaving_the_with_block_unlinks(make, session):
    with make() as buffer:
        assert buffer.get_level() == 0
        assert has_name(session)
    assert not has_name(session)


def test_a_dropped_buffer_is_unlinked(locks, session):
    buffer = VideoBuffer(
        create=True, locks=locks, n_stacks=2, width=4, height=2, n_images=3, bits=8
    )
    assert has_name(session)
    del buffer
    assert not has_name(session)


def test_a_stack_that_is_still_looked_at_outlives_its_buffer(locks, session):
    buffer = VideoBuffer(
        create=True, locks=locks, n_stacks=2, width=4, height=2, n_images=3, bits=8
    )
    fill(buffer, 3)
    stack, _ = buffer.peak_stack()
    buffer.close()
    del buffer
    assert not has_name(session)
    assert np.array_equal(stack[:, :, 1], picture(1).T)


def test_b4_the_level_goes_from_0_to_1(make):
    buffer = make()
    levels = [buffer.get_level()]
    for number in range(6):
        fill(buffer, 1, first=number)
        levels.append(buffer.get_level())
    assert levels == pytest.approx([n / 6 for n in range(7)])


def test_b4_a_full_buffer_refuses_the_next_frame_and_keeps_the_others(make):
    buffer = make()
    fill(buffer, 6)
    assert not buffer.has_room
    with pytest.raises(BufferOverflow, match="6 frames"):
        fill(buffer, 1, first=9)
    with pytest.raises(BufferOverflow):
        buffer.write_timestamp(1.0)
    with pytest.raises(BufferOverflow):
        buffer.next_image()
    assert buffer.get_level() == 1.0
    assert [buffer.read_image()[1] for _ in range(6)] == [100.0 + n for n in range(6)]


def test_a_frame_of_the_wrong_size_is_refused_and_not_counted(make):
    buffer = make()
    with pytest.raises(ValueError, match="7 bytes: expected 8"):
        buffer.write_image_and_timestamp(bytes(7), 1.0)
    assert buffer.written == 0


def test_an_empty_buffer_has_nothing_to_read(make):
    buffer = make()
    for read in (buffer.read_image, buffer.peak_stack, buffer.peak_stack_info,
                 buffer.read_stack_no_return):  # fmt: skip
        with pytest.raises(BufferUnderflow):
            read()
    assert not buffer.check_read_stack()


def test_a_stack_can_be_read_when_its_last_frame_is_there(make):
    buffer = make()
    fill(buffer, 2)
    assert not buffer.check_read_stack()
    with pytest.raises(BufferUnderflow, match="fewer than 3"):
        buffer.peak_stack()
    fill(buffer, 1, first=2)
    assert buffer.check_read_stack()
    assert buffer.peak_stack()[0].shape == (4, 2, 3)


def test_b3_peaking_shows_the_oldest_stack_until_it_is_released(make):
    buffer = make()
    fill(buffer, 6)
    for _ in range(2):
        assert buffer.peak_stack()[1].tolist() == [100.0, 101.0, 102.0]
    buffer.read_stack_no_return()
    assert buffer.peak_stack()[1].tolist() == [103.0, 104.0, 105.0]
    assert buffer.get_level() == 0.5


def test_b3_a_stack_that_wraps_round_the_rings_end_is_in_order(make):
    buffer = make()
    fill(buffer, 6)
    for _ in range(4):
        buffer.read_image()
    fill(buffer, 4, first=6)
    stack, times = buffer.peak_stack()
    assert times.tolist() == [104.0, 105.0, 106.0]
    for index, number in enumerate((4, 5, 6)):
        assert np.array_equal(stack[:, :, index], picture(number).T)


def test_the_newest_image_is_at_its_place_as_the_bytes_that_were_written(make):
    buffer = make()
    fill(buffer, 4)
    index, pixels = buffer.peak_image()
    assert index == 3
    assert isinstance(pixels, memoryview)
    assert bytes(pixels) == picture(3).tobytes()
    assert buffer.written == 4


def test_a_frame_written_in_place_counts_with_its_timestamp(make):
    buffer = make()
    buffer.next_image()[:] = picture(5)
    assert buffer.get_level() == 0
    t = 1_700_000_000.123456789
    buffer.write_timestamp(t)
    image, read = buffer.read_image()
    assert read == t
    assert np.array_equal(image, picture(5).T)


def test_b2_a_frame_is_counted_only_with_the_very_timestamp_it_was_given(make, monkeypatch):
    buffer = make(n_stacks=1, n_images=1)
    t = next(t for t in np.arange(1.7e9, 1.7e9 + 9, 0.1234567) if round(t * 1e9) / 1e9 != t)
    seen = []
    put = buffer._put

    def spy(word, number):
        put(word, number)
        seen.append(buffer.peak_stack()[1][0])

    monkeypatch.setattr(buffer, "_put", spy)
    buffer.write_timestamp(float(t))
    assert seen == [t]


def test_b1_a_committed_frame_keeps_its_ns_and_the_devices_number(make):
    buffer = make()
    for number in (7, 9, None):
        buffer.next_image()
        buffer.commit(1_700_000_000_000_000_001 + (number or 0), number)
    times_ns, numbers = buffer.peak_stack_info()
    assert times_ns.tolist() == [1_700_000_000_000_000_000 + n for n in (8, 10, 1)]
    assert numbers.tolist() == [7, 9, 2]


def test_more_frames_than_wait_can_not_be_released(make):
    buffer = make()
    fill(buffer, 2)
    with pytest.raises(BufferUnderflow, match="fewer than 3"):
        buffer.release_images(3)
    assert (buffer.written, buffer.released) == (2, 0)


class VideoBufferAgainstDeque(RuleBasedStateMachine):
    """B1 to B4: the ring of frames behaves as a bounded queue of them."""

    def __init__(self):
        super().__init__()
        self.buffer = VideoBuffer(
            create=True, locks={"VideoBuffer": machine().lock()},
            n_stacks=3, n_images=2, width=3, height=2, bits=16,
        )  # fmt: skip
        self.model = deque()
        self.count = 0

    def teardown(self):
        self.buffer.close()
        self.buffer.unlink()

    @rule(in_place=st.booleans())
    def write(self, in_place):
        image, t = picture(self.count, 2, 3, np.uint16), self.count / 7
        if len(self.model) == 6:
            with pytest.raises(BufferOverflow):
                self.buffer.write_image_and_timestamp(image.tobytes(), t)
            return
        if in_place:
            self.buffer.next_image()[:] = image
            self.buffer.write_timestamp(t)
        else:
            self.buffer.write_image_and_timestamp(image.tobytes(), t)
        self.model.append((image.T.tolist(), t))
        self.count += 1

    @rule()
    def read_image(self):
        if not self.model:
            with pytest.raises(BufferUnderflow):
                self.buffer.read_image()
            return
        image, t = self.buffer.read_image()
        assert (image.tolist(), t) == self.model.popleft()

    @rule()
    def read_stack(self):
        if len(self.model) < 2:
            with pytest.raises(BufferUnderflow):
                self.buffer.read_stack_no_return()
            return
        stack, times = self.buffer.peak_stack()
        for index in range(2):
            assert (stack[:, :, index].tolist(), times[index]) == self.model.popleft()
        del stack
        self.buffer.read_stack_no_return()

    @precondition(lambda self: self.count)
    @rule()
    def peak_image(self):
        index, pixels = self.buffer.peak_image()
        assert index == (self.count - 1) % 6
        assert bytes(pixels) == picture(self.count - 1, 2, 3, np.uint16).tobytes()

    @invariant()
    def the_level_is_right(self):
        assert self.buffer.get_level() == len(self.model) / 6
        assert self.buffer.check_read_stack() == (len(self.model) >= 2)
        assert self.buffer.has_room == (len(self.model) < 6)


TestVideoBufferAgainstDeque = VideoBufferAgainstDeque.TestCase
TestVideoBufferAgainstDeque.settings = RULES
