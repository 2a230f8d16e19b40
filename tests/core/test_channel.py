import pytest
from fakes import FakeEnd

from magscope.channel import Channel
from magscope.runtime import MAX_FRAME_BYTES


def frames(count, first=0):
    return [b"%d" % number for number in range(first, first + count)]


def test_r1_frames_leave_in_the_order_in_which_they_were_posted_however_room_comes():
    end = FakeEnd(room=2)
    channel = Channel(end)
    assert all(channel.post(frame) for frame in frames(5))
    assert end.sent == frames(2)
    assert channel.wants_room
    end.room = 3
    assert not channel.flush()
    assert all(channel.post(frame) for frame in frames(2, first=5))
    end.room = 100
    assert channel.flush()
    assert end.sent == frames(7)
    assert not channel.wants_room
    assert channel.waiting == 0


def test_r5_the_outbox_is_bounded_by_the_number_of_frames():
    channel = Channel(FakeEnd(room=0), max_frames=3)
    taken = [channel.post(frame) for frame in frames(6)]
    assert taken == [True] * 4 + [False] * 2  # the pipe itself has taken one
    assert channel.waiting == 3


def test_r5_the_outbox_is_bounded_by_bytes():
    channel = Channel(FakeEnd(room=0), max_bytes=25)
    assert channel.post(bytes(10))
    assert channel.post(bytes(10))
    assert channel.post(bytes(15))
    assert not channel.post(bytes(1))
    channel.end.room = 1
    channel.flush()
    channel.end.room = 2
    channel.flush()
    assert channel.post(bytes(9))


def test_r5_room_that_was_found_can_be_used_again():
    end = FakeEnd(room=0)
    channel = Channel(end, max_frames=2)
    for number in range(50):
        assert channel.post(b"%d" % number) == (number < 3 or end.room > number - 3)
        end.room += 1
        channel.flush()


def test_r3_a_frame_that_is_too_large_is_refused_at_once_also_while_others_wait():
    channel = Channel(FakeEnd(room=0))
    assert channel.post(b"one") and channel.post(b"two")  # noqa: PT018 - both wait
    with pytest.raises(ValueError, match="too many for a message"):
        channel.post(bytes(MAX_FRAME_BYTES + 1))
    channel.end.room = 10
    assert channel.flush()


def test_a_frame_that_is_too_large_for_any_pipe_is_refused(runtime):
    first, second = runtime.pipe()
    channel = Channel(first)
    with pytest.raises(ValueError, match="too many for a message"):
        channel.post(bytes(MAX_FRAME_BYTES + 1))
    assert channel.post(b"small")
    first.close()
    second.close()


def test_nothing_is_posted_to_a_pipe_that_is_closed():
    end = FakeEnd()
    channel = Channel(end)
    end.is_cut = True
    assert not channel.post(b"first")
    assert channel.is_broken
    assert not channel.post(b"second")
    assert not channel.wants_room
    assert channel.break_off() == []


@pytest.mark.parametrize("noticed_by", ["flush", "post", "nobody"])
def test_r1_every_frame_that_did_not_leave_is_returned_once_when_the_pipe_breaks(noticed_by):
    end = FakeEnd(room=1)
    channel = Channel(end)
    for frame in frames(4):
        channel.post(frame)
    end.is_cut = True
    if noticed_by == "flush":
        channel.flush()
    elif noticed_by == "post":
        channel.post(b"late")
        channel.flush()
    unsent = channel.break_off()
    assert unsent[:3] == frames(3, first=1)
    assert unsent[3:] == ([b"late"] if noticed_by == "post" else [])
    assert channel.break_off() == []
    assert channel.is_broken


def test_r1_a_frame_that_left_is_not_returned():
    end = FakeEnd()
    channel = Channel(end)
    channel.post(b"there")
    end.is_cut = True
    assert channel.break_off() == []


def test_what_came_is_received_and_then_the_end():
    end = FakeEnd()
    channel = Channel(end)
    end.inbox += frames(2)
    assert channel.is_ready
    assert [channel.receive() for _ in range(3)] == [*frames(2), None]
    end.is_cut = True
    with pytest.raises(EOFError):
        channel.receive()
