"""C2: who has nothing to do sleeps."""

from typing import TYPE_CHECKING

from sim.faults import CoarseClock
from sim.properties.base import Property
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

WINDOW_NS = 100_000_000
MOST = 1000  # in a window; at 1000 frames/s a tenth of it is much


class NobodySpins(Property):
    """C2: nobody looks again and again for what has not come.

    In a world a look in vain takes 20 µs, so who spins does it thousands of times in a window.
    Between two ticks of a coarse clock anybody may, as a time that is near is not told from now.
    """

    id = "C2"
    title = "who has nothing to do sleeps"
    sites = frozenset({"wait"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._last_ns: dict[str, int] = {}
        self._windows: dict[str, tuple[int, int]] = {}

    def step(self, step: Step) -> None:
        """Count at how many moments a process waited in this window."""
        who, now_ns = step.process, step.t_ns
        if self._last_ns.get(who) == now_ns:
            return
        self._last_ns[who] = now_ns
        window, count = self._windows.get(who, (-1, 0))
        here = now_ns // WINDOW_NS
        count = count + 1 if window == here else 1
        self._windows[who] = here, count
        if count == MOST and not any(
            isinstance(f, CoarseClock) for f in self.world.injector.struck
        ):
            self.violate(
                f"{who} has looked {MOST} times in {WINDOW_NS / 1e9:g} s for something to do. "
                "Who waits for a device or for somebody else sleeps meanwhile, or nobody can work."
            )


PROPERTIES: tuple[type[Property], ...] = (NobodySpins,)
