"""The flag and the ring of frames as they ought to be, in plain lines."""

from dataclasses import dataclass

PURGE_LEVEL = 0.9
READY, RUNNING, FINISHED = "READY", "RUNNING", "FINISHED"
NEXT = {READY: RUNNING, RUNNING: FINISHED, FINISHED: READY}


@dataclass
class PoolModel:
    """Who has the oldest stack, and what became of every frame.

    Attributes:
        waiting: Frames that the device has ready.
        first: The first frame of the stack that is handed out.
        is_on: Whether frames are processed.
    """

    n_images: int
    total: int
    state: str = READY
    owner: int = 0
    epoch: int = 0
    written: int = 0
    released: int = 0
    purged: int = 0
    discarded: int = 0
    waiting: int = 0
    first: int = 0
    is_on: bool = True

    @property
    def unread(self) -> int:
        """Frames in the ring."""
        return self.written - self.released

    @property
    def has_stack(self) -> bool:
        """Whether a whole stack waits."""
        return self.unread >= self.n_images

    def turn(self) -> None:
        """The camera manager's turn: release what was finished, make room, take frames in."""
        if self.state == FINISHED:
            self.released += self.n_images
            self.state = READY
        if self.state == READY and self.has_stack:
            dropped = self.unread // self.n_images * self.n_images
            if not self.is_on:
                self.discarded += dropped
                self.released += dropped
            elif self.unread >= PURGE_LEVEL * self.total:
                self.purged += dropped
                self.released += dropped
        taken = min(self.waiting, self.total - self.unread)
        self.written += taken
        self.waiting -= taken

    def claim(self, owner: int) -> int | None:
        """The oldest stack is handed to a worker, if there is one."""
        if self.state != READY or not self.has_stack:
            return None
        self.state, self.owner, self.epoch = RUNNING, owner, self.epoch + 1
        self.first = self.released
        return self.epoch

    def finish(self, owner: int, epoch: int) -> bool:
        """A worker gives its stack back; False: it has none, or not this one."""
        if (self.state, self.owner, self.epoch) != (RUNNING, owner, epoch):
            return False
        self.state = FINISHED
        return True

    def finish_for_dead(self, owner: int) -> bool:
        """Its stack is given back for it; False: it had none."""
        return self.finish(owner, self.epoch)

    def may_become(self, state: str) -> bool:
        """Return whether the flag may be set outright to this now."""
        return NEXT[self.state] == state
