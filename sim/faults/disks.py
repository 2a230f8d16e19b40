"""Faults of the disk that a process writes to."""

from dataclasses import dataclass
from typing import ClassVar

from sim.faults.base import Fault, LastingFault, seconds


@dataclass(frozen=True)
class DiskFault(Fault):
    """What happens to the files of a process."""


@dataclass(frozen=True)
class DiskFull(DiskFault, LastingFault):
    """There is no space left for what the process writes."""

    kind: ClassVar[str] = "disk-full"
    default_site: ClassVar[str] = "file.write"

    def __str__(self) -> str:
        return f"the disk is full for {self.process} {self.when} {self.how_long}"


@dataclass(frozen=True)
class DiskReadOnly(DiskFault, LastingFault):
    """The process can not write to the disk."""

    kind: ClassVar[str] = "disk-read-only"
    default_site: ClassVar[str] = "file.open"

    def __str__(self) -> str:
        return f"the disk is read-only for {self.process} {self.when} {self.how_long}"


@dataclass(frozen=True)
class SlowDisk(DiskFault, LastingFault):
    """Every operation on a file takes its time.

    Attributes:
        late_s: How long one takes.
    """

    late_s: float = seconds(0.1, above=0.0)
    kind: ClassVar[str] = "slow-disk"
    default_site: ClassVar[str] = "file.write"

    def __str__(self) -> str:
        slow = f"the disk takes {self.late_s:g} s for each operation of {self.process}"
        return f"{slow} {self.when} {self.how_long}"


@dataclass(frozen=True)
class FsyncFails(DiskFault):
    """The next time that the process asks for what it wrote to be on disk, it is not."""

    kind: ClassVar[str] = "fsync-fails"
    default_site: ClassVar[str] = "file.fsync"

    def __str__(self) -> str:
        return f"the disk does not take what {self.process} has written {self.when}"


@dataclass(frozen=True)
class FileGone(DiskFault):
    """Somebody deletes the file that the process writes to next, where the system lets them."""

    kind: ClassVar[str] = "file-gone"
    default_site: ClassVar[str] = "file.write"

    def __str__(self) -> str:
        return f"a file that {self.process} writes is deleted {self.when}"


@dataclass(frozen=True)
class TornWrite(DiskFault):
    """The process dies between two operations on a file."""

    kind: ClassVar[str] = "torn-write"
    default_site: ClassVar[str] = "file.write"

    def __str__(self) -> str:
        return f"{self.process} is killed while it writes a file, {self.when}"
