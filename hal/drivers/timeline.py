"""A device's own count of time, placed in Unix time."""

from hal.clock import NS_PER_S


class Timeline:
    """Places frames in Unix time by the device's own count of milliseconds.

    A frame can arrive late but never early, so the smallest distance seen between arrival and the
    device's count is the best one. It may grow by 100 ppm, to follow a device clock that is slow.
    """

    _DRIFT = 1e-4
    _SMOOTHING = 0.1

    def __init__(self) -> None:
        self._distance_ns: int | None = None
        self._count_ns = 0
        self._last_ns = 0
        self.interval_ns = 0.0

    @property
    def framerate_hz(self) -> float:
        """Frames a second over the last ten or so; 0 before there were two."""
        return NS_PER_S / self.interval_ns if self.interval_ns else 0.0

    def place(self, arrival_ns: int, elapsed_ms: float | None, frames_on: int) -> int:
        """Return the Unix time in ns of a frame, later than that of the one before.

        Args:
            arrival_ns: When it was fetched.
            elapsed_ms: The device's count, or None where it has none: the arrival then counts.
            frames_on: By how many the frame's number is above the last one's.
        """
        count_ns = arrival_ns if elapsed_ms is None else round(elapsed_ms * 1e6)
        since_last_ns = count_ns - self._count_ns
        timestamp_ns = arrival_ns
        if elapsed_ms is not None:
            distance_ns = arrival_ns - count_ns
            if self._distance_ns is not None:
                slack_ns = round(self._DRIFT * since_last_ns)
                distance_ns = min(distance_ns, self._distance_ns + slack_ns)
            self._distance_ns = distance_ns
            timestamp_ns = distance_ns + count_ns
        if self._last_ns and frames_on > 0:
            weight = self._SMOOTHING if self.interval_ns else 1.0
            self.interval_ns += weight * (since_last_ns / frames_on - self.interval_ns)
        self._count_ns = count_ns
        self._last_ns = max(timestamp_ns, self._last_ns + 1)
        return self._last_ns
