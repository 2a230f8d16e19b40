import os
import pickle
import signal
import threading

import pytest
from core_tools import add_under_lock, kill, take_lock_and_hang, until


def held(lock):
    """Tell whether somebody else has the lock."""
    if lock.acquire(block=False):
        lock.release()
        return False
    return True


def in_thread(action):
    """Return what the action returns in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(action()))
    thread.start()
    thread.join(10)
    return results[0]


def test_b5_a_lock_comes_back_when_its_holder_is_killed_inside_the_critical_section(runtime, start):
    lock, has_it = runtime.lock(), runtime.event()
    child = start(take_lock_and_hang, lock, has_it)
    until(has_it.is_set)
    assert held(lock)
    kill(child)
    assert lock.acquire(timeout=2)
    lock.release()


def test_b5_whoever_waits_for_a_lock_gets_it_when_its_holder_is_killed(runtime, start):
    lock, first_has_it, second_has_it = runtime.lock(), runtime.event(), runtime.event()
    first = start(take_lock_and_hang, lock, first_has_it)
    until(first_has_it.is_set)
    start(take_lock_and_hang, lock, second_has_it)
    assert not second_has_it.is_set()
    kill(first)
    until(second_has_it.is_set)


def test_b5_a_stopped_holder_keeps_the_lock_until_it_is_killed(runtime, start):
    lock, has_it = runtime.lock(), runtime.event()
    child = start(take_lock_and_hang, lock, has_it)
    until(has_it.is_set)
    os.kill(child.pid, signal.SIGSTOP)
    assert not lock.acquire(timeout=0.02)
    kill(child)
    assert lock.acquire(timeout=2)
    lock.release()


def test_a_lock_excludes_processes(runtime, start):
    value = runtime.value("q")
    children = [start(add_under_lock, value, 300) for _ in range(3)]
    add_under_lock(value, 300)
    for child in children:
        child.join(20)
    assert value.value == 1200


def test_a_lock_excludes_threads(runtime):
    value = runtime.value("q")
    threads = [threading.Thread(target=add_under_lock, args=(value, 300)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value.value == 900


def test_a_lock_excludes_the_threads_of_a_process_whichever_copy_of_it_they_have(runtime):
    lock = runtime.lock()
    copied = pickle.loads(pickle.dumps(lock))
    with lock:
        assert in_thread(lambda: copied.acquire(block=False)) is False
        assert in_thread(lambda: copied.acquire(timeout=0.01)) is False
    assert in_thread(lambda: held(copied)) is False


def test_letting_go_of_one_copy_keeps_the_lock_for_other_processes(runtime, start):
    lock, has_it = runtime.lock(), runtime.event()
    copied = pickle.loads(pickle.dumps(lock))
    with lock:
        with copied:
            pass
        start(take_lock_and_hang, lock, has_it)
        runtime.wait([], timeout_s=0.02)
        assert not has_it.is_set()
    until(has_it.is_set)


def test_a_lock_may_be_taken_again_by_who_has_it(runtime):
    # As with `multiprocessing.Value`: `with value.get_lock(): value.value = ...`
    lock = runtime.lock()
    with lock:
        assert lock.acquire(timeout=0.05)
        lock.release()
        assert in_thread(lambda: held(lock))
    assert not in_thread(lambda: held(lock))


def test_locks_are_independent(runtime):
    first, second = runtime.lock(), runtime.lock()
    with first:
        assert in_thread(lambda: held(second)) is False
        assert in_thread(lambda: held(first)) is True


@pytest.mark.parametrize("timeout_s", [0, -1, -0.5, 0.01])
def test_a_lock_that_is_taken_is_given_up_in_time(runtime, start, timeout_s):
    lock = runtime.lock()
    with lock:
        assert in_thread(lambda: lock.acquire(timeout=timeout_s)) is False
    assert lock.acquire(timeout=timeout_s)
    lock.release()


def test_a_wait_that_is_interrupted_does_not_keep_the_lock_from_others(runtime, start, monkeypatch):
    lock, has_it = runtime.lock(), runtime.event()
    child = start(take_lock_and_hang, lock, has_it)
    until(has_it.is_set)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Event, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            lock.acquire(timeout=5)
    kill(child)
    assert in_thread(lambda: held(lock)) is False


def test_a_lock_is_given_back_when_the_block_fails(runtime):
    lock = runtime.lock()
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    assert in_thread(lambda: held(lock)) is False


def test_a_lock_that_was_never_taken_can_not_be_released(runtime):
    with pytest.raises(RuntimeError):
        runtime.lock().release()


def test_a_forked_process_is_not_stuck_by_a_thread_that_had_the_lock(runtime, start):
    lock, has_it = runtime.lock(), runtime.event()
    release, taken = threading.Event(), threading.Event()

    def keep():
        with lock:
            taken.set()
            release.wait(10)

    thread = threading.Thread(target=keep)
    thread.start()
    taken.wait(10)
    start(take_lock_and_hang, lock, has_it)
    release.set()
    thread.join()
    until(has_it.is_set)
