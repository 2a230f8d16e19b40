import os
import signal

import pytest
from core_tools import (
    RULES,
    Child,
    echo,
    hang,
    kill,
    mark_the_end,
    parent_of_two,
    receive,
    send,
    send_and_hang,
    stop_in_the_middle_of_a_frame,
    until,
)
from hypothesis import given
from hypothesis import strategies as st

from magscope.runtime import MAX_FRAME_BYTES


@pytest.fixture
def pipe(runtime):
    first, second = runtime.pipe()
    yield first, second
    first.close()
    second.close()


def fill(end):
    """Send until the pipe takes no more; return how many frames of 10 kB it took."""
    count = 0
    while end.send(count.to_bytes(4) + bytes(10_000)):
        count += 1
    return count


def test_frames_arrive_whole_and_in_order_both_ways(pipe):
    first, second = pipe
    for number in range(20):
        first.send(b"to %d" % number)
        second.send(b"fro %d" % number)
    assert [second.receive() for _ in range(20)] == [b"to %d" % n for n in range(20)]
    assert [first.receive() for _ in range(20)] == [b"fro %d" % n for n in range(20)]
    assert first.receive() is None
    assert second.receive() is None


@pytest.mark.parametrize("size", [0, 1, 3, 4, 65_535, 65_536, 1_000_000])
def test_a_frame_of_any_size_arrives_as_it_was_sent(runtime, start, size):
    mine, its = runtime.pipe()
    start(echo, ends=[its])
    frame = os.urandom(size)
    send(mine, frame)
    assert receive(mine) == frame
    mine.close()


@given(frames=st.lists(st.binary(max_size=300), max_size=30))
@RULES
def test_any_frames_arrive_in_order(frames):
    from magscope.runtime import machine

    first, second = machine().pipe()
    for frame in frames:
        send(first, frame)
    assert [receive(second) for _ in frames] == frames
    assert second.receive() is None
    first.close()
    second.close()


def test_a_frame_that_is_too_large_is_refused_and_the_next_one_goes(pipe):
    first, second = pipe
    with pytest.raises(ValueError, match=f"{MAX_FRAME_BYTES + 1} bytes are too many"):
        first.send(bytes(MAX_FRAME_BYTES + 1))
    assert first.send(b"next")
    assert second.receive() == b"next"


def test_r2_sending_into_a_full_pipe_never_blocks_and_asks_to_try_again(pipe):
    first, second = pipe
    taken = fill(first)
    assert taken > 3
    assert not first.flush()
    received = [receive(second) for _ in range(taken - 1)]
    assert [int.from_bytes(frame[:4]) for frame in received] == list(range(taken - 1))
    assert first.flush()
    assert first.send(b"last")
    assert int.from_bytes(receive(second)[:4]) == taken - 1
    assert receive(second) == b"last"


def test_a_full_pipe_is_writable_when_there_is_room_again(runtime, pipe):
    first, second = pipe
    taken = fill(first)
    assert runtime.wait([], [first], timeout_s=0) == set()
    for _ in range(taken - 1):
        second.receive()
    assert runtime.wait([], [first], timeout_s=5) == {first}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_b5_a_frame_that_its_sender_never_ended_is_not_received(runtime, start, how):
    mine, its = runtime.pipe()
    child = start(stop_in_the_middle_of_a_frame, 3, ends=[its])
    assert [receive(mine) for _ in range(3)] == [b"frame %d" % n for n in range(3)]
    runtime.wait([mine], timeout_s=10)
    assert mine.receive() is None  # a part of the next frame has come
    os.kill(child.pid, how)
    if how == signal.SIGSTOP:
        assert mine.receive() is None
        kill(child)
    until(lambda: mine in runtime.wait([mine], timeout_s=5))
    with pytest.raises(EOFError):
        receive(mine)
    mine.close()


def test_what_a_killed_sender_had_sent_arrives_before_the_end(runtime, start):
    mine, its = runtime.pipe()
    mine.send(b"never read")
    has_sent = runtime.event()
    child = start(send_and_hang, 5, has_sent, ends=[its])
    until(has_sent.is_set)
    kill(child)
    assert [receive(mine) for _ in range(5)] == [b"frame %d" % n for n in range(5)]
    with pytest.raises(EOFError):
        receive(mine)
    mine.close()


def test_a_closed_pipe_ends_after_its_last_frame(pipe):
    first, second = pipe
    first.send(b"last")
    first.close()
    assert receive(second) == b"last"
    for _ in range(2):
        with pytest.raises(EOFError):
            receive(second)


def test_sending_to_a_closed_end_fails(pipe):
    first, second = pipe
    second.close()
    with pytest.raises(BrokenPipeError):
        first.send(b"anything")
    with pytest.raises(BrokenPipeError):
        first.send(b"again")


def test_closing_an_end_may_be_repeated_and_ends_it(runtime):
    first, second = runtime.pipe()
    for _ in range(2):
        first.close()
    with pytest.raises(EOFError):
        first.receive()
    second.close()


def test_a_closed_end_does_not_write_into_whatever_has_its_descriptor_now(runtime):
    first, second = runtime.pipe()
    first.close()
    second.close()
    others = [runtime.pipe() for _ in range(4)]
    for closed in (first, second):
        with pytest.raises(BrokenPipeError):
            closed.send(b"stray")
    for one, other in others:
        assert one.receive() is None
        assert other.receive() is None
        one.close()
        other.close()


@pytest.mark.parametrize("victim", [0, 1])
def test_s4_a_pipe_ends_at_once_when_its_owner_is_killed_whoever_was_forked_beside(
    runtime, start, victim
):
    pipes = [runtime.pipe() for _ in range(2)]
    children = [start(echo, ends=[its]) for _, its in pipes]
    ends = [mine for mine, _ in pipes]
    for end in ends:
        send(end, b"up?")
        assert receive(end) == b"up?"
    kill(children[victim])
    assert runtime.wait(ends, timeout_s=0.5) == {ends[victim]}
    with pytest.raises(EOFError):
        receive(ends[victim])
    send(ends[1 - victim], b"still there?")
    assert receive(ends[1 - victim]) == b"still there?"
    for end in ends:
        end.close()


def test_s4_every_child_sees_the_end_of_its_pipe_when_their_parent_is_killed(runtime, start):
    seen, ready = [runtime.event(), runtime.event()], runtime.event()
    parent = start(parent_of_two, seen, ready)
    until(ready.is_set)
    assert not any(event.is_set() for event in seen)
    kill(parent)
    until(lambda: all(event.is_set() for event in seen))


def test_a_child_sees_the_end_of_its_pipe_when_the_parent_closes_it(start_method, runtime, start):
    seen = runtime.event()
    mine, its = runtime.pipe()
    start(mark_the_end, seen, ends=[its])
    mine.close()
    until(seen.is_set)


def test_rings_that_nobody_heard_count_as_one_and_never_block(runtime):
    bell = runtime.bell()
    for _ in range(100_000):
        bell.ring()
    assert runtime.wait([bell], timeout_s=0) == {bell}
    bell.clear()
    assert runtime.wait([bell], timeout_s=0) == set()
    bell.clear()
    bell.ring()
    assert runtime.wait([bell], timeout_s=0) == {bell}
    bell.close()


def test_a_closed_bell_rings_nowhere(runtime):
    bell = runtime.bell()
    bell.close()
    bell.close()
    others = [runtime.bell() for _ in range(3)]
    bell.ring()
    bell.clear()
    assert runtime.wait(others, timeout_s=0) == set()
    for other in others:
        other.close()


def test_waiting_returns_all_that_is_ready(runtime, pipe):
    first, second = pipe
    bells = [runtime.bell() for _ in range(2)]
    bells[1].ring()
    second.send(b"x")
    assert runtime.wait([first, *bells], [second], timeout_s=1) == {first, bells[1], second}
    for bell in bells:
        bell.close()


@pytest.mark.parametrize("timeout_s", [0, -1, 0.02])
def test_waiting_ends_at_its_deadline(runtime, pipe, timeout_s):
    began_ns = runtime.clock.monotonic_ns()
    assert runtime.wait([*pipe], timeout_s=timeout_s) == set()
    took_s = (runtime.clock.monotonic_ns() - began_ns) / 1e9
    assert timeout_s <= took_s < 1


def test_a_frame_that_was_taken_from_the_pipe_already_counts_as_ready(runtime, pipe):
    first, second = pipe
    first.send(b"one")
    first.send(b"two")
    assert second.receive() == b"one"
    assert second.is_ready
    assert runtime.wait([second]) == {second}


def test_the_end_of_a_process_wakes_who_waits_for_it(start_method, runtime, start):
    children = [start(hang) for _ in range(2 if start_method == "fork" else 1)]
    assert runtime.wait(children, timeout_s=0) == set()
    kill(children[0])
    assert runtime.wait(children, timeout_s=5) == {children[0]}


def test_waiting_works_with_descriptors_above_1023(runtime, pipe):
    from magscope.runtime import os_pipe

    first, second = pipe
    first.send(b"x")
    assert os_pipe._poll([second], [], 0.0) == {second}
    assert os_pipe._poll([second], [first], 0.0) == {second, first}
    assert os_pipe._poll([first], [], 0.01) == set()
    second.close()
    assert os_pipe._poll([first], [], 1.0) == {first}


def test_a_process_is_its_own_key(runtime):
    first, second = Child(hang), Child(hang)
    assert {first: 1, second: 2}[second] == 2
