"""A device in its manager's process: made from the rig file, opened, described, closed."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from hal.device import Device, DeviceContext, SettingValue
from hal.errors import DeviceError, DriverError
from hal.recording import CaptureWriter
from hal.registry import create, load_driver, make_importable
from magscope.capture import can_be_captured, capture
from magscope.link import Policy
from magscope.processes import ManagerProcessBase
from magscope.protocol import Kind, pack
from magscope.runtime import SharedMemory, current

Kindred = TypeVar("Kindred", bound=Device)


@dataclass(frozen=True)
class DeviceSpec:
    """What the rig file says of one device.

    Attributes:
        role: `camera`, or the motor's name; what errors and the manifest call it.
        driver: A registered driver, or `package.module:Class`.
        options: Keywords of the driver's constructor.
        settings: Set on the open device, in this order.
        directory: Where `module:Class` drivers may stand, besides the installed ones.
        clip: Whether a target outside the axis is moved to its end instead of being refused.
        on_exit: Whether a motor is stopped at the end or left holding its position.
        telemetry_hz: How often a second a moving motor's position is written down.
        reconnect: What is done when the device goes away; see `magscope.link.Link`.
    """

    role: str
    driver: str
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, SettingValue] = field(default_factory=dict)
    directory: Path | None = None
    clip: bool = False
    on_exit: Literal["stop", "hold"] = "stop"
    telemetry_hz: float = 20.0
    reconnect: Policy = "never"

    def load(self) -> type:
        """Return the driver's class; raises a DriverError if there is none."""
        make_importable(self.directory)
        return load_driver(self.driver)


class DeviceHolder:
    """Makes a device where it is used, from what the rig file says of it."""

    def __init__(self, spec: DeviceSpec) -> None:
        self.spec = spec
        self.started_ns = 0
        self._device: Device | None = None
        self._has_gone = False
        self._context: DeviceContext | None = None
        self._blocks: dict[str, SharedMemory] = {}
        self._capture_dir: Path | None = None
        self._capture: CaptureWriter | None = None
        self._log: Callable[[str, str], None]

    def shared_memory(self) -> dict[str, int]:
        """Return the names and sizes of the memory that it shares with other devices."""
        return dict(getattr(self.spec.load(), "shared_memory", {}))

    def join(self, manager: ManagerProcessBase) -> None:
        """Join the session, in the manager's process."""
        resources = manager.resources
        self.started_ns = resources.started_ns
        self._capture_dir = resources.capture_dir
        self._log = manager.log
        self._context = DeviceContext(
            clock=current().clock,
            seed=resources.seed,
            shared=self._attach,
            warn=lambda text: manager.log("warning", text),
            directory=self.spec.directory,
        )

    def _attach(self, name: str) -> memoryview:
        if name not in self._blocks:
            self._blocks[name] = current().shared_memory(f"device-{name}")
        return self._blocks[name].buf

    def open(self, kind: type[Kindred]) -> Kindred:
        """Make the device, which must be of this class, open it, and change its settings.

        Raises:
            DeviceError: It can not be made or opened, or refuses a setting.
        """
        self.spec.load()
        device = create(self.spec.driver, self.spec.options, self._context)
        if not isinstance(device, kind):
            raise DriverError(
                f"driver {self.spec.driver!r} is a {type(device).__name__}, "
                f"but {self.spec.role} needs a {kind.__name__}"
            )
        used = self._captured(current().device(self.spec.role, device))
        assert isinstance(used, kind)
        self._device = device = used
        self.connect()
        return device

    def connect(self) -> None:
        """Open the device, and change its settings.

        Raises:
            DeviceError: It is not there, or refuses a setting.
        """
        assert self._device is not None
        self._device.open()
        self._has_gone = False
        current().note("device", f"{self.spec.role} is open")
        for name, value in self.spec.settings.items():
            self._device.set(name, value)

    def let_go(self) -> None:
        """Close a device that has gone, as far as that can be done, so that it can be opened again.

        Raises nothing: what a driver has to say of it is logged.
        """
        assert self._device is not None
        try:
            self._device.close()
        except DeviceError as error:
            self._log("warning", f"{self.spec.role}, while closing: {error}")
        self._has_gone = True
        current().note("device", f"{self.spec.role} is closed")

    def _captured(self, device: Device) -> Device:
        """Return the device with a recorder in front of it, where the session is captured."""
        if self._capture_dir is None or not can_be_captured(device):
            return device
        device, self._capture = capture(
            device, self.spec, self._capture_dir, lambda text: self._log("error", text)
        )
        return device

    def report(self, manager: ManagerProcessBase) -> None:
        """Tell the router what the device is, for the manifest."""
        facts: dict[str, Any] = {"driver": self.spec.driver}
        if self._device is not None:
            facts |= asdict(self._device.identity)
            facts["settings"] = {s.name: self._device.get(s.name) for s in self._device.settings}
        facts["options"] = dict(self.spec.options)
        payload = json.dumps(facts, default=str).encode()
        manager.send_control(pack(Kind.DEVICE, self.spec.role, payload=payload))

    def close(self) -> None:
        """Close the device, and let go of the memory."""
        try:
            if self._device is not None and not self._has_gone:
                self._device.close()
                current().note("device", f"{self.spec.role} is closed")
        finally:
            if self._capture is not None:
                self._capture.close()
            for block in self._blocks.values():
                block.close()
