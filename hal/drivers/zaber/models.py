"""Zaber's stages by what they do: linear, in nm, and rotary, in turns."""

from hal.drivers.zaber.stage import ZaberStage
from hal.motor import LinearMotor, RotaryMotor


class ZaberLinear(ZaberStage, LinearMotor):
    """A linear stage of Zaber, like the X-LSQ, as the magnets' height.

    Args:
        port: `tcp://host:port`, or a serial port: `/dev/ttyUSB0`, `COM3`.
        nm_per_microstep: How far a microstep is, from its data sheet.
        lower_nm: Smallest position, if larger than the device's own.
        upper_nm: Largest position, if smaller than the device's own.
        max_speed_nm_per_s: Largest speed that may be set, from its data sheet.
        speed_nm_per_s: Speed from the start; None leaves the device's own.
        address: The device's number on its chain.
        axis_number: The axis' number on the device.
        can_home: Whether it can search for a home position.
        baud_rate: Of a serial port.
        timeout_s: How long it may take to answer; opening takes up to three times that long.
        model: What the recordings call it.
    """

    driver = "zaber.linear"
    speed_unit = "nm/s"
    speed_name = "speed_nm_per_s"

    def __init__(
        self,
        *,
        port: str,
        nm_per_microstep: float,
        lower_nm: float | None = None,
        upper_nm: float | None = None,
        max_speed_nm_per_s: float = 2e7,
        speed_nm_per_s: float | None = None,
        address: int = 1,
        axis_number: int = 1,
        can_home: bool = True,
        baud_rate: int = 115_200,
        timeout_s: float = 1.0,
        model: str = "",
    ) -> None:
        super().__init__(
            port,
            nm_per_microstep,
            lower_nm,
            upper_nm,
            max_speed_nm_per_s,
            speed_nm_per_s,
            address=address,
            axis_number=axis_number,
            can_home=can_home,
            baud_rate=baud_rate,
            timeout_s=timeout_s,
            model=model,
        )


class Zaber(ZaberLinear):
    """A linear stage of Zaber: `zaber.linear` by its short name."""

    driver = "zaber"


class ZaberRotary(ZaberStage, RotaryMotor):
    """A rotary stage of Zaber, like the X-NMS motors, as the magnets' rotation.

    Args:
        port: `tcp://host:port`, or a serial port: `/dev/ttyUSB0`, `COM3`.
        turns_per_microstep: How far a microstep is, from its data sheet.
        lower_turns: Smallest position, if larger than the device's own.
        upper_turns: Largest position, if smaller than the device's own.
        max_speed_turns_per_s: Largest speed that may be set, from its data sheet.
        speed_turns_per_s: Speed from the start; None leaves the device's own.
        address: The device's number on its chain.
        axis_number: The axis' number on the device.
        can_home: Whether it can search for a home position.
        baud_rate: Of a serial port.
        timeout_s: How long it may take to answer; opening takes up to three times that long.
        model: What the recordings call it.
    """

    driver = "zaber.rotary"
    speed_unit = "turn/s"
    speed_name = "speed_turns_per_s"

    def __init__(
        self,
        *,
        port: str,
        turns_per_microstep: float,
        lower_turns: float | None = None,
        upper_turns: float | None = None,
        max_speed_turns_per_s: float = 20.0,
        speed_turns_per_s: float | None = None,
        address: int = 1,
        axis_number: int = 1,
        can_home: bool = True,
        baud_rate: int = 115_200,
        timeout_s: float = 1.0,
        model: str = "",
    ) -> None:
        super().__init__(
            port,
            turns_per_microstep,
            lower_turns,
            upper_turns,
            max_speed_turns_per_s,
            speed_turns_per_s,
            address=address,
            axis_number=axis_number,
            can_home=can_home,
            baud_rate=baud_rate,
            timeout_s=timeout_s,
            model=model,
        )
