"""The `PoolVideoFlag` as one word: its state, whose stack it is, and how many were handed out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from magscope.runtime import Value, current
from magscope.utils import PoolVideoFlag

_STATE_BITS, _OWNER_BITS = 2, 14
_STATE_MASK, _OWNER_MASK = (1 << _STATE_BITS) - 1, (1 << _OWNER_BITS) - 1

_NEXT = {
    PoolVideoFlag.READY: PoolVideoFlag.RUNNING,
    PoolVideoFlag.RUNNING: PoolVideoFlag.FINISHED,
    PoolVideoFlag.FINISHED: PoolVideoFlag.READY,
}


PATIENCE_S = 0.02
AGAIN_S = 0.05  # until who was held up tries once more


class FlagHeldError(TimeoutError):
    """Somebody hangs with the flag's lock; try again, so that not everybody hangs with it."""


class IllegalTransitionError(ValueError):
    """The flag was to be changed in a way, or by somebody, that the protocol forbids."""


class PoolFlag:
    """The flag that passes the oldest stack from the camera manager to a worker and back.

    READY → RUNNING by the video processor manager, which names the worker that owns the stack;
    RUNNING → FINISHED by that worker, or for it when it has died; FINISHED → READY by the camera
    manager. State, owner and epoch share one word, so no death leaves a half of them. The epoch is
    the number of stacks handed out so far, and what is late shows by it.
    """

    def __init__(self) -> None:
        self._word: Value = current().value("q", 0)

    def get_lock(self) -> Any:
        """Return the lock under which the flag changes; hold it to keep the flag as it is."""
        return self._word.get_lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the flag as it is; raises FlagHeldError if somebody else does, and for too long."""
        if not self.get_lock().acquire(timeout=PATIENCE_S):
            raise FlagHeldError("the pool's flag is locked by a process that does not go on")
        try:
            yield
        finally:
            self.get_lock().release()

    def is_stuck(self) -> bool:
        """Whether somebody hangs with the flag's lock."""
        try:
            with self.held():
                return False
        except FlagHeldError:
            return True

    @property
    def value(self) -> PoolVideoFlag:
        """The state. Setting it makes the one legal transition there is, and refuses the others."""
        return PoolVideoFlag(self._word.value & _STATE_MASK)

    @value.setter
    def value(self, state: int) -> None:
        with self.get_lock():
            _, owner, epoch = self.read()
            self._change(PoolVideoFlag(state), owner, epoch)

    @property
    def epoch(self) -> int:
        """How many stacks were handed out so far."""
        return self.read()[2]

    def read(self) -> tuple[PoolVideoFlag, int, int]:
        """Return state, owner and epoch, which belong together."""
        word = self._word.value
        owner = (word >> _STATE_BITS) & _OWNER_MASK
        return PoolVideoFlag(word & _STATE_MASK), owner, word >> (_STATE_BITS + _OWNER_BITS)

    def claim(self, owner: int, is_there: Callable[[], bool]) -> int | None:
        """READY → RUNNING: hand the oldest stack to a worker, if one waits.

        Args:
            owner: The worker's number.
            is_there: Asked under the lock, so that no purge comes between.

        Returns:
            The stack's epoch, or None if the flag is not READY or no stack waits.

        Raises:
            FlagHeldError: Somebody hangs with the lock.
        """
        with self.held():
            state, _, epoch = self.read()
            if state is not PoolVideoFlag.READY or not is_there():
                return None
            self._change(PoolVideoFlag.RUNNING, owner, epoch + 1)
            return epoch + 1

    def finish(self, owner: int, epoch: int) -> None:
        """RUNNING → FINISHED: the owner needs the stack's frames no longer.

        Raises:
            IllegalTransitionError: The stack is not, or no longer, this owner's; nothing changes.
        """
        with self.get_lock():
            state, holder, current_epoch = self.read()
            its = (PoolVideoFlag.RUNNING, owner & _OWNER_MASK, epoch)
            if (state, holder, current_epoch) != its:
                raise IllegalTransitionError(
                    f"worker {owner} can not finish stack {epoch}: the flag is {state.name} with "
                    f"stack {current_epoch} of worker {holder}"
                )
            self._change(PoolVideoFlag.FINISHED, owner, epoch)

    def finish_for_dead(self, owner: int) -> bool:
        """RUNNING → FINISHED for a worker that has died; False if it held no stack.

        Raises:
            FlagHeldError: Somebody else hangs with the lock.
        """
        with self.held():
            state, holder, epoch = self.read()
            if state is not PoolVideoFlag.RUNNING or holder != owner & _OWNER_MASK:
                return False
            self._change(PoolVideoFlag.FINISHED, owner, epoch)
            return True

    def make_ready(self, release: Callable[[], None] = lambda: None) -> None:
        """FINISHED → READY.

        Args:
            release: Called under the lock to release the stack's frames.

        Raises:
            IllegalTransitionError: The flag is not FINISHED.
            FlagHeldError: Somebody hangs with the lock; nothing was released.
        """
        with self.held():
            state, owner, epoch = self.read()
            if state is PoolVideoFlag.FINISHED:
                release()
            self._change(PoolVideoFlag.READY, owner, epoch)

    def _change(self, state: PoolVideoFlag, owner: int, epoch: int) -> None:
        present = self.value
        if _NEXT[present] is not state:
            raise IllegalTransitionError(
                f"{present.name} → {state.name}: from {present.name} the flag can only become "
                f"{_NEXT[present].name}"
            )
        self._word.value = (epoch << _OWNER_BITS | owner & _OWNER_MASK) << _STATE_BITS | state
        current().note("flag", f"{state.name} (stack {epoch}, worker {owner})")
