"""From the block ids of the protocol to frame numbers without an end."""

_LAST_SHORT_ID = 0xFFFF


class BlockCounter:
    """Numbers frames from 0 by their block ids, so that every block that is missing is a gap.

    Ids have 16 bits, where 1 follows on 65535 and 0 is never used; or, from GigE Vision 2.0 on, 64
    bits.
    """

    def __init__(self) -> None:
        self._last_id = 0
        self.last = -1
        """The number of the newest block; -1 before the first."""

    def number(self, block_id: int) -> int | None:
        """Return the number of a block; None if it comes behind a newer one, or once more."""
        if self.last < 0:
            self.last = 0
        else:
            steps = block_id - self._last_id
            if max(block_id, self._last_id) <= _LAST_SHORT_ID:
                steps %= _LAST_SHORT_ID
                if steps > _LAST_SHORT_ID // 2:
                    steps -= _LAST_SHORT_ID
            if steps <= 0:
                return None
            self.last += steps
        self._last_id = block_id
        return self.last
