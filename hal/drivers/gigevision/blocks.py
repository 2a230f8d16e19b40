"""From the block ids of the protocol to frame numbers without an end."""

from hal.drivers.blocks import steps_between


class BlockCounter:
    """Numbers frames from 0 by their block ids, so that every block that is missing is a gap."""

    def __init__(self) -> None:
        self._last_id = 0
        self.last = -1
        """The number of the newest block; -1 before the first."""

    def number(self, block_id: int) -> int | None:
        """Return the number of a block; None if it comes behind a newer one, or once more."""
        if self.last < 0:
            self.last = 0
        else:
            steps = steps_between(self._last_id, block_id)
            if steps <= 0:
                return None
            self.last += steps
        self._last_id = block_id
        return self.last
