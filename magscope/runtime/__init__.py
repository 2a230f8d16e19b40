"""Where managers get time, processes, pipes, locks and shared memory: the current runtime.

The runtime is ambient: `current()` is the operating system's unless a caller has set another one
with `use` for its own context.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from magscope.runtime.base import (
    MAX_FRAME_BYTES,
    Bell,
    Endpoint,
    Event,
    Foreign,
    Helper,
    Lock,
    Runtime,
    SharedMemory,
    Value,
)
from magscope.runtime.os_runtime import OsRuntime
from magscope.runtime.process import RuntimeProcess

_chosen: ContextVar[Runtime | None] = ContextVar("magscope_runtime", default=None)


@cache
def machine() -> OsRuntime:
    """Return the operating system's runtime in this process."""
    return OsRuntime()


def current() -> Runtime:
    """Return the runtime of this context."""
    return _chosen.get() or machine()


@contextmanager
def use(runtime: Runtime) -> Iterator[Runtime]:
    """Make `runtime` the current one within a `with` block."""
    token = _chosen.set(runtime)
    try:
        yield runtime
    finally:
        _chosen.reset(token)


__all__ = [
    "MAX_FRAME_BYTES",
    "Bell",
    "Endpoint",
    "Event",
    "Foreign",
    "Helper",
    "Lock",
    "Runtime",
    "RuntimeProcess",
    "SharedMemory",
    "Value",
    "current",
    "machine",
    "use",
]
