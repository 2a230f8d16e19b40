"""The two ring buffers that processes share: frames, and rows of numbers."""

import weakref
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from magscope.runtime import Lock, SharedMemory, current

_HEADER_WORDS = 16
_HEADER_BYTES = _HEADER_WORDS * 8
_COUNTERS_AT = 8
_NS_PER_S = 1_000_000_000


class BufferUnderflow(Exception):  # noqa: N818 - the name is part of the contract
    """There is less in the buffer than was asked for."""


class BufferOverflow(Exception):  # noqa: N818
    """There is no room in the buffer."""


def int_to_uint_dtype(bits: int) -> np.dtype:
    """Return the unsigned type of so many bits: 8, 16, 32 or 64."""
    if bits not in (8, 16, 32, 64):
        raise ValueError(f"bits = {bits!r}: expected 8, 16, 32 or 64")
    return np.dtype(f"uint{bits}")


class _SharedBuffer:
    """A named block whose first words say what is in it; unlinked when its creator drops it."""

    name: str
    _SHAPE: ClassVar[tuple[str, ...]]
    _COUNTERS: ClassVar[tuple[str, ...]]

    def _attach(
        self, name: str, locks: Mapping[str, Any], shape: tuple[int, ...] | None, data_bytes: int
    ) -> tuple[int, ...]:
        if name not in locks:
            raise KeyError(f"locks has no key {name!r}; it has {sorted(locks)}")
        self.name = name
        self._lock: Lock = locks[name]
        self.is_creator = shape is not None
        size = _HEADER_BYTES + data_bytes if shape is not None else None
        self._block: SharedMemory = current().shared_memory(name, size)
        self._memory = self._block.buf
        unused = ("",) * (_COUNTERS_AT - len(self._SHAPE))
        self._words = self._block.words((*self._SHAPE, *unused, *self._COUNTERS))
        if shape is not None:
            for index, number in enumerate(shape):
                self._put(index, number)
        else:
            shape = tuple(self._get(i) for i in range(len(self._SHAPE)))
        self._finalizer = weakref.finalize(self, _let_go, self._block, unlink=self.is_creator)
        return shape

    def _get(self, word: int) -> int:
        return self._words[word]

    def _put(self, word: int, number: int) -> None:
        self._words[word] = number

    def close(self) -> None:
        """Let go of the buffer; idempotent. Its arrays must not be used afterwards."""
        self._drop_views()
        self._words.release()
        self._block.close()
        if not self.is_creator:
            self._finalizer.detach()

    def unlink(self) -> None:
        """Remove the buffer's name, for its creator; idempotent."""
        if self.is_creator:
            self._block.unlink()
            self._finalizer.detach()

    def disown(self) -> None:
        """Leave the removal of the buffer's name to the session, for its creator."""
        self.is_creator = False
        self._finalizer.detach()

    def _drop_views(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.unlink()


def _let_go(block: SharedMemory, *, unlink: bool) -> None:
    block.close()
    if unlink:
        block.unlink()


class VideoBuffer(_SharedBuffer):
    """A ring of frames in shared memory, read a stack at a time.

    One process writes and one process at a time reads: the camera manager writes frames and
    releases stacks, a worker looks at the oldest stack in between. The count of written and the
    count of released frames are one word each and only ever grow, so that a death at any moment
    leaves both true. The lock orders the pixels before the count on every processor.

    Args:
        create: True in the one process that makes the buffer, which gives its geometry.
        locks: Has the key `"VideoBuffer"`.
        n_stacks: How many stacks the ring holds.
        width: Columns of a frame.
        height: Rows of a frame.
        n_images: Frames in a stack.
        bits: Bits a pixel: 8, 16, 32 or 64.

    Attributes:
        stack_shape: `(width, height, n_images)`.
        image_shape: `(width, height)`.
        image_size: Bytes of a frame.
    """

    _SHAPE = ("n_stacks", "width", "height", "n_images", "bits")
    _COUNTERS = ("written", "released")
    _WRITTEN, _RELEASED = range(_COUNTERS_AT, _COUNTERS_AT + 2)

    def __init__(
        self,
        *,
        create: bool,
        locks: Mapping[str, Any],
        n_stacks: int | None = None,
        width: int | None = None,
        height: int | None = None,
        n_images: int | None = None,
        bits: int | None = None,
    ) -> None:
        given = {
            "n_stacks": n_stacks, "width": width, "height": height, "n_images": n_images,
            "bits": bits,
        }  # fmt: skip
        shape = _positive(given) if create else None
        data = 0
        if shape is not None:
            total = shape[0] * shape[3]
            data = total * (24 + shape[1] * shape[2] * int_to_uint_dtype(shape[4]).itemsize)
        shape = self._attach("VideoBuffer", locks, shape, data)
        self.n_stacks, width, height, self.n_images, bits = shape
        self.dtype = int_to_uint_dtype(bits)
        self.itemsize = self.dtype.itemsize
        self.image_shape = (width, height)
        self.stack_shape = (width, height, self.n_images)
        self.n_total_images = self.n_stacks * self.n_images
        self.image_size = width * height * self.itemsize
        self.stack_size = self.image_size * self.n_images
        self.buffer_size = self.stack_size * self.n_stacks
        self._map(width, height)

    def _map(self, width: int, height: int) -> None:
        total, start = self.n_total_images, _HEADER_BYTES
        self._timestamps = np.frombuffer(self._memory, np.float64, total, start)
        self._timestamps_ns = np.frombuffer(self._memory, np.int64, total, start + 8 * total)
        self._numbers = np.frombuffer(self._memory, np.int64, total, start + 16 * total)
        pixels = np.frombuffer(self._memory, self.dtype, total * width * height, start + 24 * total)
        self._images = pixels.reshape(total, height, width)

    def _drop_views(self) -> None:
        self._timestamps = np.empty(0)
        self._timestamps_ns = self._numbers = np.empty(0, np.int64)
        self._images = np.empty((0, 0, 0), self.dtype)

    @property
    def written(self) -> int:
        """Frames written since the start."""
        return self._get(self._WRITTEN)

    @property
    def released(self) -> int:
        """Frames read or dropped since the start."""
        return self._get(self._RELEASED)

    def get_level(self) -> float:
        """Return how full the ring is, 0 to 1."""
        return min(max(self._unread() / self.n_total_images, 0.0), 1.0)

    def check_read_stack(self) -> bool:
        """Return whether a whole stack waits."""
        return self._unread() >= self.n_images

    @property
    def has_room(self) -> bool:
        """Whether another frame can be written."""
        return self._unread() < self.n_total_images

    def next_image(self) -> np.ndarray:
        """Return the frame to write next, in place: `(height, width)`; `commit` makes it count.

        Raises:
            BufferOverflow: Every frame of the ring is unread.
        """
        if self._unread() >= self.n_total_images:
            raise BufferOverflow(f"all {self.n_total_images} frames of the buffer are unread")
        image: np.ndarray = self._images[self.written % self.n_total_images]
        return image

    def commit(self, timestamp_ns: int, frame_number: int | None = None) -> None:
        """Count the frame that was written into `next_image`.

        Args:
            timestamp_ns: Unix time in ns.
            frame_number: The device's own number; the buffer's count if None.
        """
        self._count(timestamp_ns / _NS_PER_S, timestamp_ns, frame_number)

    def _count(self, timestamp_s: float, timestamp_ns: int, frame_number: int | None) -> None:
        written = self.written
        slot = written % self.n_total_images
        self._timestamps[slot] = timestamp_s
        self._timestamps_ns[slot] = timestamp_ns
        self._numbers[slot] = written if frame_number is None else frame_number
        with self._lock:
            self._put(self._WRITTEN, written + 1)

    def write_timestamp(self, t: float) -> None:
        """Count the frame whose pixels the camera has written in place, taken at Unix time `t` s.

        Raises:
            BufferOverflow: Every frame of the ring is unread.
        """
        self.next_image()
        self._count(t, round(t * _NS_PER_S), None)

    def write_image_and_timestamp(self, image_bytes: Any, t: float) -> None:
        """Write a frame.

        Args:
            image_bytes: The frame row by row, `image_size` bytes.
            t: Unix time in s.

        Raises:
            BufferOverflow: Every frame of the ring is unread.
            ValueError: The frame has the wrong size.
        """
        image = self.next_image()
        pixels = np.frombuffer(image_bytes, self.dtype)
        if pixels.size != image.size:
            raise ValueError(
                f"a frame of {memoryview(image_bytes).nbytes} bytes: expected {self.image_size}"
            )
        image[:] = pixels.reshape(image.shape)
        self.write_timestamp(t)

    def peak_image(self) -> tuple[int, memoryview]:
        """Return the newest frame: its place in the ring, and its bytes row by row."""
        slot = (self.written - 1) % self.n_total_images
        return slot, memoryview(self._images[slot]).cast("B")

    def peak_stack(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the oldest stack without releasing it.

        Returns:
            The frames `(width, height, n_images)`, a view of the ring; their Unix times in s.

        Raises:
            BufferUnderflow: No whole stack waits.
        """
        slots = self._oldest(self.n_images)
        return self._images[slots].T, self._timestamps[slots]

    def peak_stack_info(self) -> tuple[np.ndarray, np.ndarray]:
        """Return copies of the oldest stack's times in Unix ns, and of its frame numbers."""
        slots = self._oldest(self.n_images)
        return self._timestamps_ns[slots].copy(), self._numbers[slots].copy()

    def read_stack_no_return(self) -> None:
        """Release the oldest stack; raises BufferUnderflow if no whole stack waits."""
        self.release_images(self.n_images)

    def read_image(self) -> tuple[np.ndarray, float]:
        """Take the oldest frame: a copy `(width, height)`, and its Unix time in s.

        Raises:
            BufferUnderflow: The buffer is empty.
        """
        slots = self._oldest(1)
        image, timestamp = self._images[slots][0].T.copy(), float(self._timestamps[slots][0])
        self.release_images(1)
        return image, timestamp

    def release_images(self, count: int) -> None:
        """Release the oldest frames; raises BufferUnderflow if there are not so many."""
        with self._lock:
            if self.written - self.released < count:
                raise BufferUnderflow(f"fewer than {count} frames wait in the buffer")
            self._put(self._RELEASED, self.released + count)

    def _unread(self) -> int:
        # Released first: both only grow, so the writer sees too much at worst, never too little,
        # and the reader, who alone releases, sees no frame that is not there.
        released = self.released
        return self.written - released

    def _oldest(self, count: int) -> Any:
        if self._unread() < count:
            raise BufferUnderflow(f"fewer than {count} frames wait in the buffer")
        first = self.released % self.n_total_images
        if first + count <= self.n_total_images:
            return slice(first, first + count)
        return np.arange(first, first + count) % self.n_total_images


def _positive(given: Mapping[str, int | None]) -> tuple[int, ...]:
    for name, number in given.items():
        if not isinstance(number, (int, np.integer)) or number < 1:
            raise ValueError(f"{name} = {number!r}: a new buffer needs a whole number above 0")
    return tuple(int(number) for number in given.values() if number is not None)


class MatrixBuffer(_SharedBuffer):
    """A ring of rows of float64 in shared memory, written and read by any process of the session.

    When it is written faster than it is read, the newest rows stay and the others are counted.

    Args:
        create: True in the one process that makes the buffer.
        locks: Has `name` as a key.
        name: Which buffer this is.
        shape: Rows and columns of a new buffer.
    """

    _SHAPE = ("rows", "columns")
    _COUNTERS = ("written", "read", "overwritten", "claimed")
    _WRITTEN, _READ, _OVERWRITTEN, _CLAIMED = range(_COUNTERS_AT, _COUNTERS_AT + 4)

    def __init__(
        self,
        *,
        create: bool,
        locks: Mapping[str, Any],
        name: str,
        shape: tuple[int, int] | None = None,
    ) -> None:
        wanted = None
        if create:
            rows, columns = shape or (None, None)
            wanted = _positive({"shape[0]": rows, "shape[1]": columns})
        found = self._attach(name, locks, wanted, 8 * wanted[0] * wanted[1] if wanted else 0)
        self.shape = (found[0], found[1])
        self.dtype = np.dtype(np.float64)
        count = self.shape[0] * self.shape[1]
        self._rows = np.frombuffer(self._memory, np.float64, count, _HEADER_BYTES).reshape(
            self.shape
        )

    def _drop_views(self) -> None:
        self._rows = np.empty((0, 0))

    @property
    def written(self) -> int:
        """Rows written since the start."""
        return self._get(self._WRITTEN)

    @property
    def overwritten(self) -> int:
        """Rows that were overwritten before they were read."""
        with self._lock:
            return self._get(self._OVERWRITTEN) + self._overrun()

    def get_count_index(self) -> int:
        """Return how many rows wait to be read; never more than the buffer holds."""
        with self._lock:
            return self.written - self._get(self._READ) - self._overrun()

    def get_read_index(self) -> int:
        """Return the place of the oldest unread row."""
        with self._lock:
            return (self._get(self._READ) + self._overrun()) % self.shape[0]

    def get_write_index(self) -> int:
        """Return the place where the next row goes."""
        return self.written % self.shape[0]

    def write(self, rows: np.ndarray) -> None:
        """Append rows, `(n, columns)`; of more than the buffer holds, the last ones.

        Raises:
            ValueError: The rows have another number of columns.
        """
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.shape[1]:
            raise ValueError(
                f"rows of shape {rows.shape} for {self.name}: expected (n, {self.shape[1]})"
            )
        capacity = self.shape[0]
        with self._lock:
            written = self.written
            kept = rows[-capacity:] if len(rows) > capacity else rows
            first = (written + len(rows) - len(kept)) % capacity
            head = min(len(kept), capacity - first)
            # Said first: if the writer dies now, what it began to overwrite is not read as whole.
            self._put(self._CLAIMED, max(written + len(rows), self._get(self._CLAIMED)))
            self._rows[first : first + head] = kept[:head]
            self._rows[: len(kept) - head] = kept[head:]
            self._put(self._WRITTEN, written + len(rows))

    def offer(self, rows: np.ndarray, patience_s: float) -> bool:
        """Append rows as `write` does, if that is possible within some seconds.

        For who must not wait: another process that hangs may have the lock.

        Returns:
            False if it was not; the rows are nowhere.
        """
        if not self._lock.acquire(timeout=patience_s):
            return False
        try:
            self.write(rows)
        finally:
            self._lock.release()
        return True

    def read(self) -> np.ndarray:
        """Return the unread rows, oldest first, `(n, columns)`; they then count as read."""
        with self._lock:
            lost = self._overrun()
            rows = self._range(self._get(self._READ) + lost, self.written)
            self._put(self._OVERWRITTEN, self._get(self._OVERWRITTEN) + lost)
            self._put(self._READ, self.written)
        return rows

    def newest(self, count: int) -> np.ndarray:
        """Return copies of the last `count` rows at most, oldest first, read or not.

        It takes no lock: the router asks, which nobody who hangs with a lock may hold up. Rows that
        were overwritten while they were copied are left out.
        """
        written = self.written
        start = min(max(written - count, self._oldest(), 0), written)
        rows = self._range(start, written)
        return rows[max(self._oldest() - start, 0) :]

    def peak_unsorted(self) -> np.ndarray:
        """Return a copy of the whole ring as it lies in memory; rows never written are NaN."""
        with self._lock:
            return self._whole()

    def peak_sorted(self) -> np.ndarray:
        """Return a copy of the whole ring, oldest row first; rows never written are NaN."""
        with self._lock:
            return np.roll(self._whole(), -self.get_write_index(), axis=0)

    def _whole(self) -> np.ndarray:
        # Memory that was never touched costs nothing, so NaN is put in here and not at the start.
        rows = self._rows.copy()
        rows[min(self.written, self.shape[0]) :] = np.nan
        return rows

    def _overrun(self) -> int:
        read = self._get(self._READ)
        return min(max(self._oldest() - read, 0), self.written - read)

    def _oldest(self) -> int:
        return max(self.written, self._get(self._CLAIMED)) - self.shape[0]

    def _range(self, start: int, stop: int) -> np.ndarray:
        first, count, capacity = start % self.shape[0], stop - start, self.shape[0]
        if first + count <= capacity:
            return self._rows[first : first + count].copy()
        return np.concatenate((self._rows[first:], self._rows[: first + count - capacity]))
