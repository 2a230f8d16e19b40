"""Classes of which there is one instance in a process."""

from abc import ABCMeta
from collections.abc import Sequence
from typing import Any

from magscope.runtime import current


class SingletonMeta(type):
    """A metaclass of classes that have one instance; a second one raises TypeError."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the one instance."""
        return _only(cls, super().__call__, args, kwargs)


class SingletonABCMeta(ABCMeta):
    """`SingletonMeta` for abstract classes.

    A class with `_one_per_name = True` may have one instance for each value of `name`.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the one instance, or the one of its name."""
        return _only(cls, super().__call__, args, kwargs)


def _only(cls: type, create: Any, args: tuple, kwargs: dict) -> Any:
    instances = current().singletons()
    by_name = getattr(cls, "_one_per_name", False)
    if not by_name and cls in instances:
        raise TypeError(f"{cls.__name__} is a singleton, and there is one already")
    instance = create(*args, **kwargs)
    key = (cls, instance.name) if by_name else cls
    if key in instances:
        raise TypeError(f"there is a {cls.__name__} named {instance.name!r} already")
    instances[key] = instance
    return instance


def forget_singletons(instances: Sequence[object]) -> None:
    """Allow new instances once these have done their work."""
    known = current().singletons()
    for key in [k for k, instance in known.items() if any(instance is i for i in instances)]:
        del known[key]
