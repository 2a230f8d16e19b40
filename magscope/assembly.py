"""What the processes of one session share, made once by the router before it starts them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from magscope.board import Board
from magscope.datatypes import MatrixBuffer
from magscope.hardware import HardwareManagerBase
from magscope.processes import InterprocessValues, ManagerProcessBase, Resources
from magscope.runtime import Bell, Endpoint, Event, SharedMemory, current

if TYPE_CHECKING:
    from magscope.scope import MagScope

TRACK_COLUMNS = 7
PROFILE_ROWS = 20_000


@dataclass
class Parts:
    """The router's hold on all that is shared.

    Attributes:
        ends: The router's end of each manager's pipe.
        matrices: The buffers of rows, by name.
    """

    ends: dict[ManagerProcessBase, Endpoint]
    system_quitting: Event
    shared_values: InterprocessValues
    locks: dict[str, object]
    matrices: dict[str, MatrixBuffer]
    board: Board
    bells: dict[str, Bell]
    device_memory: list[SharedMemory]
    started_ns: int
    n_images: int

    def close(self) -> None:
        """Let go of everything and remove its names."""
        for buffer in self.matrices.values():
            buffer.close()
            buffer.unlink()
        self.board.close()
        for block in self.device_memory:
            block.close()
            block.unlink()
        for bell in self.bells.values():
            bell.close()


def assemble(scope: "MagScope") -> Parts:
    """Make the shared parts of a session and hand every manager what it needs of them.

    Raises:
        MemoryError: There is no room for the buffers.
    """
    runtime = current()
    managers = scope.managers
    settings = scope.settings
    hardware = [m for m in managers if isinstance(m, HardwareManagerBase)]
    rois = scope.rig.beads.rois
    buffers = {
        "TracksBuffer": (settings["tracks max datapoints"], TRACK_COLUMNS),
        "ProfilesBuffer": (PROFILE_ROWS, 2 + settings["bead roi width"] // 2),
        **scope.camera_manager.buffers(),
        **{m.name: m.buffer_shape for m in hardware},
    }
    locks = {name: runtime.lock() for name in ("VideoBuffer", *buffers)}
    parts = Parts(
        ends={},
        system_quitting=runtime.event(),
        shared_values=InterprocessValues(),
        locks=dict(locks),
        matrices={
            name: MatrixBuffer(create=True, locks=locks, name=name, shape=shape)
            for name, shape in buffers.items()
        },
        board=Board([m.name for m in managers], create=True),
        bells={"camera": runtime.bell(), "video": runtime.bell()},
        device_memory=[
            runtime.shared_memory(f"device-{name}", size)
            for name, size in _device_memory(managers).items()
        ],
        started_ns=runtime.clock.now_ns(),
        n_images=settings["video buffer n images"],
    )
    for manager in managers:
        mine, its = runtime.pipe()
        parts.ends[manager] = mine
        manager.give(
            Resources(
                end=its,
                quitting=runtime.event(),
                system_quitting=parts.system_quitting,
                locks=locks,
                shared_values=parts.shared_values,
                settings=settings,
                names=tuple(m.name for m in managers),
                camera_type=scope.camera_manager.camera_type,
                hardware_types={m.name: type(m) for m in hardware},
                bells=parts.bells,
                seed=scope.seed,
                started_ns=parts.started_ns,
                nm_per_px=scope.camera_manager.nm_per_px(settings["magnification"]),
                record_dir=scope.record_dir,
                capture_dir=scope.capture_dir,
                acquisition_on=scope.rig.acquisition.on,
                acquisition_mode=scope.rig.acquisition.acquisition_mode,
                bead_rois={} if rois == "auto" else dict(enumerate(rois)),
            )
        )
    records = scope.rig.recording
    scope.recording_manager.describe(
        hardware if records.motors else (),
        scope.camera_manager.camera_type if records.annotations else None,
    )
    return parts


def _device_memory(managers: list[ManagerProcessBase]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for manager in managers:
        for name, size in getattr(manager, "device_memory", dict)().items():
            wanted[name] = max(size, wanted.get(name, 0))
    return wanted
