"""How a process of a world is given its own copy of the object that stands for it."""

import io
import multiprocessing
import pickle
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CellType, CodeType, FunctionType
from typing import Any

from magscope.runtime import RuntimeProcess
from sim.world.pipes import VirtualBell, VirtualEndpoint
from sim.world.sync import VirtualEvent, VirtualLock, VirtualValue

HANDED_OVER = frozenset({VirtualEndpoint, VirtualBell, VirtualLock, VirtualValue})
_KEY_TYPE = type(multiprocessing.current_process().authkey)

Finder = Callable[[str], Any]
_finder: ContextVar[Finder] = ContextVar("finder")
_code: ContextVar[list[Any]] = ContextVar("code")


def copied(process: RuntimeProcess, is_forked: bool, find: Finder) -> RuntimeProcess:
    """Return a copy of an object, as a process has it that was started with it.

    Args:
        process: The object.
        is_forked: Whether functions and classes that no module has are handed over, too.
        find: Returns a shared thing, by its name, as the new process has it.
    """
    file, code = io.BytesIO(), list[Any]()
    _Pickler(file, is_forked, code).dump(process)
    finder, codes = _finder.set(find), _code.set(code)
    try:
        copy: RuntimeProcess = pickle.loads(file.getbuffer())
    finally:
        _finder.reset(finder)
        _code.reset(codes)
    return copy


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, is_forked: bool, code: list[Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._is_forked = is_forked
        self._code = code

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind in HANDED_OVER:
            return _thing, (obj.name,)
        if kind is VirtualEvent:
            return _event, (obj.word.name,)
        if kind is CodeType or (issubclass(kind, type) and self._is_local(obj)):
            self._code.append(obj)
            return _shared_code, (len(self._code) - 1,)
        if kind is FunctionType and self._is_local(obj):
            cells = obj.__closure__ or ()
            parts = (obj.__code__, obj.__module__, obj.__name__, obj.__defaults__, len(cells))
            state = ([cell.cell_contents for cell in cells], obj.__kwdefaults__)
            return _empty_function, parts, state, None, None, _fill_function
        # The key of multiprocessing's own connections, which it lets nobody pickle but itself.
        return (bytes, (bytes(obj),)) if kind is _KEY_TYPE else NotImplemented

    def _is_local(self, obj: Any) -> bool:
        return self._is_forked and "<" in obj.__qualname__


def _thing(name: str) -> Any:
    return _finder.get()(name)


def _event(name: str) -> VirtualEvent:
    return VirtualEvent(_thing(name))


def _shared_code(index: int) -> Any:
    return _code.get()[index]


def _empty_function(
    code: CodeType, module: str, name: str, defaults: tuple | None, cells: int
) -> FunctionType:
    closure = tuple(CellType() for _ in range(cells))
    return FunctionType(code, vars(sys.modules[module]), name, defaults, closure)


def _fill_function(function: FunctionType, state: tuple[list[Any], dict[str, Any] | None]) -> None:
    contents, function.__kwdefaults__ = state
    for cell, value in zip(function.__closure__ or (), contents, strict=True):
        cell.cell_contents = value
