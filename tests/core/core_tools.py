"""What the tests of this folder share; spawned children import it by name."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import settings

from hal import Clock
from hal.clock import NS_PER_S
from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.runtime import Endpoint, RuntimeProcess, current, machine
from magscope.runtime.os_session import leftovers

RULES = settings(
    deadline=None, derandomize=True, database=None, max_examples=50, stateful_step_count=25
)


class ManualClock(Clock):
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.elapsed_ns = 0

    def now_ns(self) -> int:
        return 1_700_000_000 * NS_PER_S + self.elapsed_ns

    def monotonic_ns(self) -> int:
        return self.elapsed_ns

    def sleep_s(self, seconds: float) -> None:
        self.elapsed_ns += round(seconds * NS_PER_S)


def until(condition: Callable[[], Any], within_s: float = 10.0) -> None:
    """Come back as soon as the condition holds; fail when it does not in time."""
    clock = machine().clock
    deadline_ns = clock.monotonic_ns() + int(within_s * NS_PER_S)
    while not condition():
        if clock.monotonic_ns() > deadline_ns:
            raise AssertionError(f"{condition} did not come true within {within_s} s")
        machine().wait([], timeout_s=0.001)


class Child(RuntimeProcess):
    """Does one task in a process of the session, and keeps only its own ends open."""

    def __init__(self, task: Callable, *args: Any, ends: Sequence[Endpoint] = ()) -> None:
        super().__init__()
        self._task, self._args_of_task, self._ends_of_task = task, args, ends

    def own_ends(self) -> Sequence[Endpoint]:
        return self._ends_of_task

    def run(self) -> None:
        current().enter(self)
        self._task(*self._args_of_task, *self._ends_of_task)


def hang(*_: Any) -> None:
    """Do nothing, for ever."""
    threading.Event().wait()


def receive(end: Endpoint, within_s: float = 10.0) -> bytes:
    """Return the next frame, waiting for it."""
    deadline_ns = current().clock.monotonic_ns() + int(within_s * NS_PER_S)
    while (frame := end.receive()) is None:
        left_s = (deadline_ns - current().clock.monotonic_ns()) / NS_PER_S
        if left_s < 0:
            raise AssertionError(f"no frame came within {within_s} s")
        current().wait([end], timeout_s=left_s)
    return frame


def send(end: Endpoint, frame: bytes) -> None:
    """Send a frame whole, waiting for room."""
    while not end.send(frame):
        current().wait((), [end])
    while not end.flush():
        current().wait((), [end])


def take_lock_and_hang(lock: Any, has_it: Any) -> None:
    with lock:
        has_it.set()
        hang()


def add_under_lock(value: Any, times: int) -> None:
    for _ in range(times):
        with value.get_lock():
            value.value = value.value + 1


def use_everything(locks: Any, value: Any, event: Any, bell: Any, end: Endpoint) -> None:
    """Leave a mark in each shared thing: what the parent looks for."""
    with MatrixBuffer(create=False, locks=locks, name="TracksBuffer") as rows:
        rows.write(rows.read() + 1)
    with VideoBuffer(create=False, locks=locks) as frames:
        image, t = frames.read_image()
        frames.write_image_and_timestamp((image.T + 1).tobytes(), t + 1)
    with value.get_lock():
        value.value += 1
    event.set()
    bell.ring()
    send(end, b"from the child")


def attach_and_mark(locks: Any) -> None:
    """Find the creator's segments from a process that knows nothing but the locks."""
    with (
        MatrixBuffer(create=False, locks=locks, name="TracksBuffer") as rows,
        VideoBuffer(create=False, locks=locks) as frames,
    ):
        frames.write_image_and_timestamp(bytes(frames.image_size), 2.5)
        rows.write(np.full((1, rows.shape[1]), 7.0))


def echo(end: Endpoint) -> None:
    """Send back what comes, until the other end is closed."""
    while True:
        try:
            send(end, receive(end, 60.0))
        except (EOFError, BrokenPipeError):
            return


def mark_the_end(seen: Any, end: Endpoint) -> None:
    """Wait for the other end to be closed, and say so."""
    try:
        receive(end, 60.0)
    except EOFError:
        seen.set()


def stop_in_the_middle_of_a_frame(whole: int, end: Endpoint) -> None:
    """Send whole frames, then one that does not fit into the pipe, and hang with its rest."""
    for number in range(whole):
        send(end, b"frame %d" % number)
    end.send(bytes(8_000_000))
    hang()


def send_and_hang(count: int, has_sent: Any, end: Endpoint) -> None:
    """Send so many frames, read nothing, and hang."""
    for number in range(count):
        send(end, b"frame %d" % number)
    has_sent.set()
    hang()


def parent_of_two(seen: Sequence[Any], ready: Any) -> None:
    """Start two children whose pipes end here, and hang."""
    kept = []
    for event in seen:
        mine, its = current().pipe()
        Child(mark_the_end, event, ends=[its]).start()
        kept.append(mine)
    ready.set()
    hang(kept)


def own_a_session(end: Endpoint) -> None:
    """Begin a session with a buffer in it, say which, and go when told to."""
    runtime = current()
    session = runtime.begin_session()
    locks = {"orphan": runtime.lock()}
    kept = MatrixBuffer(create=True, locks=locks, name="orphan", shape=(4, 2))
    kept.write(np.ones((1, 2)))
    end.send(session.encode())
    assert receive(end, 60.0) == b"end it"
    runtime.end_session()
    end.send(b"ended")


def report_leftovers(end: Endpoint) -> None:
    """Tell what a process that knows nothing of the live sessions holds for left over."""
    send(end, "\n".join(leftovers(current().session)).encode())


def watch_the_owner(is_gone: Any, ready: Any, before: Any) -> None:
    """Note whether the session's owner is there, and when it is there no more."""
    before.value = int(current().owner_is_gone())
    ready.set()
    until(current().owner_is_gone)
    is_gone.set()


def kill(process: multiprocessing.Process) -> None:
    """End a process as a crash does, and wait until it is gone."""
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert process.exitcode == -signal.SIGKILL
