"""A device that is captured: a recorder in front of it, whose files are the session's."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hal.device import Device
from hal.recording import CaptureWriter, kind_of, recorded
from magscope.recording.disk import check_free_space
from magscope.recording.diskfile import DiskFile

if TYPE_CHECKING:
    from magscope.devices import DeviceSpec


class _CaptureFile(DiskFile):
    """A file of a capture, which does not fill the disk to the brim."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x")

    def write(self, data: Any, /) -> int:
        """Write all of it, or raise."""
        check_free_space(self.path, memoryview(data).nbytes)
        return super().write(data)


def can_be_captured(device: Device) -> bool:
    """Whether it is a camera or a motor of a known kind; else it is used as it is."""
    return bool(kind_of(device))


def capture(
    device: Device, spec: "DeviceSpec", directory: Path, complain: Callable[[str], None]
) -> tuple[Device, CaptureWriter]:
    """Return what stands in front of a device and captures it, and where that writes.

    Args:
        device: Not yet open.
        spec: What the rig file says of it.
        directory: Where the capture goes.
        complain: Told if the disk ends the capture; the device goes on.

    Raises:
        UnsupportedError: It is neither a camera nor a motor of a known kind.
    """
    writer = CaptureWriter(
        directory,
        spec.role,
        device,
        driver=spec.driver,
        options=spec.options,
        complain=complain,
        open_file=_CaptureFile,
    )
    return recorded(device, writer), writer
