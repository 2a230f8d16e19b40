"""Hardware with a manager of its own, as MagScope's existing drivers define it."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from magscope.datatypes import MatrixBuffer
from magscope.processes import ManagerProcessBase
from magscope.runtime import current

NS_PER_S = 1e9


class HardwareManagerBase(ManagerProcessBase):
    """A device whose readings are rows of numbers in a buffer under the manager's name.

    Attributes:
        buffer_shape: Rows and columns of its buffer; the first column is the Unix time in s.
    """

    holds_device: ClassVar[bool] = True
    buffer_shape: tuple[int, int] = (1000, 2)

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._buffer: MatrixBuffer | None = None
        self._is_connected = False

    def setup(self) -> None:
        """Attach to the buffer and connect."""
        self.attach_buffer()
        self.connect()

    def attach_buffer(self) -> None:
        """Attach to the manager's own buffer."""
        self._buffer = MatrixBuffer(create=False, locks=self.locks, name=self.name)

    def do_main_loop(self) -> None:
        """Take a reading."""
        self.fetch()

    def shutdown(self) -> None:
        """Disconnect."""
        try:
            self.disconnect()
        finally:
            if self._buffer is not None:
                self._buffer.close()

    @abstractmethod
    def connect(self) -> None:
        """Connect to the device, and set `_is_connected`."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the device."""

    @abstractmethod
    def fetch(self) -> None:
        """Write a reading into `_buffer`, if there is one."""


class FocusMotorBase(HardwareManagerBase):
    """A focus motor: its rows are `[timestamp, current_z, target_z, is_at_target]`, in s and nm."""

    buffer_shape: tuple[int, int] = (10_000, 4)
    unit: ClassVar[str] = "nm"

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._target_z: float | None = None

    @abstractmethod
    def move_absolute(self, z: float) -> None:
        """Start a movement to `z` nm."""

    @abstractmethod
    def get_current_z(self) -> float:
        """Return where the focus is, in nm."""

    @abstractmethod
    def get_is_moving(self) -> bool:
        """Return whether the motor is on its way."""

    @abstractmethod
    def get_position_limits(self) -> tuple[float, float]:
        """Return the lowest and the highest position, in nm."""

    def go_to(self, z: float) -> None:
        """Move, and remember the target for the telemetry."""
        self.move_absolute(z)
        self._target_z = z

    def fetch(self) -> None:
        """Write where the focus is."""
        position = self.get_current_z()
        target = position if self._target_z is None else self._target_z
        now_s = current().clock.now_ns() / NS_PER_S
        if self._buffer is not None:
            row = [now_s, position, target, float(not self.get_is_moving())]
            self._buffer.write(np.array([row]))
