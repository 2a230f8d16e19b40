"""A device whose calls are written down, so that a failure can say how one gets there."""

from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np

from hal.camera import FrameInfo
from hal.device import Device

_TOLD = frozenset({"is_open", "is_moving", "target"})


class Calls:
    """What was asked of a device and what it answered, in order.

    Args:
        is_over: Set when nothing more is to be asked.

    Attributes:
        count: How many calls there were.
        pending: The call that has not returned yet; empty when there is none.
        last: The name of the newest call.
    """

    def __init__(self, is_over: Event) -> None:
        self._is_over = is_over
        self.count = 0
        self.pending = ""
        self.last = ""
        self._said: list[tuple[str, int]] = []

    def add(self, line: str) -> None:
        """Write a line; the same one again only counts."""
        if self._said and self._said[-1][0] == line:
            self._said[-1] = (line, self._said[-1][1] + 1)
        else:
            self._said.append((line, 1))

    def lines(self) -> tuple[str, ...]:
        """Return all lines, oldest first, the one that is pending at the end."""
        told = [f"{line}   ({n} times)" if n > 1 else line for line, n in self._said]
        if self.pending:
            told.append(f"{self.pending} has not returned")
        return tuple(told)

    def make(self, name: str, words: str, ask: Callable[[], Any]) -> Any:
        """Make a call and write down what came of it.

        Raises:
            InterruptedError: Nothing more is to be asked, as somebody has ended the checks.
        """
        if self._is_over.is_set():
            raise InterruptedError("the checks were interrupted")
        self.count, self.pending, self.last = self.count + 1, words, name
        try:
            answer = ask()
        except (Exception, SystemExit) as error:
            self.add(f"{words} raised {type(error).__name__}: {' '.join(str(error).split())}")
            raise
        else:
            self.add(words if answer is None and name != "fetch_into" else f"{words} -> "
                     + _in_words(answer))  # fmt: skip
            return answer
        finally:
            self.pending = ""


class Watched:
    """Stands before a device and writes down what is asked of it.

    Args:
        device: The device itself.
        calls: Where it is written.
        name: What the device is called there.
    """

    def __init__(self, device: Device, calls: Calls, name: str) -> None:
        self._device, self._calls, self._name = device, calls, name

    def __getattr__(self, name: str) -> Any:
        if name in _TOLD:
            words = f"{self._name}.{name}"
            return self._calls.make(name, words, lambda: getattr(self._device, name))
        value = getattr(self._device, name)
        if not callable(value):
            return value

        def call(*args: Any) -> Any:
            words = f"{self._name}.{name}({', '.join(map(_in_words, args))})"
            return self._calls.make(name, words, lambda: value(*args))

        return call


def _in_words(value: object) -> str:
    if isinstance(value, np.ndarray):
        return "out"
    if isinstance(value, FrameInfo):
        return f"frame {value.frame_number} of {value.timestamp_ns} ns"
    return repr(value)
