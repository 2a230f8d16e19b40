"""The ordered list of everything that happened in a world, and its hash."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

_BATCH = 512


class Step(NamedTuple):
    """One thing that happened.

    Attributes:
        t_ns: Virtual time.
        process: Whose doing it was; `world` for the world's own.
        site: The kind of operation: `pipe.send`, `lock.acquire`, `fault.crash`.
        object: What it was done to.
        detail: What came of it.
    """

    t_ns: int
    process: str
    site: str
    object: str
    detail: str

    def __str__(self) -> str:
        tail = f" {self.detail}" if self.detail else ""
        return f"{self.t_ns / 1e9:14.9f}  {self.process:24} {self.site:16} {self.object}{tail}"


@dataclass(frozen=True)
class Mark:
    """A hash so far: of the first `steps` steps of a trace."""

    steps: int
    digest: str


class Trace:
    """Takes down every step and keeps a rolling hash of them all.

    The hash covers each step's time, process, site, object and detail; two runs with the same hash
    did the same. Marks along the way tell where two traces part.

    Args:
        keep: Whether the steps themselves are kept; the hash needs none of them.

    Attributes:
        on_error: Called with an observer that has failed, and its error, instead of raising it.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self.steps: list[Step] = []
        self.marks: list[Mark] = []
        self.count = 0
        self.on_error: Callable[[Callable[[Step], None], Exception], None] | None = None
        self._keep = keep
        self._observers: dict[str, list[Callable[[Step], None]]] = {}
        self._hash = blake2b(digest_size=16)
        self._batch: list[str] = []

    def add(self, t_ns: int, process: str, site: str, obj: str, detail: str = "") -> None:
        """Take down a step."""
        self.count += 1
        self._batch.append(f"{t_ns}\x1f{process}\x1f{site}\x1f{obj}\x1f{detail}\x1e")
        observers = self._observers.get(site)
        if self._keep or observers is not None:
            step = Step(t_ns, process, site, obj, detail)
            if self._keep:
                self.steps.append(step)
            for observe in observers or ():
                try:
                    observe(step)
                except Exception as error:
                    if self.on_error is None:
                        raise
                    self.on_error(observe, error)
        if len(self._batch) >= _BATCH:
            self._flush()

    def observe(self, site: str, observer: Callable[[Step], None]) -> None:
        """Let every step of a site be seen, before it takes effect."""
        self._observers.setdefault(site, []).append(observer)

    @property
    def hash(self) -> str:
        """The hash of all steps so far."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        if self._batch:
            self._hash.update("".join(self._batch).encode())
            self._batch.clear()
            self.marks.append(Mark(self.count, self._hash.hexdigest()[:16]))
