"""Every test here has a session of its own, and must leave neither a process nor a name behind."""

import copy
import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Spawned children find the functions that they run by the module's name.
sys.path.append(str(Path(__file__).parent))

from core_tools import Child, ManualClock

from magscope.runtime import machine, os_memory, os_session, use
from magscope.runtime.os_memory import PREFIX
from magscope.runtime.os_session import _names


@pytest.fixture(autouse=True)
def session() -> Iterator[str]:
    """Begin a session for the test; afterwards nothing of this process' sessions may be left."""
    runtime = machine()
    singletons = dict(runtime.singletons())
    name = runtime.begin_session()
    yield name
    runtime.singletons().clear()
    runtime.singletons().update(singletons)
    strays = multiprocessing.active_children()
    for stray in strays:
        stray.kill()
        stray.join()
    runtime.end_session()
    assert not strays, f"the test left processes: {strays}"
    own = f"{PREFIX}{os.getpid():x}-"
    assert not [n for n in _names() if n.startswith(own)]


@pytest.fixture
def alone(session: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give this test's sessions a prefix of their own, so that nobody else sweeps what they leave.

    It holds in forked children; a program of its own must be told.
    """
    runtime, prefix = machine(), f"mgs_test_{os.getpid():x}-"
    runtime.end_session()
    with monkeypatch.context() as patched:
        for module in (os_memory, os_session):
            patched.setattr(module, "PREFIX", prefix)
        runtime.begin_session()
        yield prefix
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        runtime.end_session()
        assert _names() == []
    runtime.begin_session()


@pytest.fixture
def runtime() -> Any:
    """Return the operating system's runtime, in the test's session."""
    return machine()


@pytest.fixture
def start() -> Iterator[Any]:
    """Return a function that starts a child; what is still there after the test is killed."""
    children = []

    def begin(task: Any, *args: Any, ends: Any = ()) -> Child:
        child = Child(task, *args, ends=ends)
        child.start()
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.join(10)
        child.forget()


@pytest.fixture(params=["fork", "spawn"])
def start_method(request: Any) -> Iterator[str]:
    """Run the test under each way of starting a process."""
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    """Return the clock of a runtime that is otherwise the operating system's."""
    slowed = copy.copy(machine())
    slowed.clock = ManualClock()
    with use(slowed):
        yield slowed.clock
