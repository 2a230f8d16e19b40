"""Scribbles over a stack that was given back, as the camera may at any moment from then on.

Who still looks at it, or has kept a view of it, finds nothing of use there, and not only if the
camera happens to write just then.
"""

import mmap
import struct
from typing import TYPE_CHECKING

from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

_HEADER_BYTES, _WRITTEN_AT, _RELEASED_AT = 128, 64, 72
_WORD, _SHAPE = struct.Struct("<q"), struct.Struct("<5q")
_MOST_BYTES = 4096  # of a frame
_PATTERN = bytes((37 * n + 11) % 251 for n in range(_MOST_BYTES))  # repeats in no 16 x 16 px


class Scribbler:
    """Waits for stacks to be given back.

    Args:
        world: The run.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self._memory: mmap.mmap | None = None
        world.trace.observe("note.flag", self._look)

    def _look(self, step: Step) -> None:
        if not step.detail.startswith("FINISHED"):
            return
        if self._memory is None:
            machine = self._world.machine
            for (session, name), memory in machine.memory.items():
                if name == "VideoBuffer" and machine.sessions.get(session) is self._world.router:
                    self._memory = memory
        if self._memory is not None:
            self._scribble(self._memory)

    def _scribble(self, memory: mmap.mmap) -> None:
        n_stacks, width, height, n_images, bits = _SHAPE.unpack_from(memory)
        total, size = n_stacks * n_images, width * height * bits // 8
        (written,), (released,) = (
            _WORD.unpack_from(memory, at) for at in (_WRITTEN_AT, _RELEASED_AT)
        )
        # The newest frame is there for whoever shows it.
        for index in range(released, min(released + n_images, written - 1)):
            slot = index % total
            for column in range(3):  # its time, twice, and its number
                _WORD.pack_into(memory, _HEADER_BYTES + 8 * (slot + column * total), -1)
            start, count = _HEADER_BYTES + 24 * total + slot * size, min(size, _MOST_BYTES)
            memory[start : start + count] = _PATTERN[:count]
