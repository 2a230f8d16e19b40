"""What reaches around the seam: every function, what calling it means, what to call instead."""

import _multiprocessing  # type: ignore[import-not-found]
import _queue
import _thread
import datetime as dt
import multiprocessing.connection
import multiprocessing.process
import multiprocessing.shared_memory
import multiprocessing.synchronize
import os
import random
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hal.clock import NS_PER_S
from magscope.runtime import current

REFUSED = object()
READ, SLEEP, DRAW = "reads the wall clock", "sleeps in real time", "draws at random without a seed"
THREAD, PROCESS = "starts a thread", "starts a process of the operating system"
BLOCK, SHARE = "locks or waits as only threads can", "makes what only real processes share"
ASK_CLOCK = "ask current().clock"
ASK_SLEEP = "ask current().clock.sleep_s, or current().wait for what it waits for"
ASK_SEED = "draw from numpy.random.default_rng(seed)"
ASK_PROCESS = "let a manager of its own do the work"
ASK_LOCK = "ask current() for a lock, an event or a pipe, or current().wait for several"


@dataclass(frozen=True)
class Call:
    """A task's call of a forbidden function.

    Attributes:
        function: The original; bound, if it is a class method.
        module: Of the caller.
        patch_time: Whether this caller may have the world's time instead.
    """

    function: Callable[..., Any]
    args: tuple
    kwargs: dict[str, Any]
    module: str
    patch_time: bool


@dataclass(frozen=True)
class Forbidden:
    """A function that a task must not call.

    Attributes:
        owner: A module or a class.
        name: Of the function in it.
        title: What a reader knows it as.
        does: What whoever calls it does.
        instead: What to do instead.
        answer: Returns what this call gives all the same, or REFUSED; None: always refused.
        is_reading: Whether it reads a clock.
        is_class_method: Of a built-in type.
    """

    owner: Any
    name: str
    title: str
    does: str
    instead: str
    answer: Callable[[Call], Any] | None = None
    is_reading: bool = False
    is_class_method: bool = False


def _clock(answer: Callable[[Call], Any]) -> Callable[[Call], Any]:
    return lambda call: answer(call) if call.patch_time else REFUSED


def _now_ns(_: Call | None = None) -> int:
    return current().clock.now_ns()


def _monotonic_ns(_: Call | None = None) -> int:
    return current().clock.monotonic_ns()


def _now(_: Call) -> float:
    return _now_ns() / NS_PER_S


def _monotonic(_: Call) -> float:
    return _monotonic_ns() / NS_PER_S


def _named_clock_ns(call: Call) -> int:
    return _now_ns() if call.args[0] == time.CLOCK_REALTIME else _monotonic_ns()


def _named_clock(call: Call) -> float:
    return _named_clock_ns(call) / NS_PER_S


def _sleep(call: Call) -> None:
    (seconds,) = call.args
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    current().clock.sleep_s(seconds)


def _calendar(call: Call) -> Any:
    """Answer `localtime(seconds=now)` and the like."""
    if call.args and call.args[0] is not None:
        return call.function(*call.args)
    return call.function(_now(call)) if call.patch_time else REFUSED


def _calendar_text(position: int) -> Callable[[Call], Any]:
    """Answer `strftime(format, t=now)` and the like."""

    def answer(call: Call) -> Any:
        if len(call.args) > position:
            return call.function(*call.args)
        if not call.patch_time:
            return REFUSED
        return call.function(*call.args, LOCALTIME(_now(call)))

    return answer


def _datetime(call: Call, *, is_naive_utc: bool = False) -> dt.datetime:
    seconds, rest_ns = divmod(_now_ns(), NS_PER_S)
    zone = call.args[0] if call.args else call.kwargs.get("tz")
    cls = call.function.__self__  # type: ignore[attr-defined]
    moment = cls.fromtimestamp(seconds, dt.UTC if is_naive_utc else zone)
    moment = moment.replace(microsecond=rest_ns // 1000)
    return moment.replace(tzinfo=None) if is_naive_utc else moment


def _utcnow(call: Call) -> dt.datetime:
    return _datetime(call, is_naive_utc=True)


def _seed(call: Call) -> Any:
    """Answer `Random(a)`, which without `a` takes what the operating system gives."""
    if (call.args[1] if len(call.args) > 1 else call.kwargs.get("a")) is None:
        return REFUSED
    return call.function(*call.args, **call.kwargs)


def _acquire(call: Call) -> Any:
    """Answer `acquire(block=True, timeout=None)` as long as nobody has to wait.

    Nobody of this project takes such a lock: it excludes no other process. The others may, to
    protect a thing from threads that a world does not have.
    """
    if call.module.partition(".")[0] in ("magscope", "hal"):
        return REFUSED
    lock = call.args[0]
    if call.function(lock, False):
        return True
    may_block, timeout_s = _patience(call)
    if not may_block:
        return False
    if timeout_s is None or not call.patch_time:
        return REFUSED
    current().clock.sleep_s(timeout_s)
    return call.function(lock, False)


def _get(call: Call) -> Any:
    """Answer `SimpleQueue.get(block=True, timeout=None)` as long as nobody has to wait."""
    queue = call.args[0]
    may_block, timeout_s = _patience(call)
    try:
        return call.function(queue, False)
    except _queue.Empty:
        if not may_block:
            raise
    if timeout_s is None or not call.patch_time:
        return REFUSED
    current().clock.sleep_s(timeout_s)
    return call.function(queue, False)


def _patience(call: Call) -> tuple[bool, float | None]:
    """Return whether a call may block, and for how many seconds; None: for ever."""
    given = dict(zip(("self", "block", "timeout"), call.args, strict=False)) | call.kwargs
    may_block = bool(given.get("blocking", given.get("block", True)))
    timeout_s = given.get("timeout")
    return may_block and timeout_s != 0, None if timeout_s is None or timeout_s < 0 else timeout_s


def _times() -> Iterator[Forbidden]:
    answers: dict[str, Callable[[Call], Any]] = {
        "time": _clock(_now), "time_ns": _clock(_now_ns),
        "clock_gettime": _clock(_named_clock), "clock_gettime_ns": _clock(_named_clock_ns),
        "localtime": _calendar, "gmtime": _calendar, "ctime": _calendar,
        "asctime": _calendar_text(0), "strftime": _calendar_text(1),
    }  # fmt: skip
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        answers |= {name: _clock(_monotonic), f"{name}_ns": _clock(_monotonic_ns)}
    for name, answer in answers.items():
        if hasattr(time, name):
            title = f"time.{name}"
            yield Forbidden(time, name, title, READ, ASK_CLOCK, answer, is_reading=True)
    yield Forbidden(time, "sleep", "time.sleep", SLEEP, ASK_SLEEP, _clock(_sleep))
    for name, answer in (("now", _datetime), ("utcnow", _utcnow)):
        yield Forbidden(
            dt.datetime, name, f"datetime.datetime.{name}", READ, ASK_CLOCK, _clock(answer),
            is_reading=True, is_class_method=True,
        )  # fmt: skip


def _draws() -> Iterator[Forbidden]:
    for module, generator in ((random, random._inst), (np.random, np.random.mtrand._rand)):  # noqa: SLF001
        for name, value in vars(module).items():
            if name[0] != "_" and getattr(value, "__self__", None) is generator:
                yield Forbidden(module, name, f"{module.__name__}.{name}", DRAW, ASK_SEED)
    for owner, name in (
        (np.random, "seed"), (np.random, "ranf"), (np.random, "sample"),
        (os, "urandom"), (os, "getrandom"), (uuid, "uuid1"), (uuid, "uuid4"),
    ):  # fmt: skip
        if hasattr(owner, name):
            yield Forbidden(owner, name, f"{owner.__name__}.{name}", DRAW, ASK_SEED)
    yield Forbidden(random.Random, "seed", "random.Random", DRAW, ASK_SEED, _seed)


def _starts() -> Iterator[Forbidden]:
    for name in ("start_new_thread", "start_joinable_thread"):
        if hasattr(_thread, name):
            yield Forbidden(_thread, name, f"_thread.{name}", THREAD, ASK_PROCESS)
    yield Forbidden(threading.Thread, "start", "threading.Thread.start", THREAD, ASK_PROCESS)
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system"):
        if hasattr(os, name):
            yield Forbidden(os, name, f"os.{name}", PROCESS, ASK_PROCESS)
    for owner, name, title in (
        (subprocess.Popen, "__init__", "subprocess.Popen"),
        (multiprocessing.process.BaseProcess, "start", "multiprocessing.Process.start"),
    ):
        yield Forbidden(owner, name, title, PROCESS, ASK_PROCESS)


def _locks() -> Iterator[Forbidden]:
    lock, semaphore = "threading.Lock.acquire", "multiprocessing.Lock.acquire"
    for owner, title in ((_thread.LockType, lock), (_multiprocessing.SemLock, semaphore)):
        for name in ("acquire", "__enter__"):
            yield Forbidden(owner, name, title, BLOCK, ASK_LOCK, _acquire)
    title = "queue.SimpleQueue.get"
    yield Forbidden(_queue.SimpleQueue, "get", title, BLOCK, ASK_LOCK, _get)
    for owner, name, title in (
        (multiprocessing.synchronize.SemLock, "__init__", "multiprocessing.Lock"),
        (multiprocessing.connection, "Pipe", "multiprocessing.Pipe"),
        (multiprocessing.shared_memory.SharedMemory, "__init__", "multiprocessing.SharedMemory"),
    ):
        yield Forbidden(owner, name, title, SHARE, ASK_LOCK)


LOCALTIME = time.localtime
FORBIDDEN = (*_times(), *_draws(), *_starts(), *_locks())
