"""What processes, waiting, time and sessions do, whoever's they are."""

import contextlib
import sys
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
    until,
)

from magscope.runtime import Endpoint, Runtime, RuntimeProcess, current
from magscope.singletons import SingletonMeta


class OnlyOne(metaclass=SingletonMeta):
    """There is one in each process."""


def leave(*_: Any) -> None:
    """End at once."""


def exit_with(code: Any) -> None:
    sys.exit(code)


def fail() -> None:
    raise ZeroDivisionError("on purpose")


def hang_and_tidy(bell: Any, tidied: Any) -> None:
    try:
        bell.ring()
        hang()
    finally:
        tidied.set()


def sleep_and_tidy(bell: Any, tidied: Any) -> None:
    try:
        bell.ring()
        current().clock.sleep_s(3600.0)
    finally:
        tidied.set()


def tidy_for_long(bell: Any, tidied: Any, done: Any) -> None:
    try:
        bell.ring()
        hang()
    finally:
        try:
            bell.ring()
            hang()
        finally:
            tidied.set()
    done.set()


def refuse_to_leave(bell: Any) -> None:
    never = current().bell()
    with current().uninterrupted():  # or one could end it between two turns of the loop
        while True:
            with contextlib.suppress(SystemExit):
                bell.ring()
                current().wait([never])  # which a request wakes, even if it comes just before


def stop_by_interrupt(bell: Any, stopped: Any) -> None:
    runtime = current()
    own = runtime.bell()

    def stop() -> None:
        stopped.set()
        own.ring()

    with runtime.interrupts(stop):
        bell.ring()
        runtime.wait([own])
    bell.ring()
    hang()


def grandparent(bell: Any, order: Any, begun: Any) -> None:
    child = Child(leave_when_told, bell, order)
    child.start()
    begun.ring()


def leave_when_told(bell: Any, order: Any) -> None:
    current().wait([bell])
    order.set()


def start_and_hang(ready: Any, end: Endpoint) -> None:
    child = Child(hears_the_end, ends=[end])
    child.start()
    ready.ring()
    hang()


def know_yourself(being: RuntimeProcess, number: Any) -> None:
    number.value = being.pid or -1


class Narcissus(RuntimeProcess):
    """Says what it knows of itself."""

    def __init__(self, number: Any, is_alive: Any) -> None:
        super().__init__(name="Narcissus")
        self.number, self.sees_itself = number, is_alive

    def run(self) -> None:
        current().enter(self)
        self.number.value = self.pid or -1
        if self.is_alive() and self.exitcode is None and self.name == "Narcissus":
            self.sees_itself.set()


def change(given: dict[str, list[int]], end: Endpoint) -> None:
    given["numbers"].append(4)
    send(end, repr(given).encode())
    assert receive(end) == b"look again"
    send(end, repr(given).encode())


def make_an_only_one(seen: Any) -> None:
    OnlyOne()
    if raises(TypeError, OnlyOne):
        seen.set()


def tell_whether_the_owner_is_gone(before: Any, ready: Any, gone: Any) -> None:
    before.value = current().owner_is_gone()
    ready.ring()
    until(current().owner_is_gone)
    gone.set()


def own_a_session(with_survivor: bool, end: Endpoint) -> None:
    runtime = current()
    session = runtime.begin_session()
    runtime.shared_memory("left", 8).buf[0] = 7
    send(end, session.encode())
    if with_survivor:
        begin(survive, ends=[end])
    else:
        assert receive(end) == b"end it"
        runtime.end_session()
        send(end, b"ended")
    hang()


def survive(end: Endpoint) -> None:
    runtime = current()
    send(end, str(runtime.owner_is_gone()).encode())
    until(runtime.owner_is_gone)
    send(end, bytes(runtime.shared_memory("left").buf[:1]))
    assert receive(end) == b"swept"
    swept = raises(FileNotFoundError, lambda: runtime.shared_memory("left"))
    send(end, str(swept).encode())


def end_the_session() -> None:
    current().end_session()


def that_a_process_ends_with_the_code_that_it_gives(runtime: Runtime) -> None:
    codes = {0: 0, 3: 3, None: 0, True: 1, "in words": 1, 256 + 7: 7, -1: 255}
    children = [(begin(exit_with, code), expected) for code, expected in codes.items()]
    assert end_of(begin(leave)) == 0
    for child, expected in children:
        assert end_of(child) == expected


def that_an_exception_ends_a_process_with_1(runtime: Runtime) -> None:
    assert end_of(begin(fail)) == 1


def that_a_process_is_alive_from_its_start_to_its_end(runtime: Runtime) -> None:
    bell = runtime.bell()
    child, other = Child(leave_when_told, bell, runtime.event()), Child(leave)
    assert (child.pid, child.exitcode, child.is_alive()) == (None, None, False)
    child.start()
    other.start()
    assert child.pid != other.pid
    assert (child.exitcode, child.is_alive()) == (None, True)
    child.join(0)
    child.join(0.01)
    assert child.is_alive()
    bell.ring()
    assert end_of(child) == end_of(other) == 0
    assert not child.is_alive()
    child.join()


def that_a_process_knows_itself(runtime: Runtime) -> None:
    number, sees_itself = runtime.value("q"), runtime.event()
    child = Narcissus(number, sees_itself)
    child.start()
    assert end_of(child) == 0
    assert number.value == child.pid
    assert sees_itself.is_set()


def that_a_process_is_started_once(runtime: Runtime) -> None:
    child = begin(leave)
    assert raises(AssertionError, child.start)
    assert end_of(child) == 0
    assert raises(AssertionError, child.start)


def that_a_killed_process_ends_with_minus_9_and_tidies_nothing(runtime: Runtime) -> None:
    bell, tidied = runtime.bell(), runtime.event()
    child = begin(hang_and_tidy, bell, tidied)
    assert runtime.wait([bell], timeout_s=20)
    child.kill()
    assert end_of(child) == -9
    child.kill()
    child.terminate()
    assert end_of(child) == -9
    assert not tidied.is_set()


def that_a_process_told_to_terminate_tidies_and_ends_with_143(runtime: Runtime) -> None:
    for task in (hang_and_tidy, sleep_and_tidy):
        bell, tidied = runtime.bell(), runtime.event()
        child = begin(task, bell, tidied)
        assert runtime.wait([bell], timeout_s=20)
        child.terminate()
        assert end_of(child) == 143
        assert tidied.is_set()


def that_a_second_request_to_terminate_interrupts_the_tidying(runtime: Runtime) -> None:
    bell, tidied, done = runtime.bell(), runtime.event(), runtime.event()
    child = begin(tidy_for_long, bell, tidied, done)
    for _ in range(2):
        assert runtime.wait([bell], timeout_s=20)
        bell.clear()
        child.terminate()
    assert end_of(child) == 143
    assert (tidied.is_set(), done.is_set()) == (True, False)


def that_a_process_may_refuse_to_terminate_but_not_to_be_killed(runtime: Runtime) -> None:
    bell = runtime.bell()
    child = begin(refuse_to_leave, bell)
    for _ in range(3):
        assert runtime.wait([bell], timeout_s=20)
        bell.clear()
        child.terminate()
    assert runtime.wait([bell], timeout_s=20)
    assert child.is_alive()
    kill(child)


def that_a_process_that_has_not_settled_in_dies_of_a_request_to_terminate(
    runtime: Runtime,
) -> None:
    bell, tidied = runtime.bell(), runtime.event()
    child = Lodger(hang_and_tidy, bell, tidied)
    child.start()
    assert runtime.wait([bell], timeout_s=20)
    child.terminate()
    assert end_of(child) == -15
    assert not tidied.is_set()


def load_and_tidy(bell: Any, tidied: Any) -> None:
    try:
        with current().loading():
            bell.ring()
            hang()
    finally:
        tidied.set()


def that_a_request_to_terminate_ends_a_process_that_loads_at_once(runtime: Runtime) -> None:
    bell, tidied = runtime.bell(), runtime.event()
    child = begin(load_and_tidy, bell, tidied)
    assert runtime.wait([bell], timeout_s=20)
    child.terminate()
    assert end_of(child) in (143, -15)
    assert not tidied.is_set()


def only_forked_that_a_request_to_terminate_may_be_an_interrupt(runtime: Runtime) -> None:
    bell, stopped = runtime.bell(), runtime.event()
    child = begin(stop_by_interrupt, bell, stopped)
    assert runtime.wait([bell], timeout_s=20)
    bell.clear()
    child.terminate()
    assert runtime.wait([bell], timeout_s=20)
    assert stopped.is_set()
    assert child.is_alive()
    child.terminate()
    assert end_of(child) == 143


def that_a_process_ends_after_its_own_children(runtime: Runtime) -> None:
    bell, order, begun = runtime.bell(), runtime.event(), runtime.bell()
    child = begin(grandparent, bell, order, begun)
    assert runtime.wait([begun], timeout_s=20)
    child.join(0.05)
    assert child.exitcode is None
    bell.ring()
    assert end_of(child) == 0
    assert order.is_set()


def that_a_process_waiting_for_its_children_may_be_ended(runtime: Runtime) -> None:
    for force, code in (("terminate", 143), ("kill", -9)):
        bell, order, begun = runtime.bell(), runtime.event(), runtime.bell()
        child = begin(grandparent, bell, order, begun)
        assert runtime.wait([begun], timeout_s=20)
        child.join(0.05)
        assert child.exitcode is None
        getattr(child, force)()
        assert end_of(child) == code
        bell.ring()
        until(order.is_set)


def that_a_childs_children_live_on_when_it_is_killed(runtime: Runtime) -> None:
    ready = runtime.bell()
    mine, its = runtime.pipe()
    child = begin(start_and_hang, ready, ends=[its])
    assert runtime.wait([ready], timeout_s=20)
    kill(child)
    assert runtime.wait([mine], timeout_s=0.02) == set()
    mine.close()


def that_a_daemon_ends_with_its_parent(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(start_a_daemon, ends=[its])
    assert end_of(child) == 0
    assert hears_the_end(mine)


def start_a_daemon(end: Endpoint) -> None:
    ready = current_bell()
    Child(ring_and_hang, ready, ends=[end], daemon=True).start()
    current().wait([ready])


def current_bell() -> Any:
    return current().bell()


def ring_and_hang(bell: Any, end: Endpoint) -> None:
    bell.ring()
    hang()


def that_a_process_has_what_it_was_given_in_a_memory_of_its_own(runtime: Runtime) -> None:
    given = {"numbers": [1, 2, 3]}
    mine, its = runtime.pipe()
    child = begin(change, given, ends=[its])
    assert receive(mine) == b"{'numbers': [1, 2, 3, 4]}"
    assert given == {"numbers": [1, 2, 3]}
    given["numbers"].clear()
    send(mine, b"look again")
    assert receive(mine) == b"{'numbers': [1, 2, 3, 4]}"
    assert end_of(child) == 0


def that_a_singleton_is_one_in_each_process(runtime: Runtime) -> None:
    seen = [runtime.event(), runtime.event()]
    OnlyOne()
    children = [begin(make_an_only_one, event) for event in seen]
    assert [end_of(child) for child in children] == [0, 0]
    assert all(event.is_set() for event in seen)
    assert raises(TypeError, OnlyOne)


def that_a_process_of_another_is_known_by_its_number(runtime: Runtime) -> None:
    child = begin(hang)
    stranger = runtime.foreign(child.pid or 0)
    assert stranger.is_alive()
    stranger.kill()
    assert end_of(child) == -9
    assert not stranger.is_alive()
    stranger.kill()
    nobody = runtime.foreign(child.pid or 0)
    assert not nobody.is_alive()
    nobody.kill()


def that_a_wait_that_nothing_ends_lasts_as_long_as_it_was_told(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    before = runtime.clock.monotonic_ns()
    assert runtime.wait([first, second], timeout_s=0.02) == set()
    assert runtime.wait([], timeout_s=0.01) == set()
    assert runtime.clock.monotonic_ns() - before >= 30_000_000
    for timeout_s in (0, -1.0):
        assert runtime.wait([first], timeout_s=timeout_s) == set()


def that_a_wait_returns_all_that_is_ready_and_nothing_else(runtime: Runtime) -> None:
    first, second = runtime.pipe()
    bell, silent = runtime.bell(), runtime.bell()
    child = begin(leave)
    assert end_of(child) == 0
    first.send(b"frame")
    bell.ring()
    sources = [first, second, bell, silent, child]
    for _ in range(2):
        ready = runtime.wait((each for each in sources), [first], timeout_s=20)
        assert ready == {first, second, bell, child}
    assert second.receive() == b"frame"
    bell.clear()
    assert runtime.wait(sources, timeout_s=20) == {child}


def that_the_end_of_a_process_ends_a_wait_for_it(runtime: Runtime) -> None:
    ready = runtime.bell()
    first, second = begin(hang_and_tidy, ready, runtime.event()), begin(hang)
    assert runtime.wait([ready, first, second]) == {ready}
    first.kill()
    assert runtime.wait([first, second]) == {first}
    assert (end_of(first), second.exitcode) == (-9, None)
    kill(second)


def that_a_channel_is_waited_for_as_its_end_is(runtime: Runtime) -> None:
    from magscope.channel import Channel

    mine, its = runtime.pipe()
    channel = Channel(mine)
    assert runtime.wait([channel], timeout_s=0) == set()
    assert runtime.wait([], [channel], timeout_s=0) == {channel}
    its.send(b"one")
    its.send(b"two")
    assert runtime.wait([channel]) == {channel}
    assert channel.receive() == b"one"
    assert runtime.wait([channel]) == {channel}


def that_time_goes_on_and_a_sleep_takes_its_time(runtime: Runtime) -> None:
    clock = runtime.clock
    monotonic_ns, now_ns = clock.monotonic_ns(), clock.now_ns()
    clock.sleep_s(0.02)
    clock.sleep_s(0.0)
    assert clock.monotonic_ns() - monotonic_ns >= 20_000_000
    assert clock.now_ns() - now_ns >= 19_000_000
    assert type(clock.monotonic_ns()) is type(clock.now_ns()) is int


def that_the_owner_of_a_session_is_there_for_its_children(runtime: Runtime) -> None:
    before, ready, gone = runtime.value("q", -1), runtime.bell(), runtime.event()
    child = begin(tell_whether_the_owner_is_gone, before, ready, gone)
    assert runtime.wait([ready], timeout_s=20)
    assert not runtime.owner_is_gone()
    assert (before.value, gone.is_set()) == (0, False)
    kill(child)


def that_each_session_has_names_of_its_own_and_its_end_removes_them(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(own_a_session, False, ends=[its])
    assert receive(mine).decode() != runtime.session
    assert raises(FileNotFoundError, lambda: runtime.shared_memory("left"))
    block = runtime.shared_memory("left", 8)
    assert block.buf[0] == 0
    send(mine, b"end it")
    assert receive(mine) == b"ended"
    assert runtime.shared_memory("left").buf[0] == 0
    kill(child)


def that_the_next_session_sweeps_what_a_killed_owner_left(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    owner = begin(own_a_session, True, ends=[its])
    receive(mine)
    assert receive(mine) == b"False"
    kill(owner)
    assert receive(mine) == bytes([7])
    before = runtime.session
    runtime.end_session()
    assert runtime.begin_session() != before
    send(mine, b"swept")
    assert receive(mine) == b"True"
    assert hears_the_end(mine)


def that_a_child_which_ends_the_session_of_a_live_owner_removes_nothing(runtime: Runtime) -> None:
    block = runtime.shared_memory("kept", 8)
    assert end_of(begin(end_the_session)) == 0
    block.buf[0] = 5
    assert runtime.shared_memory("kept").buf[0] == 5


def that_ending_a_session_removes_its_names_and_may_be_repeated(runtime: Runtime) -> None:
    runtime.shared_memory("gone", 8)
    for _ in range(2):
        runtime.end_session()
    runtime.begin_session()
    assert raises(FileNotFoundError, lambda: runtime.shared_memory("gone"))
