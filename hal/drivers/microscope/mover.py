"""Moves an axis of python-microscope in steps, so that it can be stopped between two of them."""

import threading
from typing import Any

from hal.clock import NS_PER_S, Clock
from hal.drivers.microscope.errors import translated
from hal.errors import DeviceError, MotionError

_LOOK_S = 0.005


class Mover:
    """Moves one axis in a thread: most of the library's axes return from a movement at its end.

    The library has no call that stops an axis. A movement is therefore made in steps, and stopping
    it means that no more of them are made. While one is under way the axis is not asked for its
    position, as many would answer only when they have arrived.

    Args:
        axis: The library's axis.
        clock: The time.
        step: The longest step, in the axis' unit.
        tolerance: How near to its target a movement ends, in the axis' unit.
        timeout_s: How long the axis may stand before it has arrived.
    """

    def __init__(
        self, axis: Any, clock: Clock, step: float, tolerance: float, timeout_s: float
    ) -> None:
        self._axis, self._clock = axis, clock
        self._step, self._tolerance, self._timeout_s = step, tolerance, timeout_s
        self._changed = threading.Condition()
        self._target: float | None = None
        self._is_moving = self._is_over = False
        self._failure: DeviceError | None = None
        self._position = self._ask()
        self._thread = threading.Thread(target=self._work, name="moving an axis", daemon=True)
        self._thread.start()

    @property
    def is_moving(self) -> bool:
        """Whether a movement is under way.

        Raises:
            DeviceError: The last one failed; told once.
        """
        with self._changed:
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure
            return self._is_moving

    def position(self) -> float:
        """Return where the axis is; on its way, where it was after its last step."""
        with self._changed:
            if self._is_moving:
                return self._position
        return self._ask()

    def go(self, target: float) -> None:
        """Move there, at once or after the step that is under way."""
        with self._changed:
            self._failure = None
            self._target, self._is_moving = target, True
            self._changed.notify_all()

    def stop(self, seconds: float) -> bool:
        """Make no more steps; wait so long at most for the present one, and return if it ended."""
        with self._changed:
            self._target = None
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._is_moving, seconds)

    def end(self) -> None:
        """End the thread, after the step that is under way."""
        with self._changed:
            self._target, self._is_over = None, True
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _work(self) -> None:
        while self._waits_for_a_target():
            try:
                self._move()
            except DeviceError as error:
                with self._changed:
                    self._failure, self._target = error, None

    def _waits_for_a_target(self) -> bool:
        with self._changed:
            # Each time anew: a target may be given and taken back before this thread sees it.
            while self._target is None or self._is_over:
                self._is_moving = False
                self._changed.notify_all()
                if self._is_over:
                    return False
                self._changed.wait()
            return True

    def _move(self) -> None:
        """Make steps until the target is reached, or there is none any more."""
        position = self._ask()
        while (target := self._target) is not None:
            goal = min(max(target, position - self._step), position + self._step)
            with translated(f"moving to {goal:g}"):
                self._axis.move_to(goal)
            position = self._arrived(goal)
            with self._changed:
                self._position = position
                # A new target may have been given meanwhile.
                if self._target == target and abs(position - target) <= self._tolerance:
                    self._target = None

    def _arrived(self, goal: float) -> float:
        """Wait until the axis is at `goal`, which most are by now; return where it is."""
        position = self._ask()
        since_ns = self._clock.monotonic_ns()
        while abs(position - goal) > self._tolerance:
            if self._target is None:
                with translated("stopping"):
                    self._axis.move_to(position)
                return self._ask()
            before, position = position, self._waited(position)
            if position != before:
                since_ns = self._clock.monotonic_ns()
            elif self._clock.monotonic_ns() - since_ns > self._timeout_s * NS_PER_S:
                raise MotionError(
                    f"the axis stands at {position:g} instead of {goal:g}, in its own unit: it is "
                    "blocked, or its resolution is coarser than said"
                )
        return position

    def _waited(self, before: float) -> float:
        with self._changed:
            self._position = before
            self._changed.wait_for(lambda: self._target is None, _LOOK_S)
        return self._ask()

    def _ask(self) -> float:
        with translated("reading the position"):
            return float(self._axis.position)
