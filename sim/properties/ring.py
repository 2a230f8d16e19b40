"""The video buffer as it lies in memory, read without the code that is looked at."""

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from sim.properties.reference import WORKER, Flag
from sim.world.trace import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.properties.base import Property
    from sim.world.world import World

_HEADER_BYTES, _WRITTEN, _RELEASED = 128, 64, 72
_WORD, _SHAPE = struct.Struct("<q"), struct.Struct("<5q")
_PIECES, _PIECE_BYTES = 16, 256


@dataclass(frozen=True)
class Taken:
    """A frame as it was when the camera manager was about to count it.

    Attributes:
        time_ns: Unix time.
        number: The device's own.
        pixels: A checksum.
        z_nm: Of the first bead, where the camera sends the truth instead of a picture.
    """

    time_ns: int
    number: int
    pixels: int
    z_nm: float


class Ring:
    """The frames in shared memory.

    Args:
        memory: The block of the video buffer.
        tells_truth: Whether the camera writes positions into the pixels.
    """

    def __init__(self, memory: mmap.mmap, *, tells_truth: bool) -> None:
        self._memory = memory
        self._tells_truth = tells_truth
        n_stacks, self.width, height, self.n_images, bits = _SHAPE.unpack_from(memory)
        self.total = n_stacks * self.n_images
        self._size = self.width * height * bits // 8

    @classmethod
    def of(cls, world: "World") -> "Ring | None":
        """Return the ring of a world's session, once there is one."""
        memory = world.block("VideoBuffer")
        if memory is None:
            return None
        return cls(memory, tells_truth=world.rig.camera.driver.endswith(":TruthCamera"))

    @property
    def written(self) -> int:
        """Frames written since the start."""
        return int(_WORD.unpack_from(self._memory, _WRITTEN)[0])

    @property
    def released(self) -> int:
        """Frames released since the start."""
        return int(_WORD.unpack_from(self._memory, _RELEASED)[0])

    def look(self, index: int) -> Taken:
        """Return a frame, by how many there were before it, as it lies in its place now."""
        slot, total, memory = index % self.total, self.total, self._memory
        at = _HEADER_BYTES + 8 * slot
        start = _HEADER_BYTES + 24 * total + slot * self._size
        z_nm = 0.0
        if self._tells_truth:  # the third number of the first cell, in its second row
            z_nm = struct.unpack_from("<d", memory, start + self.width)[0]
        return Taken(
            _WORD.unpack_from(memory, at + 8 * total)[0],
            _WORD.unpack_from(memory, at + 16 * total)[0],
            self._checksum(start),
            z_nm,
        )

    def _checksum(self, start: int) -> int:
        """Return a checksum of a frame; of a large one, of pieces of it from top to bottom."""
        memory, size = memoryview(self._memory), self._size
        if size <= _PIECES * _PIECE_BYTES:
            return crc32(memory[start : start + size])
        found = 0
        for piece in range(_PIECES):
            at = start + piece * (size - _PIECE_BYTES) // (_PIECES - 1)
            found = crc32(memory[at : at + _PIECE_BYTES], found)
        return found

    def time_s(self, index: int) -> float:
        """Return a frame's Unix time in s, as it lies there now."""
        at = _HEADER_BYTES + 8 * (index % self.total)
        return float(struct.unpack_from("<d", self._memory, at)[0])


class Claim(NamedTuple):
    """A stack that was handed to a worker: its number, its first frame, and its frames."""

    epoch: int
    first: int
    frames: tuple[Taken, ...]


class Stacks:
    """Keeps account of the frames that were written and of the stacks that were handed out.

    Args:
        world: The run.

    Attributes:
        frames: By how many there were before; those of the last rounds of the ring.
        claims: The newest stack of each worker, by its name.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self._ring: Ring | None = None
        self._newest: Claim | None = None
        self.frames: dict[int, Taken] = {}
        self.claims: dict[str, Claim] = {}
        self._watchers: dict[str, list[tuple[Property, Callable[..., None]]]] = {}
        world.trace.observe("memory.set", self._set)
        world.trace.observe("note.flag", self._flag)

    def tell(self, event: str, watcher: "Property", method: "Callable[..., None]") -> None:
        """Call a property's method at each `written`, `released`, `claimed`, and so on."""
        self._watchers.setdefault(event, []).append((watcher, method))

    def _tell(self, event: str, *what: object) -> None:
        for watcher, method in self._watchers.get(event, ()):
            try:
                method(*what)
            except Exception as error:  # must not look like a manager's own mistake
                self._world.monitor.broken(watcher, error)

    @property
    def has_ring(self) -> bool:
        """Whether a frame was ever written."""
        return self._ring is not None

    @property
    def ring(self) -> Ring:
        """The video buffer."""
        if self._ring is None:
            self._ring = Ring.of(self._world)
        assert self._ring is not None
        return self._ring

    def _is_swept(self) -> bool:
        """Whether the video buffer's name was gone before a frame was written."""
        if self._ring is None:
            self._ring = Ring.of(self._world)
        return self._ring is None

    def _set(self, step: Step) -> None:
        if step.object == "VideoBuffer":
            word, _, number = step.detail.partition("=")
            if word not in ("written", "released") or self._is_swept():
                return
            if word == "written":
                index = int(number) - 1
                self.frames[index] = frame = self.ring.look(index)
                self.frames.pop(index - 3 * self.ring.total, None)
                self._tell("written", step.process, index, frame)
            elif word == "released":
                self._tell("released", step.process, int(number))
        elif step.object == "TracksBuffer" and step.detail.startswith("written="):
            self._tell("tracked", step.process, int(step.detail.removeprefix("written=")))

    def _flag(self, step: Step) -> None:
        if self._is_swept():
            return
        flag = Flag.noted(step.detail)
        worker = f"{WORKER}{flag.owner}"
        if flag.state == "FINISHED":
            claim = self.claims.get(worker)
            if claim is not None and claim.epoch == flag.epoch:
                self._tell("finished", worker, claim)
        elif flag.state == "RUNNING":
            first, n_images = self.ring.released, self.ring.n_images
            indexes = range(first, first + n_images)
            if all(index in self.frames for index in indexes):
                before, frames = self._newest, tuple(self.frames[index] for index in indexes)
                self._newest = claim = Claim(flag.epoch, first, frames)
                self.claims[worker] = claim
                self._tell("claimed", worker, claim, before)
