"""What a fake of a motor's protocol has to know: how requests end, and what to answer."""

from abc import ABC, abstractmethod

from hal.device import Setting
from hal.errors import SettingError
from hal.motor import Motor


class Dialect(ABC):
    """A protocol over one motor. The server owns the motor: it opens and closes it.

    Attributes:
        motor: The mechanics. What it raises is told in the words of the protocol.
    """

    def __init__(self, motor: Motor) -> None:
        self.motor = motor

    @abstractmethod
    def take(self, received: bytearray) -> list[bytes]:
        """Take the whole requests out of what was received, and leave the rest."""

    @abstractmethod
    def answer(self, request: bytes) -> bytes:
        """Do what is asked and return the answer, which is empty where the protocol has none."""

    @abstractmethod
    def refuse(self, request: bytes) -> bytes:
        """Return the protocol's refusal, and do nothing."""

    @property
    def speed(self) -> float:
        """The motor's speed in its unit a second; that of its axis if it can not be changed."""
        setting = self._speed_setting()
        return float(self.motor.get(setting.name)) if setting else self.motor.axis.max_speed

    @speed.setter
    def speed(self, value: float) -> None:
        setting = self._speed_setting()
        if setting is None:
            raise SettingError(f"{self.motor.identity.model} has no speed that can be set")
        self.motor.set(setting.name, value)

    def _speed_setting(self) -> Setting | None:
        for setting in self.motor.settings:
            if setting.name.startswith("speed"):
                return setting
        return None


def take_lines(received: bytearray) -> list[bytes]:
    """Take the whole lines out of what was received, without their ends."""
    *lines, rest = bytes(received).split(b"\n")
    received[:] = rest
    return [line.strip(b"\r") for line in lines]
