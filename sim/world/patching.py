"""Replaces functions wherever code may hold them, for a while, and puts every one back.

A function of a module is reached by its attribute, by any other module's global name for it
(`from time import sleep`), and one of a built-in type only by way of that type.
"""

import ctypes
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

_Place = tuple[dict[str, Any], str, Any, Any]  # a namespace, a name in it, what was, what is to be


@dataclass(frozen=True)
class Replacement:
    """What stands in for a function.

    Attributes:
        owner: A module, a class or a built-in type.
        name: Of the function in it.
        original: What it is.
        substitute: What it is to be.
    """

    owner: Any
    name: str
    original: Any
    substitute: Any


def replacement(owner: Any, name: str, make: Callable[[Any], Any]) -> Replacement:
    """Return what stands in for a function: `make` is given the original, as `owner` holds it."""
    original = vars(owner)[name]
    return Replacement(owner, name, original, make(original))


class Patches:
    """Functions with their substitutes, put in place and removed together.

    Args:
        replacements: All of them; they do not change.
        spared: Says of a module's name whether it keeps the functions that it has by other names.
    """

    def __init__(self, replacements: Sequence[Replacement], spared: Callable[[str], bool]) -> None:
        self._spared = spared
        self._in_types = [r for r in replacements if _is_builtin(r.owner)]
        self._in_others = [r for r in replacements if not _is_builtin(r.owner)]
        self._by_id = {
            id(r.original): r for r in self._in_others if isinstance(r.owner, ModuleType)
        }
        self._namespaces = {id(r.owner): _dictionary(r.owner) for r in self._in_types}
        self._aliases: list[_Place] = []
        self._seen: dict[str, Any] = {}
        self._newest: Any = None
        self._count = 0

    def install(self) -> None:
        """Put every substitute in place."""
        self._look_for_aliases()
        for r in self._in_others:
            setattr(r.owner, r.name, r.substitute)
        for namespace, name, original, substitute in self._aliases:
            if namespace.get(name) is original:
                namespace[name] = substitute
        self._set_in_types(lambda r: r.substitute)

    def remove(self) -> None:
        """Put every original back."""
        self._set_in_types(lambda r: r.original)
        for namespace, name, original, substitute in self._aliases:
            if namespace.get(name) is substitute:
                namespace[name] = original
        for r in self._in_others:
            setattr(r.owner, r.name, r.original)

    def _set_in_types(self, choose: Callable[[Replacement], Any]) -> None:
        for r in self._in_types:
            self._namespaces[id(r.owner)][r.name] = choose(r)
        for r in self._in_types:
            _forget_cached(r.owner)

    def _look_for_aliases(self) -> None:
        newest = sys.modules[next(reversed(sys.modules))]
        if newest is self._newest and len(sys.modules) == self._count:
            return  # nothing was imported since
        self._newest, self._count = newest, len(sys.modules)
        for name, module in list(sys.modules.items()):
            if self._seen.get(name) is not module:
                self._seen[name] = module
                if not self._spared(name):
                    self._aliases += self._aliases_in(_namespace(module))

    def _aliases_in(self, namespace: dict[str, Any]) -> list[_Place]:
        found = []
        for name, value in list(namespace.items()):
            r = self._by_id.get(id(value))
            if r is not None and namespace is not vars(r.owner):
                found.append((namespace, name, r.original, r.substitute))
        return found


def _namespace(module: Any) -> dict[str, Any]:
    try:  # not by way of the module's own __getattribute__, which may load it
        namespace = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return namespace if isinstance(namespace, dict) else {}


def _is_builtin(owner: Any) -> bool:
    return isinstance(owner, type) and owner.__flags__ & (1 << 8) != 0  # immutable


def _dictionary(owner: type) -> dict[str, Any]:
    """Return the dictionary behind a built-in type's read-only `__dict__`."""
    mapping: Mapping[str, Any] = owner.__dict__
    (found,) = (thing for thing in gc.get_referents(mapping) if type(thing) is dict)
    return found


_forget_cached: Callable[[type], None] = ctypes.pythonapi.PyType_Modified
_forget_cached.argtypes = [ctypes.py_object]  # type: ignore[attr-defined]
_forget_cached.restype = None  # type: ignore[attr-defined]
