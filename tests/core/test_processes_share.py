"""What the processes of one session share, under each way of starting them."""

import multiprocessing

import numpy as np
import pytest
from core_tools import attach_and_mark, receive, use_everything

from magscope.datatypes import MatrixBuffer, VideoBuffer


@pytest.fixture
def locks(runtime):
    return {"VideoBuffer": runtime.lock(), "TracksBuffer": runtime.lock()}


@pytest.fixture
def buffers(locks):
    with (
        MatrixBuffer(create=True, locks=locks, name="TracksBuffer", shape=(10, 7)) as rows,
        VideoBuffer(
            create=True, locks=locks, n_stacks=2, n_images=1, width=3, height=2, bits=8
        ) as frames,
    ):
        yield rows, frames


def test_a_process_of_the_session_shares_all_that_it_was_given(
    start_method, start, runtime, locks, buffers
):
    rows, frames = buffers
    rows.write(np.arange(14.0).reshape(2, 7))
    frames.write_image_and_timestamp(bytes(range(6)), 1.5)
    value, event, bell = runtime.value("q", 41), runtime.event(), runtime.bell()
    mine, its = runtime.pipe()
    child = start(use_everything, locks, value, event, bell, ends=[its])
    assert receive(mine) == b"from the child"
    child.join(10)
    assert child.exitcode == 0
    assert np.array_equal(rows.read(), np.arange(14.0).reshape(2, 7) + 1)
    image, t = frames.read_image()
    assert (image.T.ravel().tolist(), t) == ([1, 2, 3, 4, 5, 6], 2.5)
    assert value.value == 42
    assert event.is_set()
    assert runtime.wait([bell], timeout_s=0) == {bell}
    mine.close()
    bell.close()


def test_a_process_started_with_plain_multiprocessing_finds_the_creators_segments(
    start_method, locks, buffers
):
    rows, frames = buffers
    child = multiprocessing.Process(target=attach_and_mark, args=(locks,))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert rows.read().tolist() == [[7.0] * 7]
    assert frames.read_image()[1] == 2.5
    child.close()
    with MatrixBuffer(create=False, locks=locks, name="TracksBuffer") as still_there:
        assert still_there.written == 1
