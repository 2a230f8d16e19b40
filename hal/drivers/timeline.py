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
        self._count_ns: int | None = None
        self._last_ns = 0
        self._frames_on = 0
        self.interval_ns = 0.0

    @property
    def framerate_hz(self) -> float:
        """Frames a second over the last ten or so; 0 before there were two."""
        return NS_PER_S / self.interval_ns if self.interval_ns else 0.0

    def place(
        self,
        arrival_ns: int,
        elapsed_ms: float | None,
        frames_on: int,
        *,
        not_before_ns: int | None = None,
        is_newest: bool = True,
    ) -> int:
        """Return the Unix time in ns of a frame, later than that of the one before.

        Without a count of the device, the frame's number says how long after the last one it came,
        between the times when it was not there yet and when it was.

        Args:
            arrival_ns: When it was fetched.
            elapsed_ms: The device's count, or None where it has none.
            frames_on: By how many the frame's number is above the last one's.
            not_before_ns: When it was not there yet; None if nobody looked: its arrival then counts
                where the device has no count.
            is_newest: Whether no other frame was there when it was fetched.
        """
        if elapsed_ms is None:
            timestamp_ns = arrival_ns
            if not_before_ns is not None and self.interval_ns:
                expected_ns = self._last_ns + round(frames_on * self.interval_ns)
                timestamp_ns = min(max(expected_ns, not_before_ns), arrival_ns)
            self._measure(arrival_ns, frames_on, is_fresh=is_newest)
        else:
            count_ns = round(elapsed_ms * 1e6)
            distance_ns = arrival_ns - count_ns
            # A device whose clock was set back begins anew.
            if self._distance_ns is not None and count_ns > (last_ns := self._count_ns or 0):
                slack_ns = round(self._DRIFT * (count_ns - last_ns))
                distance_ns = min(distance_ns, self._distance_ns + slack_ns)
            self._distance_ns = distance_ns
            timestamp_ns = distance_ns + count_ns
            self._measure(count_ns, frames_on, is_fresh=True)
        self._last_ns = max(timestamp_ns, self._last_ns + 1)
        return self._last_ns

    def _measure(self, count_ns: int, frames_on: int, *, is_fresh: bool) -> None:
        """Measure the interval between frames whose time is known."""
        self._frames_on += frames_on
        if not is_fresh:
            return
        if self._count_ns is not None and self._frames_on > 0 and count_ns > self._count_ns:
            weight = self._SMOOTHING if self.interval_ns else 1.0
            interval_ns = (count_ns - self._count_ns) / self._frames_on
            self.interval_ns += weight * (interval_ns - self.interval_ns)
        self._count_ns = count_ns
        self._frames_on = 0
