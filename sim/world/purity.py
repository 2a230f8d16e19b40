"""Names whoever reaches around the seam while a world runs: for time, chance, threads, processes.

While a task runs, each function below raises `ImpurityError` unless a library that is known to be
harmless calls it, and the world lists it as a violation `D1`. What a module does to the order of a
set of strings can not be seen here: run twice with another `PYTHONHASHSEED` and compare hashes.
"""

import sys
from _thread import get_ident
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from types import FrameType
from typing import Any

from greenlet import GreenletExit

from sim.world.forbidden import FORBIDDEN, REFUSED, Call, Forbidden
from sim.world.kernel import POLL_NS, Kernel, Task
from sim.world.patching import Patches, Replacement, replacement

READS_AT_ONCE = 100

# Whoever calls these is meant, not they themselves.
CARRIERS = (
    "_strptime", "asyncio", "concurrent", "datetime", "hal.clock", "multiprocessing", "queue",
    "random", "sched", "secrets", "selectors", "subprocess", "threading", "uuid",
)  # fmt: skip

# They may: nothing of it comes to a manager's ears.
ALLOWED = (
    "_pytest", "coverage", "execnet", "hypothesis", "pytest", "pytest_timeout", "xdist",  # the test
    "h5py", "numpy",  # locks of their own, and the seeds of generators that they never use
    "importlib", "_frozen_importlib", "_frozen_importlib_external", "zipimport",  # import locks
    "logging",  # a time on a line for a reader
    "sim.world",  # the world itself
    "tempfile", "shutil",  # names of files that are gone before the end
)  # fmt: skip
OURS = ("magscope", "hal", "sim")
_IMPORTING = ("importlib._bootstrap", "_frozen_importlib")


class ImpurityError(Exception):
    """A process of a world reached around the seam.

    Attributes:
        process: Which.
        what: What it called.
        where: File and line.
    """

    def __init__(self, process: str, does: str, what: str, where: str, instead: str) -> None:
        super().__init__(f"{process} {does}: {what} at {where}; {instead}")
        self.process = process
        self.what = what
        self.where = where


@dataclass(frozen=True)
class Caller:
    """Who called a forbidden function.

    Attributes:
        module: By name.
        where: File and line.
        by_way_of: Of which other function; "" for none.
        is_deadline: Whether that only works out a deadline for a wait, which is judged by itself.
    """

    module: str
    where: str
    by_way_of: str
    is_deadline: bool


class Watch:
    """A context manager: while it is open, the tasks of a kernel are watched.

    It may be opened again and again, and costs nothing while it is closed.

    Args:
        kernel: Whose tasks.
        patch_time: Give the world's time to code that is not ours, instead of refusing.

    Attributes:
        violations: Everything that was found, each once.
    """

    def __init__(self, kernel: Kernel, *, patch_time: bool = False) -> None:
        self.kernel = kernel
        self.patch_time = patch_time
        self.violations: dict[str, None] = {}
        self._outer: Watch | None = None
        self._reader: tuple[Task | None, int, int] = (None, 0, 0)
        self._reads = 0

    def __enter__(self) -> "Watch":
        self._outer = _open.get(get_ident())
        if not _open:
            _patches.install()
        _open[get_ident()] = self
        return self

    def __exit__(self, *_: object) -> None:
        if self._outer is None:
            del _open[get_ident()]
        else:
            _open[get_ident()] = self._outer
        if not _open:
            _patches.remove()

    def judge(
        self, rule: Forbidden, function: Callable[..., Any], args: tuple, kwargs: dict
    ) -> Any:
        """Let a task's call through, answer it with the world's time, or refuse it."""
        kernel = self.kernel
        caller = _caller(sys._getframe(2))  # noqa: SLF001 - there is no other way
        if caller is None:
            return function(*args, **kwargs)
        if rule.answer is not None:
            may_have_time = self.patch_time and not _is_in(caller.module, OURS)
            if rule.is_reading and may_have_time:
                self._charge()
            answer = rule.answer(Call(function, args, kwargs, caller.module, may_have_time))
            if answer is not REFUSED:
                return answer
        if rule.is_reading and caller.is_deadline:
            return function(*args, **kwargs)
        task = kernel.current
        assert task is not None
        if kernel.is_closed:  # what a task does while it is unwound, nobody sees
            raise GreenletExit
        what = (caller.by_way_of or rule.title) + "()"
        error = ImpurityError(task.name, rule.does, what, caller.where, rule.instead)
        self.violations.setdefault(f"D1: {error}")
        kernel.trace.add(kernel.now_ns, task.name, "impurity", what)
        raise error

    def _charge(self) -> None:
        """Let time pass, ever faster, for a task that reads the time until it has passed."""
        task = self.kernel.current
        assert task is not None
        reader = (task, task.hits.get("wait", 0), task.hits.get("clock.sleep", 0))
        self._reads = self._reads + 1 if reader == self._reader else 0
        self._reader = reader
        times = self._reads // READS_AT_ONCE
        if times and not self.kernel.is_closed:
            self.kernel.sleep(POLL_NS * min(times, 50))


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in packages)


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _caller(frame: FrameType | None) -> Caller | None:
    """Return who is answerable for a call; None if it may."""
    by_way_of = ""
    is_deadline = frame is not None and _module(frame) in ("queue", "threading")
    while frame is not None and _is_in(_module(frame), CARRIERS):
        name = frame.f_code.co_qualname.removesuffix(".__init__")
        by_way_of = f"{_module(frame)}.{name}"
        frame = frame.f_back
    if frame is None or _is_in(_module(frame), ALLOWED) or _is_imported_library(frame):
        return None
    path = frame.f_code.co_filename.replace("\\", "/")
    module = _module(frame)
    parts = module.count(".") + (2 if path.endswith("/__init__.py") else 1)
    where = "/".join(path.split("/")[-parts:])
    return Caller(module, f"{where}:{frame.f_lineno}", by_way_of, is_deadline)


def _is_imported_library(frame: FrameType) -> bool:
    """Whether an installed module is just being loaded: it may look at the clock once."""
    path = frame.f_code.co_filename
    if "site-packages" not in path and _module(frame).partition(".")[0] not in (
        sys.stdlib_module_names
    ):
        return False
    above = frame.f_back
    while above is not None:
        if _module(above).startswith(_IMPORTING):
            return True
        above = above.f_back
    return False


def _guarded(rule: Forbidden, original: Any) -> Any:
    function = original.__func__ if isinstance(original, classmethod) else original

    def guard(*args: Any, **kwargs: Any) -> Any:
        watch = _open.get(get_ident())
        if watch is None or watch.kernel.current is None:
            return function(*args, **kwargs)
        return watch.judge(rule, function, args, kwargs)

    return wraps(function)(guard)


def _guarded_class_method(rule: Forbidden, original: Any) -> Any:
    @wraps(original)
    def guard(cls: type, *args: Any, **kwargs: Any) -> Any:
        bound = original.__get__(None, cls)
        watch = _open.get(get_ident())
        if watch is None or watch.kernel.current is None:
            return bound(*args, **kwargs)
        return watch.judge(rule, bound, args, kwargs)

    return classmethod(guard)


def _replacements() -> list[Replacement]:
    return [
        replacement(
            rule.owner,
            rule.name,
            partial(_guarded_class_method if rule.is_class_method else _guarded, rule),
        )
        for rule in FORBIDDEN
    ]


def _keeps_aliases(module: str) -> bool:
    return _is_in(module, ALLOWED)


# Functions are replaced for the whole interpreter, and one thread may run one world.
_open: dict[int, Watch] = {}
_patches = Patches(_replacements(), _keeps_aliases)
