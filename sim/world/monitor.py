"""Shows a run to the properties that watch it, and collects what they say."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sim.properties.base import FrameSeen, Property
from sim.properties.facts import Facts
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World


class Monitor:
    """Shows steps and frames to properties.

    Attributes:
        violations: What does not hold, in the order in which it was found; each once.
        first_step: At which step the first one was found; None while all holds.
        reached: The rare states that the run came through.
        facts: What the properties need to know of the run.
    """

    facts: Facts

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.first_step: int | None = None
        self.reached: set[str] = set()
        self._properties: list[Property] = []
        self._world: World

    def watch(self, world: "World", properties: Iterable[type[Property]]) -> None:
        """Let properties watch a world."""
        self._world = world
        self.facts = Facts(world)
        self._properties = [make(world) for make in properties]
        for watcher in self._properties:
            for site in sorted(watcher.sites):
                world.trace.observe(site, watcher.step)
        world.trace.on_error = self._step_failed
        self._frame_watchers = {
            kind: [p for p in self._properties if kind in p.sees]
            for kind in ("messages", "work", "news")
        }
        if any(self._frame_watchers.values()):
            world.machine.on_frame = self._on_frame

    def _step_failed(self, observer: Callable[[Step], None], error: Exception) -> None:
        """Take a property's own mistake for no mistake of the process whose step it looked at."""
        watcher = getattr(observer, "__self__", None)
        if not isinstance(watcher, Property):
            raise error
        self.broken(watcher, error)

    def _on_frame(self, way: str, end: str, raw: bytes) -> None:
        kernel = self._world.kernel
        if kernel.current is None:
            return
        manager = self.facts.manager_of(end)
        seen = FrameSeen(kernel.now_ns, kernel.current.name, way, end, raw, manager)
        kind = "work" if raw[:1] == b"\x80" else "messages" if seen.event else "news"
        for watcher in self._frame_watchers[kind]:
            try:
                watcher.frame(seen)
            except Exception as error:
                self.broken(watcher, error)

    def end(self) -> None:
        """Let every property look at the end."""
        for watcher in self._properties:
            try:
                watcher.at_end()
            except Exception as error:
                self.broken(watcher, error)

    def report(self, text: str) -> None:
        """Take down a violation."""
        if text in self.violations:
            return
        if self.first_step is None:
            self.first_step = self._world.trace.count
        self.violations.append(text)

    def broken(self, watcher: Property, error: Exception) -> None:
        """Take down that a property itself failed."""
        self.report(f"harness: the property {watcher.id} itself failed: {error!r}")
