"""A piezo of PI as the focus: micrometres in the controller, nm here."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipython import GCSDevice

from hal.device import Identity, Setting, SettingValue
from hal.drivers.pi_gcs.errors import translated
from hal.drivers.pi_gcs.gateway import Gateway, SerialGateway, TcpGateway
from hal.drivers.port import Port, checked_timeout_s
from hal.errors import (
    DeviceError,
    DeviceTimeoutError,
    DisconnectedError,
    OptionError,
    ProtocolError,
)
from hal.motor import Axis, FocusMotor
from hal.support import Support

NM_PER_UM = 1000.0
_FAKE = "fake"


class PiGcsFocus(FocusMotor):
    """A piezo axis of a PI controller with GCS 2, like the E-709; it is always under servo control.

    After a time-out, or an answer that makes no sense, the next call connects anew: a late answer
    would be taken for that to the next question.

    Args:
        port: `tcp://host:port`, or a serial port: `/dev/ttyUSB0`, `COM3`.
        axis_name: The axis, as the controller calls it.
        lower_nm: Smallest position, if larger than the controller's own.
        upper_nm: Largest position, if smaller than the controller's own.
        max_speed_nm_per_s: Largest speed that may be set, from the data sheet of the stage.
        speed_nm_per_s: Speed from the start; None leaves the controller's own.
        resolution_nm: Within how much of its target the controller holds it.
        baud_rate: Of a serial port.
        timeout_s: How long the controller may take to answer; opening, closing, and a call that
            has to connect anew take up to twice that long.

    Attributes:
        port: The option; what it is whenever a connection is made, counts.

    Raises:
        OptionError: A number is out of its range, or the port is none.
    """

    driver = "pi-gcs"
    support = Support(
        "PI's piezo controllers with GCS 2, like the E-709, as the focus",
        "emulator",
        "our own fake of its protocol, over TCP and serial lines",
        library="pipython, under PI's own licence",
        extra="pi-gcs",
    )

    def __init__(
        self,
        *,
        port: str,
        axis_name: str = "1",
        lower_nm: float | None = None,
        upper_nm: float | None = None,
        max_speed_nm_per_s: float = 1e7,
        speed_nm_per_s: float | None = None,
        resolution_nm: float = 1.0,
        baud_rate: int = 115_200,
        timeout_s: float = 1.0,
    ) -> None:
        for name, value in (
            ("max_speed_nm_per_s", max_speed_nm_per_s),
            ("resolution_nm", resolution_nm),
        ):
            if not 0.0 < value < float("inf"):
                raise OptionError(f"{name} = {value!r}: expected more than 0")
        Port.parse(port)
        self.port = port
        self._axis_name = axis_name
        self._lower_nm, self._upper_nm = lower_nm, upper_nm
        self._resolution_nm = float(resolution_nm)
        self._baud_rate = baud_rate
        self._timeout_s = checked_timeout_s(timeout_s)
        self._speed_setting = Setting(
            "speed_nm_per_s", float, "nm/s", 1.0, float(max_speed_nm_per_s)
        )
        self._speed_nm_per_s = (
            None if speed_nm_per_s is None else float(self._speed_setting.check(speed_nm_per_s))
        )
        self._has_speed = False
        self._who = ("PI", "GCS 2 controller", "")
        self._is_real = True
        self._axis = Axis("nm", 0.0, 0.0, self._resolution_nm, float(max_speed_nm_per_s))
        self._is_open = False
        self._gateway: Gateway | None = None
        self._device: GCSDevice | None = None

    @property
    def identity(self) -> Identity:
        """What the controller answers to `*IDN?`."""
        vendor, model, serial = self._who
        return Identity(vendor, model, serial, self.driver, self._is_real)

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and the controller has not hung up as far as was noticed."""
        return self._is_open

    def open(self) -> None:
        """Connect, switch the servo on, ask for the limits, and set the speed if one is given."""
        if self._is_open:
            return
        self._is_open = True
        try:
            with self._controller("opening") as device:
                self._set_up(device)
        except BaseException:
            self._is_open = False
            self._hang_up()
            raise
        self._target = None  # it may have been moved by hand since it was last open

    def close(self) -> None:
        """Stop where it is, under servo control, and hang up."""
        if self._is_open:
            with suppress(DeviceError):  # who does not answer is hung up on all the same
                self.halt()
        self._is_open = False
        self._hang_up()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The speed of the movements that begin from now on, where the controller has one."""
        return (self._speed_setting,) if self._has_speed else ()

    def get(self, name: str) -> SettingValue:
        """Return the speed as the controller has it."""
        self.setting(name)
        with self._controller("reading the speed") as device:
            return float(device.qVEL(self._axis_name)[self._axis_name]) * NM_PER_UM

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change the speed."""
        speed = float(self.setting(name).check(value))
        with self._controller(f"setting {name} to {speed:g} nm/s") as device:
            device.VEL(self._axis_name, speed / NM_PER_UM)
        return self.get(name)

    @property
    def axis(self) -> Axis:
        """The controller's own range, made narrower by the options."""
        return self._axis

    @property
    def is_moving(self) -> bool:
        """Whether it is not yet within the controller's window around its target."""
        with self._controller("asking whether it is on target") as device:
            return not device.qONT(self._axis_name)[self._axis_name]

    def read_position(self) -> float:
        """Ask the controller where it is, in nm."""
        with self._controller("reading the position") as device:
            return float(device.qPOS(self._axis_name)[self._axis_name]) * NM_PER_UM

    def begin_move(self, target: float) -> None:
        """Start a movement to `target` nm and return at once."""
        with self._controller(f"moving to {target:g} nm") as device:
            device.MOV(self._axis_name, target / NM_PER_UM)

    def halt(self) -> None:
        """Stop at once; that the controller then reports error 10 is as it should be."""
        with self._controller("stopping") as device:
            device.STP(noraise=True)

    @contextmanager
    def _controller(self, doing: str) -> Iterator[GCSDevice]:
        """Give the connected controller, and connect anew first where the last answer was missed.

        Raises:
            DisconnectedError: It is not open, or the controller hung up.
            DeviceTimeoutError: It did not answer in time.
            DeviceError: It refused; the class says why.
        """
        if not self._is_open:
            raise DisconnectedError(f"{self.driver} at {self.port} is not open: open it first")
        try:
            with translated(doing):
                yield self._device or self._connect()
        except (DeviceTimeoutError, ProtocolError):
            self._hang_up()
            raise
        except DisconnectedError:
            self._is_open = False
            self._hang_up()
            raise

    def _connect(self) -> GCSDevice:
        port, clock = Port.parse(self.port), self.context.clock
        self._gateway = (
            TcpGateway(port, self._timeout_s, clock)
            if port.host
            else SerialGateway(port, self._timeout_s, clock, self._baud_rate)
        )
        answer = self._gateway.synchronise()
        vendor, model, serial, *_ = (field.strip() for field in answer.split(","))
        self._who = (vendor, model, serial)
        self._is_real = _FAKE not in answer.lower()
        device = GCSDevice(gateway=self._gateway)
        there = device.qSAI()
        if self._axis_name not in there:
            raise OptionError(f"axis_name = {self._axis_name!r}: choose one of {', '.join(there)}")
        device.SVO(self._axis_name, True)  # it is off after the controller was switched on
        self._device = device
        return device

    def _hang_up(self) -> None:
        gateway, self._gateway, self._device = self._gateway, None, None
        if gateway is not None:
            gateway.close()

    def _set_up(self, device: GCSDevice) -> None:
        name = self._axis_name
        lower_nm = float(device.qTMN(name)[name]) * NM_PER_UM
        upper_nm = float(device.qTMX(name)[name]) * NM_PER_UM
        if self._lower_nm is not None:
            lower_nm = max(lower_nm, self._lower_nm)
        if self._upper_nm is not None:
            upper_nm = min(upper_nm, self._upper_nm)
        if not lower_nm < upper_nm:
            raise OptionError(
                f"no way is left between {lower_nm:g} and {upper_nm:g} nm: lower_nm and upper_nm "
                "must lie within the controller's own limits"
            )
        old = self._axis
        self._axis = Axis("nm", lower_nm, upper_nm, old.resolution, old.max_speed)
        self._has_speed = bool(device.HasVEL() and device.HasqVEL())
        if self._speed_nm_per_s is not None:
            if not self._has_speed:
                raise OptionError("speed_nm_per_s: this controller has no speed that can be set")
            device.VEL(name, self._speed_nm_per_s / NM_PER_UM)
