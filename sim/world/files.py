"""The disk of a world: real files, real bytes, and operations at which a process can die or fail.

What a process has written is in its files as soon as the call has returned, as in a real one. A
process that is killed at an operation has done everything before it and nothing of it or after it.
HDF5's calls are one operation each: what a kill inside of one leaves is tried on real processes.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from magscope.runtime.files import Disk, OpenFile
from sim.world.content import without_paths

if TYPE_CHECKING:
    from sim.world.machine import Machine
    from sim.world.process import VirtualProcess


class VirtualDisk(Disk):
    """The disk as one process of a world sees it."""

    def __init__(self, machine: "Machine", process: "VirtualProcess") -> None:
        self._machine = machine
        self._process = process
        self._open: dict[int, OpenFile] = {}

    def at(self, operation: str, path: Path, size: int = 0) -> None:
        """Be at an operation on a file: others may come first, and a fault may strike."""
        self._machine.operation(f"file.{operation}", without_paths(path.name))
        if self._machine.on_file is not None:
            self._machine.on_file(self._process, operation, path, size)

    def keeps(self, file: OpenFile) -> None:
        """Remember a file that is open."""
        self._open[id(file)] = file

    def lets_go(self, file: OpenFile) -> None:
        """Forget a file."""
        self._open.pop(id(file), None)

    def close(self) -> None:
        """Close what the process has open, as the kernel does when it ends: nothing is flushed."""
        for file in list(self._open.values()):
            file.abandon()
