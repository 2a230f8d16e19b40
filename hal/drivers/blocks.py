"""The ids that cameras give to their blocks, as distances in frames."""

_LARGEST_SHORT_ID = 0xFFFF


def steps_between(last_id: int, block_id: int, *, may_wrap: bool = True) -> int:
    """Return by how many frames a block comes after the last one; 0 or less if it does not.

    Ids of 64 bits never come to their end. GigE Vision also knows ids of 16 bits, where 1 follows
    65535, as 0 is no id; what then seems to be more than half a round ahead is from before.

    Args:
        last_id: The id of the last block.
        block_id: The id of this one.
        may_wrap: Whether the ids may have 16 bits.
    """
    steps = block_id - last_id
    if may_wrap and max(block_id, last_id) <= _LARGEST_SHORT_ID:
        steps %= _LARGEST_SHORT_ID
        if steps > _LARGEST_SHORT_ID // 2:
            steps -= _LARGEST_SHORT_ID
    return steps
