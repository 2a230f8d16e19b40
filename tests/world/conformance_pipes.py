"""What pipes and bells do, whoever's they are."""

from typing import Any

from conformance_tools import (
    Child,
    Lodger,
    begin,
    end_of,
    hang,
    hears_the_end,
    kill,
    raises,
    receive,
    send,
)

from magscope.channel import Channel
from magscope.runtime import MAX_FRAME_BYTES, Endpoint, Runtime, current


def fill(end: Endpoint, size: int = 10_000) -> int:
    """Send until no more is taken; return how many frames were."""
    count = 0
    while end.send(count.to_bytes(4, "big") + bytes(size)):
        count += 1
    return count


def send_and_hang(count: int, end: Endpoint) -> None:
    for number in range(count):
        send(end, b"frame %d" % number)
    hang()


def send_and_leave(count: int, end: Endpoint) -> None:
    for number in range(count):
        send(end, b"frame %d" % number)


def stop_in_the_middle_of_a_frame(end: Endpoint) -> None:
    send(end, b"whole")
    end.send(bytes(8_000_000))
    hang()


def echo(end: Endpoint) -> None:
    while True:
        try:
            send(end, receive(end))
        except (EOFError, BrokenPipeError):
            return


def tell_the_end(seen: Any, end: Endpoint) -> None:
    if hears_the_end(end):
        seen.set()


def parent_of_two(seen: list[Any], ready: Any) -> None:
    kept = []
    for event in seen:
        mine, its = current().pipe()
        begin(tell_the_end, event, ends=[its])
        kept.append(mine)
    ready.ring()
    hang(kept)


def use_what_is_anothers(tell: Any, seen: Any, own: Endpoint) -> None:
    frame = b"of another"
    if raises(EOFError, tell.receive) and raises(BrokenPipeError, lambda: tell.send(frame)):
        seen.set()
    send(own, b"done")


def ring(bell: Any) -> None:
    bell.ring()


def that_frames_arrive_whole_and_in_order_both_ways(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    for number in range(20):
        assert first.send(b"to %d" % number)
        assert second.send(b"fro %d" % number)
    assert [second.receive() for _ in range(20)] == [b"to %d" % n for n in range(20)]
    assert [first.receive() for _ in range(20)] == [b"fro %d" % n for n in range(20)]
    assert first.receive() is second.receive() is None


def that_a_frame_of_any_size_goes_to_a_child_and_back(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(echo, ends=[its])
    for size in (0, 1, 3, 4, 65_535, 65_536, 1_000_000):
        frame = bytes(range(256)) * (size // 256 + 1)
        send(mine, frame[:size])
        assert receive(mine) == frame[:size]
    mine.close()
    assert end_of(child) == 0


def that_a_frame_that_is_too_large_is_refused_and_the_next_one_goes(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    assert raises(ValueError, lambda: first.send(bytes(MAX_FRAME_BYTES + 1)))
    assert first.is_flushed
    assert first.send(b"next")
    assert second.receive() == b"next"


def that_what_was_sent_is_received_before_the_end_of_file_which_stays(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    first.send(b"last words")
    first.close()
    assert second.receive() == b"last words"
    for _ in range(2):
        assert hears_the_end(second)
    assert runtime.wait([second], timeout_s=0) == {second}


def that_sending_to_a_closed_peer_is_a_broken_pipe_every_time(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    second.close()
    assert runtime.wait([], [first], timeout_s=0) == {first}
    for _ in range(2):
        assert raises(BrokenPipeError, lambda: first.send(b"to nobody"))
        assert first.is_flushed


def that_an_end_closed_here_neither_sends_nor_receives(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    second.send(b"unread")
    for _ in range(2):
        first.close()
    assert raises(EOFError, first.receive)
    assert raises(BrokenPipeError, lambda: first.send(b"from a closed end"))
    assert hears_the_end(second)


def that_closing_with_something_unread_is_an_end_of_file_after_what_was_sent(
    runtime: Runtime,
) -> None:
    first, second = runtime.pipe()
    first.send(b"never read")
    second.send(b"sent in time")
    second.close()
    assert first.receive() == b"sent in time"
    assert hears_the_end(first)
    assert raises(BrokenPipeError, lambda: first.send(b"too late"))


def that_sending_into_a_full_pipe_returns_false_and_loses_nothing(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    taken = fill(first)
    assert not first.flush()
    assert not first.is_flushed
    received = [receive(second) for _ in range(taken - 1)]
    assert [int.from_bytes(frame[:4], "big") for frame in received] == list(range(taken - 1))
    assert first.flush()
    assert first.send(b"last")
    assert int.from_bytes(receive(second)[:4], "big") == taken - 1
    assert receive(second) == b"last"


def that_a_pipe_is_full_after_so_many_frames_and_no_more(runtime: Runtime) -> None:
    # As Linux counts it: many small frames fill a pipe long before their bytes do.
    for size, count in ((0, 279), (100, 279), (500, 168), (2000, 50), (10_000, 18), (100_000, 3)):
        first, second = runtime.pipe()
        assert fill(first, size) == count, size
        first.close()
        second.close()


def that_a_full_pipe_is_writable_when_three_quarters_of_it_are_read(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    count = fill(first, 496)
    assert runtime.wait([], [first], timeout_s=0) == set()
    for frames in (count // 2, count // 5):
        for _ in range(frames):
            receive(second)
    # Whole frames were taken out of the pipe meanwhile, so it is asked by what it says now.
    assert runtime.wait([], [first], timeout_s=0) == {first}


def that_a_peer_that_goes_while_a_frame_waits_is_a_broken_pipe(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    fill(first)
    second.close()
    assert raises(BrokenPipeError, first.flush)
    assert first.is_flushed


def that_a_frame_taken_with_another_is_ready_without_the_pipe(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    first.send(b"one")
    first.send(b"two")
    assert not second.is_ready
    assert second.receive() == b"one"
    assert second.is_ready
    assert runtime.wait([second]) == {second}
    assert second.receive() == b"two"
    assert not second.is_ready
    assert runtime.wait([second], timeout_s=0) == set()


def that_frames_sent_before_a_kill_arrive_whole_and_then_the_end(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(send_and_hang, 5, ends=[its])
    assert receive(mine) == b"frame 0"
    while not runtime.wait([mine], timeout_s=0):
        runtime.wait([], timeout_s=0.001)
    first = receive(mine)
    kill(child)
    rest = [first]
    while True:
        try:
            rest.append(receive(mine))
        except EOFError:
            break
    assert rest == [b"frame %d" % n for n in range(1, len(rest) + 1)]


def that_frames_of_a_process_that_has_left_arrive_and_then_the_end(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    assert end_of(begin(send_and_leave, 5, ends=[its])) == 0
    assert [mine.receive() for _ in range(5)] == [b"frame %d" % n for n in range(5)]
    assert hears_the_end(mine)


def that_a_frame_that_its_writers_death_cut_off_never_arrives(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(stop_in_the_middle_of_a_frame, ends=[its])
    assert receive(mine) == b"whole"
    runtime.wait([mine], timeout_s=5)
    assert mine.receive() is None
    kill(child)
    assert hears_the_end(mine)


def that_a_killed_reader_breaks_the_pipe(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(hang, ends=[its])
    fill(mine)
    kill(child)
    assert runtime.wait([], [mine], timeout_s=5) == {mine}
    assert raises(BrokenPipeError, mine.flush)


def that_what_a_child_owns_is_closed_here_once_it_is_started(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(echo, ends=[its])
    assert raises(EOFError, its.receive)
    assert raises(BrokenPipeError, lambda: its.send(b"not mine any more"))
    send(mine, b"still there")
    assert receive(mine) == b"still there"
    mine.close()
    assert end_of(child) == 0


def that_an_end_has_its_end_of_file_though_younger_siblings_inherited_it(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    other_mine, other_its = runtime.pipe()
    sibling = Child(echo, ends=[other_its])
    sibling.start()  # inherits both ends of the first pipe
    send(other_mine, b"settled in")
    assert receive(other_mine) == b"settled in"
    child = begin(hang, ends=[its])
    kill(child)
    assert hears_the_end(mine)
    kill(sibling)
    assert hears_the_end(other_mine)


def that_children_hear_the_end_when_their_parent_is_killed(runtime: Runtime) -> None:
    seen, ready = [runtime.event(), runtime.event()], runtime.bell()
    parent = begin(parent_of_two, seen, ready)
    assert runtime.wait([ready], timeout_s=20)
    kill(parent)
    while not all(event.is_set() for event in seen):
        runtime.wait([], timeout_s=0.001)


def only_forked_that_an_end_which_is_anothers_is_closed_to_a_child(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    seen = runtime.event()
    other, _ = runtime.pipe()
    child = begin(use_what_is_anothers, other, seen, ends=[its])
    assert receive(mine) == b"done"
    assert end_of(child) == 0
    assert seen.is_set()


def that_a_bell_rung_before_the_wait_is_heard_once_cleared_it_is_silent(runtime: Runtime) -> None:
    bell = runtime.bell()
    assert runtime.wait([bell], timeout_s=0) == set()
    for _ in range(3):
        bell.ring()
    for _ in range(2):
        assert runtime.wait([bell]) == {bell}
    bell.clear()
    bell.clear()
    assert runtime.wait([bell], timeout_s=0) == set()


def that_a_bell_that_nobody_hears_never_blocks_who_rings_it(runtime: Runtime) -> None:
    bell = runtime.bell()
    for _ in range(70_000):
        bell.ring()
    bell.clear()
    while runtime.wait([bell], timeout_s=0):
        bell.clear()


def that_a_bell_rung_by_a_child_wakes_its_parent(runtime: Runtime) -> None:
    bell = runtime.bell()
    child = begin(ring, bell)
    assert runtime.wait([bell], timeout_s=20) == {bell}
    assert end_of(child) == 0


def that_a_closed_bell_may_be_rung_and_closed_again(runtime: Runtime) -> None:
    bell = runtime.bell()
    bell.close()
    bell.close()
    bell.ring()
    bell.clear()


def only_forked_that_a_child_that_has_not_settled_in_keeps_a_pipe_open(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    lodger = Lodger(hang)
    lodger.start()
    child = begin(hang, ends=[its])
    kill(child)
    assert runtime.wait([mine], timeout_s=0.05) == set()
    kill(lodger)
    assert hears_the_end(mine)


def only_forked_that_an_end_that_was_closed_before_a_fork_is_not_inherited(
    runtime: Runtime,
) -> None:
    mine, its = runtime.pipe()
    child = begin(hang, ends=[its])
    lodger = Lodger(hang)
    lodger.start()
    kill(child)
    assert hears_the_end(mine)
    kill(lodger)


def count_until_told(end: Endpoint) -> None:
    channel, number = Channel(end), 0
    try:
        while True:
            channel.post(b"%d" % number)
            number += 1
            if channel.wants_room:
                current().wait((), [channel])
                channel.flush()
    except SystemExit:
        channel.post(b"last")
        while not channel.flush():
            current().wait((), [channel])


def that_what_is_said_by_who_is_told_to_terminate_comes_once(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(count_until_told, ends=[its])
    heard = [receive(mine)]
    child.terminate()
    while heard[-1] != b"last":
        heard.append(receive(mine))
    numbers = [int(frame) for frame in heard[:-1]]
    assert numbers[:1] == [0]
    assert numbers == list(range(len(numbers)))
    assert end_of(child) == 0
