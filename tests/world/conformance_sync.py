"""What locks, numbers, events and shared memory do, whoever's they are."""

from typing import Any

import numpy as np
from conformance_tools import (
    begin,
    end_of,
    hang,
    kill,
    raises,
    receive,
    send,
    until,
    until_it_waits_for_a_lock,
)

from magscope.runtime import Endpoint, Runtime, current


def take_and_hang(lock: Any, has_it: Any) -> None:
    with lock:
        has_it.ring()
        hang()


def take_and_leave(lock: Any) -> None:
    lock.acquire()


def try_to_take(lock: Any, got_it: Any) -> None:
    if lock.acquire(block=False):
        got_it.set()


def wait_for(lock: Any, waits: Any, got_it: Any) -> None:
    waits.ring()
    lock.acquire()
    got_it.set()


def hold_for(seconds: float, lock: Any, has_it: Any) -> None:
    with lock:
        has_it.ring()
        current().clock.sleep_s(seconds)


def count_up(value: Any, times: int) -> None:
    for _ in range(times):
        with value.get_lock():
            value.value = value.value + 1


def swap(number: Any, event: Any, bell: Any) -> None:
    number.value = -number.value
    event.set()
    bell.ring()
    hang()


def make_some(refused: Any) -> None:
    runtime = current()
    makers = (runtime.lock, lambda: runtime.value("q"), runtime.event)
    if all(raises(RuntimeError, make) for make in makers):
        refused.set()


def use_block(name: str, end: Endpoint) -> None:
    block = current().shared_memory(name)
    block.buf[1] = block.buf[0] + 1
    send(end, b"written")
    assert receive(end) == b"unlinked"
    block.buf[2] = 33
    send(end, bytes(block.buf[:3]))
    block.close()


def make_block(name: str) -> None:
    current().shared_memory(name, 64).buf[5] = 55


def make_block_and_hang(name: str, bell: Any) -> None:
    block = current().shared_memory(name, 64)
    try:
        block.buf[5] = 55
        bell.ring()
        hang()
    finally:
        block.unlink()


def is_held(runtime: Runtime, lock: Any) -> bool:
    """Whether another process can not have the lock now."""
    got_it = runtime.event()
    assert end_of(begin(try_to_take, lock, got_it)) == 0
    return not got_it.is_set()


def that_a_lock_excludes_other_processes_and_a_wait_for_it_may_be_in_vain(runtime: Runtime) -> None:
    lock, has_it = runtime.lock(), runtime.bell()
    child = begin(take_and_hang, lock, has_it)
    assert runtime.wait([has_it], timeout_s=20)
    before = runtime.clock.monotonic_ns()
    for options in ({"block": False}, {"timeout": 0.0}, {"timeout": -1.0}, {"timeout": 0.02}):
        assert lock.acquire(**options) is False
    assert runtime.clock.monotonic_ns() - before >= 20_000_000
    kill(child)


def that_a_lock_whose_holder_was_killed_is_to_be_had(runtime: Runtime) -> None:
    lock, has_it = runtime.lock(), runtime.bell()
    child = begin(take_and_hang, lock, has_it)
    assert runtime.wait([has_it], timeout_s=20)
    kill(child)
    assert lock.acquire(timeout=5) is True
    lock.release()


def that_a_lock_whose_holder_was_told_to_terminate_is_to_be_had(runtime: Runtime) -> None:
    lock, has_it = runtime.lock(), runtime.bell()
    child = begin(take_and_hang, lock, has_it)
    assert runtime.wait([has_it], timeout_s=20)
    child.terminate()
    assert end_of(child) == 143
    assert lock.acquire(timeout=5) is True


def that_a_lock_that_a_process_left_with_is_to_be_had(runtime: Runtime) -> None:
    lock = runtime.lock()
    assert end_of(begin(take_and_leave, lock)) == 0
    assert lock.acquire(timeout=5) is True


def that_its_holder_may_take_a_lock_again_and_gives_it_back_as_often(runtime: Runtime) -> None:
    lock = runtime.lock()
    assert lock.acquire()
    assert lock.acquire(block=False)
    with lock:
        lock.release()
    assert is_held(runtime, lock)
    lock.release()
    assert not is_held(runtime, lock)


def that_a_lock_that_is_not_held_can_not_be_released(runtime: Runtime) -> None:
    lock, has_it = runtime.lock(), runtime.bell()
    assert raises(RuntimeError, lock.release)
    child = begin(take_and_hang, lock, has_it)
    assert runtime.wait([has_it], timeout_s=20)
    assert raises(RuntimeError, lock.release)
    assert lock.acquire(block=False) is False
    kill(child)


def that_a_lock_is_given_back_when_its_block_fails(runtime: Runtime) -> None:
    lock = runtime.lock()

    def fail() -> None:
        with lock:
            raise ZeroDivisionError

    assert raises(ZeroDivisionError, fail)
    assert not is_held(runtime, lock)


def that_who_waits_for_a_lock_gets_it_when_it_is_given_back(runtime: Runtime) -> None:
    lock, waits, got_it = runtime.lock(), runtime.bell(), runtime.event()
    with lock:
        child = begin(wait_for, lock, waits, got_it)
        assert runtime.wait([waits], timeout_s=20)
        assert not got_it.is_set()
    assert end_of(child) == 0
    assert got_it.is_set()


def that_a_lock_comes_within_the_time_out(runtime: Runtime) -> None:
    lock, has_it = runtime.lock(), runtime.bell()
    child = begin(hold_for, 0.02, lock, has_it)
    assert runtime.wait([has_it], timeout_s=20)
    assert lock.acquire(timeout=20) is True
    assert end_of(child) == 0


def that_a_process_killed_while_it_waits_never_gets_the_lock(runtime: Runtime) -> None:
    lock, waits, got_it = runtime.lock(), runtime.bell(), runtime.event()
    with lock:
        child = begin(wait_for, lock, waits, got_it)
        assert runtime.wait([waits], timeout_s=20)
        kill(child)
    assert not is_held(runtime, lock)
    assert not got_it.is_set()


def that_the_wait_for_a_lock_ends_when_the_process_is_told_to_terminate(runtime: Runtime) -> None:
    lock, waits, got_it = runtime.lock(), runtime.bell(), runtime.event()
    with lock:
        child = begin(wait_for, lock, waits, got_it)
        assert runtime.wait([waits], timeout_s=20)
        until_it_waits_for_a_lock(child)
        child.terminate()
        assert end_of(child) == 143
    assert not is_held(runtime, lock)
    assert not got_it.is_set()


def that_nothing_is_lost_where_two_count_under_the_lock(runtime: Runtime) -> None:
    value = runtime.value("q")
    children = [begin(count_up, value, 50) for _ in range(2)]
    count_up(value, 50)
    assert [end_of(child) for child in children] == [0, 0]
    assert value.value == 150


def that_locks_are_independent_and_a_number_has_one_of_its_own(runtime: Runtime) -> None:
    first, second = runtime.value("q"), runtime.value("q")
    with first.get_lock():
        assert is_held(runtime, first.get_lock())
        assert not is_held(runtime, second.get_lock())
        assert not is_held(runtime, runtime.lock())


def that_numbers_come_back_as_what_they_are(runtime: Runtime) -> None:
    whole, real = runtime.value("q", 7), runtime.value("d", 3)
    assert (whole.value, type(whole.value), real.value, type(real.value)) == (7, int, 3.0, float)
    for number in (0, -1, True, np.int64(5), 2**63 - 1, -(2**63)):
        whole.value = number
        assert whole.value == number
        assert type(whole.value) is int
    for number in (0.0, -1.5, 1e300, float("inf"), 5, np.float32(0.5)):
        real.value = number
        assert real.value == number
        assert type(real.value) is float


def that_a_number_refuses_what_does_not_fit(runtime: Runtime) -> None:
    whole, real = runtime.value("q", 7), runtime.value("d", 1.5)
    assert raises(TypeError, lambda: setattr(whole, "value", 1.5))
    assert raises(ValueError, lambda: setattr(whole, "value", 2**63))
    assert raises(TypeError, lambda: setattr(real, "value", "much"))
    assert (whole.value, real.value) == (7, 1.5)


def that_what_a_child_wrote_is_seen_and_stays_when_it_is_killed(runtime: Runtime) -> None:
    number, event, bell = runtime.value("d", 2.5), runtime.event(), runtime.bell()
    assert not event.is_set()
    child = begin(swap, number, event, bell)
    assert runtime.wait([bell], timeout_s=20)
    assert (number.value, event.is_set()) == (-2.5, True)
    kill(child)
    assert (number.value, event.is_set()) == (-2.5, True)
    event.clear()
    event.clear()
    assert not event.is_set()


def that_only_who_began_the_session_makes_locks_and_numbers(runtime: Runtime) -> None:
    refused = runtime.event()
    assert end_of(begin(make_some, refused)) == 0
    assert refused.is_set()


def that_a_session_has_so_many_numbers_and_no_more(runtime: Runtime) -> None:
    for _ in range(512):
        runtime.value("q")
    assert raises(MemoryError, lambda: runtime.value("q"))
    assert raises(MemoryError, runtime.event)


def that_shared_memory_is_zeroed_named_once_and_found_by_name(runtime: Runtime) -> None:
    block = runtime.shared_memory("block", 1000)
    assert (block.name, bytes(block.buf[:1000])) == ("block", bytes(1000))
    assert raises(FileExistsError, lambda: runtime.shared_memory("block", 1000))
    assert raises(FileNotFoundError, lambda: runtime.shared_memory("nobody's"))
    other = runtime.shared_memory("block")
    block.buf[5] = 77
    assert (other.buf[5], len(other.buf)) == (77, 1000)
    block.unlink()
    assert raises(FileNotFoundError, lambda: runtime.shared_memory("block"))
    other.buf[6] = 88
    assert block.buf[6] == 88


def that_a_name_is_removed_once_and_the_next_block_of_it_stays(runtime: Runtime) -> None:
    old = runtime.shared_memory("block", 8)
    old.unlink()
    new = runtime.shared_memory("block", 8)
    old.unlink()
    new.buf[0] = 1
    assert runtime.shared_memory("block").buf[0] == 1
    assert old.buf[0] == 0
    new.unlink()


def that_a_block_may_be_closed_twice_and_is_not_used_afterwards(runtime: Runtime) -> None:
    block, other = runtime.shared_memory("block", 8), runtime.shared_memory("block")
    for _ in range(2):
        block.close()
    assert raises(ValueError, lambda: block.buf[0])
    other.buf[0] = 9
    assert runtime.shared_memory("block").buf[0] == 9
    block.unlink()
    assert raises(FileNotFoundError, lambda: runtime.shared_memory("block"))


def that_a_block_that_an_array_views_stays_until_it_is_done(runtime: Runtime) -> None:
    block = runtime.shared_memory("block", 8)
    array = np.frombuffer(block.buf, np.uint8)
    block.close()
    array[3] = 4
    assert runtime.shared_memory("block").buf[3] == 4
    block.unlink()


def that_a_child_shares_a_block_and_keeps_it_when_it_is_unlinked(runtime: Runtime) -> None:
    block = runtime.shared_memory("block", 8)
    block.buf[0] = 41
    mine, its = runtime.pipe()
    child = begin(use_block, "block", ends=[its])
    assert receive(mine) == b"written"
    assert block.buf[1] == 42
    block.unlink()
    send(mine, b"unlinked")
    assert receive(mine) == bytes([41, 42, 33])
    assert end_of(child) == 0
    assert block.buf[2] == 33


def that_a_block_outlives_who_made_it_however_that_ended(runtime: Runtime) -> None:
    bell = runtime.bell()
    assert end_of(begin(make_block, "left")) == 0
    child = begin(make_block_and_hang, "lost", bell)
    assert runtime.wait([bell], timeout_s=20)
    kill(child)
    for name in ("left", "lost"):
        block = runtime.shared_memory(name)
        assert block.buf[5] == 55
        block.unlink()


def that_too_much_memory_is_refused_and_leaves_no_name(runtime: Runtime) -> None:
    assert raises(MemoryError, lambda: runtime.shared_memory("huge", 1 << 60))
    assert raises(FileNotFoundError, lambda: runtime.shared_memory("huge"))


def that_an_event_that_nobody_sets_stays_unset_while_time_passes(runtime: Runtime) -> None:
    event, bell = runtime.event(), runtime.bell()
    child = begin(swap, runtime.value("q", 1), event, bell)
    until(event.is_set)
    kill(child)
