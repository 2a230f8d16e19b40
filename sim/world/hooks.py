"""Where faults reach into a world: places at which it asks whether something is to go wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hal.device import Device

if TYPE_CHECKING:
    from sim.world.pipes import VirtualEndpoint
    from sim.world.process import VirtualProcess


@dataclass
class Hooks:
    """Functions that the world calls; None where no fault has asked for it.

    Attributes:
        begun: A process has been made, and has not run yet.
        held: The running process has taken a lock.
        write: The running process writes this into a pipe. Returns how much of it is taken, or
            None: the pipe sees to it.
        read: The running process reads so much from a pipe. Returns what it gets.
        device: A process is about to open the device that has this role. Returns what it uses
            instead.
    """

    begun: "Callable[[VirtualProcess], None] | None" = None
    held: Callable[[], None] | None = None
    write: "Callable[[VirtualEndpoint, memoryview], int | None] | None" = None
    read: "Callable[[VirtualEndpoint, int], bytes] | None" = None
    device: "Callable[[VirtualProcess, str, Device], Any] | None" = None
