import os
import subprocess
import sys

import pytest
from core_tools import hang, kill, own_a_session, receive, report_leftovers, until, watch_the_owner

from magscope.runtime import os_session
from magscope.runtime.os_session import leftovers, lock_path, remove_session, sweep

FRESH = """
import sys
from magscope.runtime import os_memory, os_session
os_memory.PREFIX = os_session.PREFIX = sys.argv[1]
from magscope.datatypes import MatrixBuffer
from magscope.runtime import current
buffer = MatrixBuffer(create=True, locks={"rows": current().lock()}, name="rows", shape=(4, 2))
print(current().session, flush=True)
sys.stdin.read(1)
"""


def names_of(session):
    return [n for n in os_session._names() if os_session._session_of(n) == session]


@pytest.fixture
def owner(runtime, start, alone):
    """Return a process that owns a session beside this one: its handle, pipe and session."""
    mine, its = runtime.pipe()
    child = start(own_a_session, ends=[its])
    session = receive(mine).decode()
    yield child, mine, session
    child.kill()
    child.join(10)
    mine.close()
    remove_session(session)


def test_each_session_has_an_id_of_its_own(runtime, session):
    again = runtime.begin_session()
    assert again != session
    assert runtime.session == again
    runtime.end_session()
    remove_session(session)


def test_s3_two_sessions_side_by_side_have_their_own_names(runtime, owner, alone):
    _, mine, other = owner
    assert other != runtime.session
    expected = [f"{alone}{other}-orphan", f"{alone}{other}-words", f"{alone}{other}.lock"]
    assert sorted(names_of(other)) == expected
    block = runtime.shared_memory("orphan", 64)
    assert bytes(block.buf[:64]) == bytes(64)
    block.close()
    block.unlink()
    mine.send(b"end it")
    assert receive(mine) == b"ended"
    assert names_of(other) == []
    assert names_of(runtime.session)


def test_a_live_session_is_never_taken_for_left_over(runtime, start, owner):
    _, _, other = owner
    assert leftovers(runtime.session) == []
    assert sweep(runtime.session) == []
    assert len(names_of(other)) == 3
    mine, its = runtime.pipe()
    start(report_leftovers, ends=[its])
    assert receive(mine) == b""
    mine.close()


def test_s3_the_next_start_sweeps_what_a_killed_owner_left(runtime, owner):
    child, _, other = owner
    kill(child)
    assert len(names_of(other)) == 3
    assert leftovers(runtime.session) == sorted(names_of(other))
    runtime.end_session()
    runtime.begin_session()
    assert names_of(other) == []
    assert leftovers(runtime.session) == []


def test_s3_a_process_of_a_session_removes_its_names_when_the_owner_is_gone(runtime, start, owner):
    child, _, other = owner
    kill(child)
    survivor_sees = runtime.event()

    def survive():
        runtime._session = other
        if runtime.owner_is_gone():
            runtime.end_session()
            survivor_sees.set()

    start(survive).join(10)
    assert survivor_sees.is_set()
    assert names_of(other) == []


def test_s4_a_child_learns_that_the_owner_is_gone_and_only_then(runtime, start, alone):
    is_gone, ready, before = runtime.event(), runtime.event(), runtime.value("q", -1)

    def own_and_start_a_watcher():
        from core_tools import Child

        runtime.begin_session()
        Child(watch_the_owner, is_gone, ready, before).start()
        hang()

    owner = start(own_and_start_a_watcher)
    until(ready.is_set)
    assert before.value == 0
    assert not is_gone.is_set()
    kill(owner)
    until(is_gone.is_set)
    sweep(runtime.session)


def test_the_owner_of_a_session_is_not_gone(runtime):
    assert not runtime.owner_is_gone()


def test_s3_ending_a_session_leaves_nothing_and_may_be_repeated(runtime, session):
    runtime.value("q")
    kept = runtime.shared_memory("kept", 100)
    assert len(names_of(session)) == 3
    for _ in range(2):
        runtime.end_session()
        assert names_of(session) == []
    kept.close()


def test_asking_what_is_left_over_does_not_give_up_the_own_session(runtime, start, session):
    assert not [n for n in leftovers() if session in n]
    mine, its = runtime.pipe()
    start(report_leftovers_of_strangers, session, ends=[its])
    assert receive(mine) == b"alive"
    mine.close()


def report_leftovers_of_strangers(session, end):
    with os_session._if_dead(session) as is_dead:
        end.send(b"dead" if is_dead else b"alive")


def test_a_third_session_of_one_process_sweeps_none_of_the_others(runtime, session):
    second = runtime.begin_session()
    third = runtime.begin_session()
    assert names_of(session)
    assert names_of(second)
    runtime.end_session()
    assert names_of(third) == []
    for name in (session, second):
        remove_session(name)


def test_s3_a_session_that_begins_while_another_sweeps_is_not_swept(
    runtime, start, session, monkeypatch
):
    acquire = os_session.LockFile.acquire
    swept = []

    def sweep_first(file, offset, *, block=True):
        if offset == 0 and block and not swept:
            swept.append(start(sweep, session))  # just before the lock is taken
            swept[0].join(10)
        return acquire(file, offset, block=block)

    monkeypatch.setattr(os_session.LockFile, "acquire", sweep_first)
    new = runtime.begin_session()
    assert swept
    assert lock_path(new).exists()
    assert not [n for n in leftovers(session) if new in n]
    runtime.end_session()
    remove_session(session)


def test_s3_looking_at_a_session_that_has_just_ended_does_not_bring_its_lock_file_back(
    runtime, owner, monkeypatch
):
    _, mine, other = owner
    exists = type(lock_path(other)).exists

    def end_after_the_look(path):
        was_there = exists(path)
        if path == lock_path(other) and was_there:
            mine.send(b"end it")
            assert receive(mine) == b"ended"
        return was_there

    monkeypatch.setattr(type(lock_path(other)), "exists", end_after_the_look)
    assert sweep(runtime.session) == []
    assert names_of(other) == []


def test_s3_a_program_that_just_uses_buffers_leaves_nothing_whether_it_ends_or_is_killed(
    runtime, alone
):
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", FRESH, alone],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    sessions = [program.stdout.readline().strip() for program in programs]
    assert len({runtime.session, *sessions}) == 3
    assert all(len(names_of(name)) == 3 for name in sessions)
    programs[0].communicate("x")
    assert names_of(sessions[0]) == []
    programs[1].kill()
    programs[1].communicate()
    assert sweep(runtime.session) == sorted(f"{alone}{sessions[1]}{n}" for n in
                                            ("-rows", "-words", ".lock"))  # fmt: skip
    assert names_of(sessions[1]) == []


def test_a_block_is_zeroed_named_once_and_found_by_name_alone(runtime):
    block = runtime.shared_memory("block", 1000)
    assert bytes(block.buf[:1000]) == bytes(1000)
    with pytest.raises(FileExistsError):
        runtime.shared_memory("block", 1000)
    other = runtime.shared_memory("block")
    block.buf[5] = 77
    assert other.buf[5] == 77
    with pytest.raises(FileNotFoundError):
        runtime.shared_memory("nobody's")
    for one in (block, other, block):
        one.close()
        one.unlink()
    with pytest.raises(FileNotFoundError):
        runtime.shared_memory("block")


def test_no_room_for_shared_memory_is_said_before_anybody_writes(runtime):
    with pytest.raises(MemoryError, match=r"no room for .* MB of shared memory for huge"):
        runtime.shared_memory("huge", 1 << 60)
    with pytest.raises(FileNotFoundError):
        runtime.shared_memory("huge")


def test_a_process_that_another_started_is_known_by_its_id(runtime, start):
    child = start(hang)
    stranger = runtime.foreign(child.pid)
    assert stranger.is_alive()
    stranger.kill()
    child.join(10)
    assert not stranger.is_alive()
    stranger.kill()
    assert not runtime.foreign(child.pid).is_alive()


def test_only_the_sessions_owner_hands_out_locks_and_values(runtime, start):
    # Each process counts them by itself: two that did would hand out the same one.
    refused = runtime.event()

    def ask():
        for make in (runtime.lock, lambda: runtime.value("q"), runtime.event):
            with pytest.raises(RuntimeError, match="began the session"):
                make()
        refused.set()

    start(ask).join(10)
    assert refused.is_set()


def test_s1_a_process_that_is_told_to_terminate_leaves_in_order(runtime, start):
    closed, ready = runtime.event(), runtime.event()

    def work():
        try:
            ready.set()
            hang()
        finally:
            closed.set()

    child = start(work)
    until(ready.is_set)
    child.terminate()
    child.join(10)
    assert child.exitcode == 128 + 15
    assert closed.is_set()


def test_ctrl_c_is_the_routers_to_understand(runtime, start):
    import signal

    ready, go = runtime.event(), runtime.event()

    def work():
        ready.set()
        until(go.is_set)

    child = start(work)
    until(ready.is_set)
    os.kill(child.pid, signal.SIGINT)
    go.set()
    child.join(10)
    assert child.exitcode == 0
