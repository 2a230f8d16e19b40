"""What a view remembers between snapshots: traces, rates, and the scale of each motor."""

import math
from collections import deque

from magscope.report import LogLine, MotorView, Snapshot

TRACE_LENGTH = 120
_RATE_OVER_S = 2.0


class History:
    """Takes every snapshot in turn."""

    def __init__(self) -> None:
        self._z_nm: dict[int, deque[float]] = {}
        self._largest: dict[str, float] = {}
        self._messages: deque[tuple[float, int]] = deque()
        self._last_line: LogLine | None = None
        self.new_lines: tuple[LogLine, ...] = ()

    def add(self, snapshot: Snapshot) -> None:
        """Remember a snapshot."""
        present = {bead.bead_id: bead.z_nm for bead in snapshot.beads}
        for bead_id in present.keys() - self._z_nm.keys():
            self._z_nm[bead_id] = deque(maxlen=TRACE_LENGTH)
        for bead_id, trace in self._z_nm.items():
            trace.append(present.get(bead_id, math.nan))
        for motor in snapshot.motors:
            reached = [abs(x) for x in (motor.position, motor.target) if math.isfinite(x)]
            self._largest[motor.name] = max([self._largest.get(motor.name, 0.0), *reached])
        self._messages.append((snapshot.t_s, snapshot.messages))
        while self._messages[0][0] < snapshot.t_s - _RATE_OVER_S and len(self._messages) > 2:
            self._messages.popleft()
        self._find_new_lines(snapshot.log)

    def z_trace_nm(self, bead_id: int, length: int) -> list[float]:
        """Return the last heights of a bead, oldest first, NaN where it was not tracked."""
        return list(self._z_nm.get(bead_id, ()))[-length:] if length > 0 else []

    def largest(self, motor: MotorView) -> float:
        """Return the largest absolute position that a motor had or was sent to."""
        return self._largest.get(motor.name, 0.0)

    @property
    def messages_per_s(self) -> float:
        """How many messages a second were routed over the last two seconds."""
        if not self._messages:
            return 0.0
        (t0, n0), (t1, n1) = self._messages[0], self._messages[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0

    def _find_new_lines(self, log: tuple[LogLine, ...]) -> None:
        # The log is a window on the newest lines: what follows the last one seen is new.
        seen = 0
        for index in range(len(log) - 1, -1, -1):
            if log[index] == self._last_line:
                seen = index + 1
                break
        self.new_lines = log[seen:]
        if log:
            self._last_line = log[-1]
