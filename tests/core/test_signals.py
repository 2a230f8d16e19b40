"""A signal that does not interrupt the system call in which the main thread waits is heard, too.

One that comes in the instant before the call is like that, and so is one that another thread takes:
the latter can be had at will.
"""

import multiprocessing.util
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from core_tools import Child, hang, until

from magscope.runtime import current, machine
from magscope.runtime.base import Bell


def wait_for_nothing() -> None:
    current().wait([current().bell()])


def sleep_for_long() -> None:
    current().clock.sleep_s(3600.0)


def with_a_thread_that_takes_the_signal(task: Callable[[], None], now: Bell, waits: Bell) -> None:
    def take_it() -> None:
        current().wait([now])
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    threading.Thread(target=take_it, daemon=True).start()
    waits.ring()
    task()


def be_long_in_ending(waits: Bell) -> None:
    multiprocessing.util._flush_std_streams = hang  # the last thing that is done
    waits.ring()


@contextmanager
def ends_when_told(task: Callable[..., None], *args: Any) -> Iterator[Child]:
    """Start a child, and wait until it sleeps; when it has been told, it must end."""
    waits = machine().bell()
    child = Child(task, *args, waits)
    child.start()
    try:
        assert machine().wait([waits], timeout_s=20)
        until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_SLEEPING)
        yield child
        child.join(20)
        assert child.exitcode == 143
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("task", [wait_for_nothing, sleep_for_long])
def test_a_request_to_terminate_that_interrupts_no_system_call_is_heard(task):
    now = machine().bell()
    with ends_when_told(with_a_thread_that_takes_the_signal, task, now):
        now.ring()


def test_a_request_to_terminate_that_comes_when_the_work_is_done_is_heard():
    with ends_when_told(be_long_in_ending) as child:
        child.terminate()
