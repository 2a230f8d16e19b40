import gc
import threading

import numpy as np
import pytest
from core_tools import RULES
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from magscope.datatypes import MatrixBuffer
from magscope.runtime import machine
from magscope.runtime.os_memory import session_directory


@pytest.fixture
def locks(runtime):
    return {"rows": runtime.lock()}


@pytest.fixture
def buffer(locks):
    with MatrixBuffer(create=True, locks=locks, name="rows", shape=(5, 2)) as made:
        yield made


def rows(first, count):
    """Return rows that say which they are."""
    numbers = np.arange(first, first + count, dtype=float)
    return np.column_stack((numbers, -numbers))


def has_name(session, name="rows"):
    return (session_directory() / f"mgs-{session}-{name}").exists()


def test_rows_are_offered_to_a_buffer_whose_lock_somebody_has(buffer, locks):
    assert buffer.offer(rows(0, 1), 5.0)
    taken, done = threading.Event(), threading.Event()

    def hold():
        with locks["rows"]:
            taken.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    assert not buffer.offer(rows(1, 1), 0.01)
    done.set()
    holder.join()
    assert buffer.offer(rows(2, 1), 5.0)
    assert buffer.read()[:, 0].tolist() == [0.0, 2.0]


def test_a_new_buffer_is_empty_and_all_nan(buffer):
    assert buffer.name == "rows"
    assert buffer.shape == (5, 2)
    assert buffer.dtype == np.float64
    assert buffer.read().shape == (0, 2)
    assert np.isnan(buffer.peak_unsorted()).all()
    assert np.isnan(buffer.peak_sorted()).all()
    assert (buffer.get_count_index(), buffer.get_read_index(), buffer.get_write_index()) == (
        0, 0, 0,
    )  # fmt: skip


def test_rows_are_read_once_oldest_first(buffer):
    buffer.write(rows(0, 2))
    buffer.write(rows(2, 1))
    assert np.array_equal(buffer.read(), rows(0, 3))
    assert buffer.read().shape == (0, 2)


@pytest.mark.parametrize("offset", range(6))
def test_b4_an_exactly_full_buffer_is_read_whole_wherever_it_starts(buffer, offset):
    buffer.write(rows(0, offset))
    buffer.read()
    buffer.write(rows(offset, 5))
    assert buffer.get_count_index() == 5
    assert buffer.get_read_index() == buffer.get_write_index() == offset % 5
    assert np.array_equal(buffer.read(), rows(offset, 5))
    assert buffer.overwritten == 0
    assert buffer.get_count_index() == 0


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 12])
def test_b4_an_overrun_keeps_the_newest_rows_and_counts_the_others(buffer, step):
    for first in range(0, 12, step):
        buffer.write(rows(first, min(step, 12 - first)))
    assert buffer.get_count_index() == 5
    assert buffer.overwritten == 7
    assert np.array_equal(buffer.read(), rows(7, 5))
    assert buffer.overwritten == 7
    buffer.write(rows(12, 6))
    assert buffer.overwritten == 8


def test_rows_that_were_read_are_copies(buffer):
    buffer.write(rows(0, 5))
    read = buffer.read()
    buffer.write(rows(5, 5))
    assert np.array_equal(read, rows(0, 5))


def test_peaking_shows_the_ring_as_it_lies_or_oldest_first_and_reads_nothing(buffer):
    buffer.write(rows(0, 7))
    assert np.array_equal(buffer.peak_unsorted(), np.vstack((rows(5, 2), rows(2, 3))))
    assert np.array_equal(buffer.peak_sorted(), rows(2, 5))
    assert buffer.get_count_index() == 5
    assert (buffer.get_read_index(), buffer.get_write_index()) == (2, 2)


def test_the_rows_of_a_ring_that_is_not_full_come_last_when_sorted(buffer):
    buffer.write(rows(0, 2))
    assert np.isnan(buffer.peak_sorted()[:3]).all()
    assert np.array_equal(buffer.peak_sorted()[3:], rows(0, 2))


def test_the_newest_rows_are_there_whether_they_were_read_or_not(buffer):
    buffer.write(rows(0, 4))
    buffer.read()
    buffer.write(rows(4, 3))
    assert np.array_equal(buffer.newest(2), rows(5, 2))
    assert np.array_equal(buffer.newest(99), rows(2, 5))
    assert buffer.newest(0).shape == (0, 2)
    assert buffer.get_count_index() == 3


def test_no_rows_may_be_written(buffer):
    buffer.write(np.empty((0, 2)))
    assert buffer.written == 0


@pytest.mark.parametrize("wrong", [np.zeros(2), np.zeros((1, 3)), np.zeros((1, 1, 2)), 1.0])
def test_rows_of_another_shape_are_refused_and_change_nothing(buffer, wrong):
    with pytest.raises(ValueError, match=r"expected \(n, 2\)"):
        buffer.write(wrong)
    assert buffer.written == 0


@pytest.mark.parametrize("shape", [None, (0, 2), (2, 0), (-1, 2), (2.5, 2), ("5", 2)])
def test_a_new_buffer_needs_rows_and_columns(locks, session, shape):
    with pytest.raises(ValueError, match="shape"):
        MatrixBuffer(create=True, locks=locks, name="rows", shape=shape)
    assert not has_name(session)


def test_a_buffer_without_its_lock_names_the_key(locks):
    with pytest.raises(KeyError, match="TracksBuffer"):
        MatrixBuffer(create=False, locks=locks, name="TracksBuffer")


def test_attaching_to_a_buffer_that_nobody_made_fails(locks):
    with pytest.raises(FileNotFoundError):
        MatrixBuffer(create=False, locks=locks, name="rows")


def test_an_attached_buffer_shares_shape_rows_and_what_was_read(buffer, locks):
    with MatrixBuffer(create=False, locks=locks, name="rows") as other:
        assert other.shape == (5, 2)
        other.write(rows(0, 3))
        assert np.array_equal(buffer.read(), rows(0, 3))
        assert other.get_count_index() == 0


def test_who_attached_does_not_unlink(buffer, locks, session):
    with MatrixBuffer(create=False, locks=locks, name="rows"):
        pass
    assert has_name(session)


def test_close_and_unlink_may_be_repeated(buffer, session):
    for _ in range(3):
        buffer.close()
        buffer.unlink()
    assert not has_name(session)


def test_a_dropped_buffer_is_unlinked_also_as_part_of_a_cycle(locks, session):
    buffer = MatrixBuffer(create=True, locks=locks, name="rows", shape=(5, 2))
    buffer.me = buffer
    del buffer
    gc.collect()
    assert not has_name(session)


def test_a_buffer_that_was_unlinked_leaves_the_next_one_of_its_name_alone(locks, session):
    first = MatrixBuffer(create=True, locks=locks, name="rows", shape=(5, 2))
    first.close()
    first.unlink()
    with MatrixBuffer(create=True, locks=locks, name="rows", shape=(3, 1)):
        first.unlink()
        del first
        gc.collect()
        assert has_name(session)


def test_a_forked_process_that_drops_its_copy_of_the_creator_does_not_unlink(start, locks, session):
    copies = [MatrixBuffer(create=True, locks=locks, name="rows", shape=(5, 2))]

    def drop():
        copies.clear()
        gc.collect()

    start(drop).join(10)
    assert has_name(session)


def test_b5_a_writer_that_dies_while_copying_leaves_no_half_written_row_to_read(
    buffer, monkeypatch
):
    buffer.write(rows(0, 5))
    with monkeypatch.context() as death:

        def die(word, number):
            if word == buffer._WRITTEN:
                raise SystemExit
            type(buffer)._put(buffer, word, number)

        death.setattr(buffer, "_put", die)
        with pytest.raises(SystemExit):
            buffer.write(rows(100, 2))
    assert np.array_equal(buffer.newest(5), rows(2, 3))
    assert np.array_equal(buffer.read(), rows(2, 3))
    assert buffer.overwritten == 2
    buffer.write(rows(5, 1))
    assert np.array_equal(buffer.read(), rows(5, 1))


class MatrixBufferAgainstList(RuleBasedStateMachine):
    """B4: the ring of rows behaves as a list of which the newest are kept."""

    CAPACITY = 4

    def __init__(self):
        super().__init__()
        locks = {"model": machine().lock()}
        self.creator = MatrixBuffer(
            create=True, locks=locks, name="model", shape=(self.CAPACITY, 2)
        )
        self.other = MatrixBuffer(create=False, locks=locks, name="model")
        self.written, self.unread, self.overwritten = [], [], 0

    def teardown(self):
        self.other.close()
        self.creator.close()
        self.creator.unlink()

    def side(self, which):
        return self.creator if which else self.other

    @rule(count=st.integers(0, 11), by=st.booleans())
    def write(self, count, by):
        new = rows(len(self.written), count)
        self.side(by).write(new)
        self.written += new.tolist()
        self.unread += new.tolist()
        lost = max(len(self.unread) - self.CAPACITY, 0)
        self.overwritten += lost
        del self.unread[:lost]

    @rule(by=st.booleans())
    def read(self, by):
        assert self.side(by).read().tolist() == self.unread
        self.unread = []

    @rule(count=st.integers(0, 6), by=st.booleans())
    def newest(self, count, by):
        wanted = min(count, self.CAPACITY)
        assert self.side(by).newest(count).tolist() == (self.written[-wanted:] if wanted else [])

    @rule(by=st.booleans())
    def peak(self, by):
        ring = self.side(by).peak_sorted()
        there = min(len(self.written), self.CAPACITY)
        assert np.isnan(ring[: self.CAPACITY - there]).all()
        assert ring[self.CAPACITY - there :].tolist() == self.written[-self.CAPACITY :]
        unsorted = self.side(by).peak_unsorted()
        assert np.array_equal(
            np.roll(ring, len(self.written) % self.CAPACITY, axis=0), unsorted, equal_nan=True
        )

    @invariant()
    def the_counts_are_right(self):
        assert 0 <= self.other.get_count_index() == len(self.unread) <= self.CAPACITY
        assert self.creator.overwritten == self.overwritten
        assert self.other.get_write_index() == len(self.written) % self.CAPACITY
        first = len(self.written) - len(self.unread)
        assert self.creator.get_read_index() == first % self.CAPACITY


TestMatrixBufferAgainstList = MatrixBufferAgainstList.TestCase
TestMatrixBufferAgainstList.settings = RULES
