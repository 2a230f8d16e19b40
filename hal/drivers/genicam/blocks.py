"""A device's block ids, counted on from 0."""

from hal.drivers.blocks import steps_between


class BlockCount:
    """Turns the ids of a device's blocks into frame numbers from 0; a gap stays a gap.

    Args:
        may_wrap: Whether the ids may have 16 bits, as with GigE Vision.
    """

    def __init__(self, *, may_wrap: bool) -> None:
        self._may_wrap = may_wrap
        self._last_id: int | None = None
        self._number = -1
        self.oddity = ""

    def number(self, block_id: int | None) -> int:
        """Return the number of the next block.

        An id that does not rise says nothing of losses: the block then counts as the next one, and
        `oddity` says so.

        Args:
            block_id: Its id, or None where the producer tells none.
        """
        last_id, self._last_id = self._last_id, block_id
        step = 1
        if block_id is None:
            self.oddity = "the producer tells no block ids"
        elif last_id is not None:
            step = steps_between(last_id, block_id, may_wrap=self._may_wrap)
            if step < 1:
                self.oddity = f"block id {block_id} came after {last_id}"
                step = 1
        self._number += step
        return self._number
