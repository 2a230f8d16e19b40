"""A device in its manager's process: made from the rig file, opened, described, closed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from hal.device import Device, DeviceContext
from hal.errors import DriverError
from hal.registry import create, load_driver
from magscope.processes import ManagerProcessBase, Resources
from magscope.protocol import Kind, pack
from magscope.rig import CameraEntry, make_importable
from magscope.runtime import SharedMemory, current

Kindred = TypeVar("Kindred", bound=Device)


class DeviceHolder:
    """Makes a device where it is used, from what the rig file says of it.

    Args:
        role: `camera`, or the motor's name; what errors and the manifest call it.
        entry: The rig file's section.
        directory: Where `module:Class` drivers may stand, besides the installed ones.
    """

    def __init__(self, role: str, entry: CameraEntry, directory: Path | None) -> None:
        self.role = role
        self.started_ns = 0
        self._entry = entry
        self._directory = directory
        self._device: Device | None = None
        self._context: DeviceContext | None = None
        self._blocks: dict[str, SharedMemory] = {}

    def driver(self) -> type:
        """Return the driver's class; raises a DriverError if there is none."""
        make_importable(self._directory)
        return load_driver(self._entry.driver)

    def shared_memory(self) -> dict[str, int]:
        """Return the names and sizes of the memory that it shares with other devices."""
        return dict(getattr(self.driver(), "shared_memory", {}))

    def join(self, resources: Resources) -> None:
        """Join the session, in the manager's process."""
        self.started_ns = resources.started_ns
        self._context = DeviceContext(
            clock=current().clock, seed=resources.seed, shared=self._attach
        )

    def _attach(self, name: str) -> memoryview:
        if name not in self._blocks:
            self._blocks[name] = current().shared_memory(f"device-{name}")
        return self._blocks[name].buf

    def open(self, kind: type[Kindred]) -> Kindred:
        """Make the device, open it, and change the settings that the rig file gives.

        Raises:
            DeviceError: It can not be made or opened, or refuses a setting.
        """
        self.driver()
        device = create(self._entry.driver, self._entry.options, self._context)
        if not isinstance(device, kind):
            raise DriverError(
                f"driver {self._entry.driver!r} is a {type(device).__name__}, "
                f"but {self.role} needs a {kind.__name__}"
            )
        self._device = device
        device.open()
        for name, value in self._entry.settings.items():
            device.set(name, value)
        return device

    def report(self, manager: ManagerProcessBase) -> None:
        """Tell the router what the device is, for the manifest."""
        facts: dict[str, Any] = {"driver": self._entry.driver}
        if self._device is not None:
            facts |= asdict(self._device.identity)
            facts["settings"] = {s.name: self._device.get(s.name) for s in self._device.settings}
        facts["options"] = dict(self._entry.options)
        payload = json.dumps(facts, default=str).encode()
        manager.send_control(pack(Kind.DEVICE, self.role, payload=payload))

    def close(self) -> None:
        """Close the device, and let go of the memory."""
        try:
            if self._device is not None:
                self._device.close()
        finally:
            for block in self._blocks.values():
                block.close()
