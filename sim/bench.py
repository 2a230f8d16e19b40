"""The bench: what the simulated devices of one rig share, in the memory of the session.

It holds one record an axis: its present motion. Each motor is the only writer of its own record;
the camera reads all three and computes where each axis was while a frame was exposed. An axis whose
motor was never opened stands at its default.
"""

from typing import Final

from hal.record import SharedRecord
from sim.motion import MAX_PHASES, Motion, at_rest

MAGNET_HEIGHT: Final = "magnet_height"
MAGNET_ROTATION: Final = "magnet_rotation"
FOCUS: Final = "focus"

DEFAULT_POSITIONS: Final = {MAGNET_HEIGHT: 1_000_000.0, MAGNET_ROTATION: 0.0, FOCUS: 0.0}
"""Where each axis stands that was never moved, in nm and turns: about 7 pN, no turns."""

_LAYOUT = "q" + "d" * (3 + 2 * MAX_PHASES)
_RECORD_BYTES = SharedRecord.size(_LAYOUT)
SHARED_MEMORY: Final = {"bench": _RECORD_BYTES * len(DEFAULT_POSITIONS)}
"""What a driver class that uses the bench declares as its `shared_memory`."""


class AxisRecord:
    """The present motion of one axis, written by its motor and read by anybody.

    Args:
        bench: The session's memory `bench`.
        name: `MAGNET_HEIGHT`, `MAGNET_ROTATION` or `FOCUS`.
    """

    def __init__(self, bench: memoryview, name: str) -> None:
        offset = _RECORD_BYTES * list(DEFAULT_POSITIONS).index(name)
        self._memory = bench[offset : offset + _RECORD_BYTES]
        self._record = SharedRecord(self._memory, _LAYOUT)
        self._default = at_rest(DEFAULT_POSITIONS[name])
        self._seen: tuple[int, Motion] = (0, self._default)

    @property
    def is_written(self) -> bool:
        """Whether a motor was ever opened on this axis."""
        return self._record.version > 0

    def read(self) -> Motion:
        """Return the present motion."""
        version = self._record.version
        if version != self._seen[0]:
            self._seen = (version, _unpacked(self._record.read()))
        return self._seen[1]

    def write(self, motion: Motion) -> None:
        """Publish a motion; only the axis' motor may."""
        phases = motion.phases + ((0.0, 0.0),) * (MAX_PHASES - len(motion.phases))
        flat = (number for phase in phases for number in phase)
        self._record.write(motion.start_ns, motion.position, motion.velocity, motion.end, *flat)

    def release(self) -> None:
        """Let go of the memory, so that its owner can close it."""
        self._memory.release()


def _unpacked(fields: tuple) -> Motion:
    start_ns, position, velocity, end, *flat = fields
    phases = zip(flat[::2], flat[1::2], strict=True)
    kept = tuple((seconds, rate) for seconds, rate in phases if seconds > 0.0)
    return Motion(start_ns, position, velocity, kept, end)
