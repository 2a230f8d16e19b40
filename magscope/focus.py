"""The focus motor as other managers see it: where it is, and a way to move it."""

from typing import NamedTuple

from magscope.datatypes import MatrixBuffer
from magscope.hardware import FocusMotorBase
from magscope.processes import ManagerProcessBase
from magscope.utils import Message

FOCUS = "focus"


class FocusState(NamedTuple):
    """One row of the focus motor's telemetry."""

    timestamp_s: float
    position_nm: float
    target_nm: float
    is_at_target: float


class Focus:
    """The focus motor of the system: the one named `focus`, or a `FocusMotorBase`.

    Args:
        manager: The manager that looks at it and moves it; its resources are there.
    """

    def __init__(self, manager: ManagerProcessBase) -> None:
        kinds = manager.hardware_types
        # A lab's own focus motor, added to the rig file's motors, is the one that it means.
        own = [name for name, kind in kinds.items() if issubclass(kind, FocusMotorBase)]
        self.name = (own or [name for name in kinds if name == FOCUS] or [""])[0]
        self._buffer: MatrixBuffer | None = None
        if self.name:
            self._buffer = MatrixBuffer(create=False, locks=manager.locks, name=self.name)

    def state(self) -> FocusState | None:
        """Return where the focus was last seen; None before that, or without a focus motor."""
        if self._buffer is None:
            return None
        rows = self._buffer.newest(1)
        return FocusState._make(rows[0].tolist()) if len(rows) else None

    def move(self, position_nm: float) -> Message:
        """Return the message that moves the focus."""
        return Message(self.name, "move_absolute", position_nm)

    def close(self) -> None:
        """Let go of the telemetry."""
        if self._buffer is not None:
            self._buffer.close()
