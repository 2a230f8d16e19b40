"""What modules and classes keep in variables of their own, for each process of a world apart.

Processes of the operating system have their own copy of every module; here there is one for all.
So what a user's module or class keeps in its variables is copied for each process that is made of
it, and is in place only while that process runs. `magscope`, `hal`, `sim` and installed packages
are taken to keep nothing there that tells one process from another.
"""

import copy
import sys
from collections.abc import Iterable
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MappingProxyType, ModuleType
from typing import Any

_OURS = ("magscope", "hal", "sim")
_CODE = (
    FunctionType, BuiltinFunctionType, ModuleType, type, property, classmethod, staticmethod,
)  # fmt: skip

Space = ModuleType | type


class OwnMemory:
    """A context manager: while it is open, the modules and classes have one process' values.

    Args:
        spaces: The modules and classes; their values are copied as they are now.
    """

    def __init__(self, spaces: Iterable[Space]) -> None:
        memo: dict[int, Any] = {}
        self._own = {
            space: {name: _copied(value, memo) for name, value in _variables(space).items()}
            for space in spaces
        }
        self._outer: dict[Space, dict[str, Any]] = {}

    def __enter__(self) -> None:
        for space, own in self._own.items():
            self._outer[space] = _variables(space)
            _replace(space, self._outer[space], own)

    def __exit__(self, *_: object) -> None:
        for space, outer in self._outer.items():
            own = self._own[space] = _variables(space)
            _replace(space, own, outer)
        self._outer.clear()

    def __len__(self) -> int:
        return len(self._own)


def spaces_of(thing: object) -> list[Space]:
    """Return the users' modules, with their classes, that an object and its attributes are of."""
    spaces: dict[Space, None] = {}
    parts = (thing, *vars(thing).values())
    for part in parts:
        if type(part) is FunctionType and _is_users(part.__module__):
            spaces[sys.modules[part.__module__]] = None
    for kind in dict.fromkeys(part if isinstance(part, type) else type(part) for part in parts):
        spaces.update(_spaces_of_class(kind))
    for module in [space for space in spaces if isinstance(space, ModuleType)]:
        for found in vars(module).values():
            if isinstance(found, type) and found.__module__ == module.__name__:
                spaces[found] = None
    return list(spaces)


@lru_cache(maxsize=4096)  # every process asks of every class it is made of
def _spaces_of_class(kind: type) -> dict[Space, None]:
    spaces: dict[Space, None] = {}
    for cls in kind.__mro__:
        if _is_users(cls.__module__):
            spaces[sys.modules[cls.__module__]] = None
            spaces[cls] = None
    return spaces


def _is_users(module: str) -> bool:
    return module in sys.modules and not _is_trusted(module)


@lru_cache(maxsize=4096)
def _is_trusted(module: str) -> bool:
    root = module.partition(".")[0]
    if root in _OURS or root in sys.stdlib_module_names:
        return True
    path = getattr(sys.modules[module], "__file__", None) or ""
    return "site-packages" in path or "dist-packages" in path


def _variables(space: Space) -> dict[str, Any]:
    found: dict[str, Any] | MappingProxyType[str, Any] = vars(space)
    return {
        name: value
        for name, value in found.items()
        if not isinstance(value, _CODE) and name[:2] != "__" and name != "_abc_impl"
    }


def _replace(space: Space, present: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name in present.keys() - wanted.keys():
        delattr(space, name)
    for name, value in wanted.items():
        if name not in present or present[name] is not value:
            setattr(space, name, value)


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    if type(value) is object or hasattr(value, "__get__"):  # a mark, known by what it is
        return value
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # what can not be copied is shared: a file, a lock
        return value
