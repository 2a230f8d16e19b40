"""The bench: what the simulated devices of one rig share, in the memory of the session.

It holds one record an axis: its latest motions. Each motor is the only writer of its own record;
the camera reads all three and computes where each axis was while a frame was exposed, even if that
frame is fetched when the axis has long been told to go elsewhere. An axis whose motor was never
opened stands at its default.
"""

from typing import Final

from hal.record import SharedRecord
from sim.motion import MAX_PHASES, Motion, at_rest

MAGNET_HEIGHT: Final = "magnet_height"
MAGNET_ROTATION: Final = "magnet_rotation"
FOCUS: Final = "focus"

DEFAULT_POSITIONS: Final = {MAGNET_HEIGHT: 1_000_000.0, MAGNET_ROTATION: 0.0, FOCUS: 0.0}
"""Where each axis stands that was never moved, in nm and turns: about 7 pN, no turns."""

_HISTORY = 8
_MOTION_FIELDS = 4 + 2 * MAX_PHASES
_LAYOUT = ("q" + "d" * (_MOTION_FIELDS - 1)) * _HISTORY
_RECORD_BYTES = SharedRecord.size(_LAYOUT)
SHARED_MEMORY: Final = {"bench": _RECORD_BYTES * len(DEFAULT_POSITIONS)}
"""What a driver class that uses the bench declares as its `shared_memory`."""


class AxisRecord:
    """The latest motions of one axis, written by its motor and read by anybody.

    Args:
        bench: The session's memory `bench`.
        name: `MAGNET_HEIGHT`, `MAGNET_ROTATION` or `FOCUS`.
    """

    def __init__(self, bench: memoryview, name: str) -> None:
        offset = _RECORD_BYTES * list(DEFAULT_POSITIONS).index(name)
        self._memory = bench[offset : offset + _RECORD_BYTES]
        self._record = SharedRecord(self._memory, _LAYOUT)
        self._version = 0
        self._motions: tuple[Motion, ...] = (at_rest(DEFAULT_POSITIONS[name]),)

    @property
    def is_written(self) -> bool:
        """Whether a motor was ever opened on this axis."""
        return self._record.version > 0

    @property
    def motion(self) -> Motion:
        """The present motion."""
        return self._latest()[0]

    def write(self, motion: Motion) -> None:
        """Publish a motion; only the axis' motor may."""
        older = self._latest() if self.is_written else ()
        kept = (motion, *older)[:_HISTORY]
        padding = [0.0] * (_MOTION_FIELDS - 1)
        fields: list[float] = []
        for each in kept:
            fields += _fields(each)
        for _ in range(_HISTORY - len(kept)):
            fields += [0, *padding]
        self._record.write(*fields)

    def position_at(self, time_ns: int) -> float:
        """Return where the axis was at a monotonic time, as far back as its motions are known."""
        motions = self._latest()
        for motion in motions:
            if motion.start_ns <= time_ns:
                return motion.position_at(time_ns)
        return motions[-1].position

    def mean_position(self, from_ns: int, to_ns: int) -> float:
        """Return the mean position between two times: Simpson's rule, exact within a phase."""
        motion = self._latest()[0]
        if motion.start_ns <= from_ns and motion.is_over(from_ns):
            return motion.end
        middle = self.position_at((from_ns + to_ns) // 2)
        return (self.position_at(from_ns) + 4.0 * middle + self.position_at(to_ns)) / 6.0

    def release(self) -> None:
        """Let go of the memory, so that its owner can close it."""
        self._memory.release()

    def _latest(self) -> tuple[Motion, ...]:
        version = self._record.version
        if version != self._version:
            fields = self._record.read()
            starts = range(0, _MOTION_FIELDS * min(version, _HISTORY), _MOTION_FIELDS)
            self._motions = tuple(_motion(fields[i : i + _MOTION_FIELDS]) for i in starts)
            self._version = version
        return self._motions


def _fields(motion: Motion) -> list[float]:
    phases = motion.phases + ((0.0, 0.0),) * (MAX_PHASES - len(motion.phases))
    flat = [number for phase in phases for number in phase]
    return [motion.start_ns, motion.position, motion.velocity, motion.end, *flat]


def _motion(fields: tuple) -> Motion:
    start_ns, position, velocity, end, *flat = fields
    phases = zip(flat[::2], flat[1::2], strict=True)
    kept = tuple((seconds, rate) for seconds, rate in phases if seconds > 0.0)
    return Motion(start_ns, position, velocity, kept, end)
