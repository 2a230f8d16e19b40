"""The first 48 bytes of an HDF5 file, where a writer marks it as open.

A file that its writer did not close keeps that mark, and a plain `h5py.File(path, "r")` refuses it
although all that was written is whole. Here the mark is taken away. Layout: HDF5 File Format
Specification 3.0, section II.A, superblock version 3. Checksum: Jenkins' lookup3 (2006).
"""

import struct
from pathlib import Path

from magscope.recording.diskfile import DiskFile

_SIZE = 48
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_VERSION_AND_SIZES = (3, 8, 8)
_FLAGS = 11
_END_OF_FILE = slice(28, 36)
_CHECKSUM = slice(44, 48)
_MASK = 0xFFFFFFFF


def state_length(file: DiskFile, length: int) -> None:
    """Make a file that somebody writes to longer, and state that, without a mark.

    It is longer before it says so: no reader finds it shorter than it states.

    Args:
        file: The file, open for reading and writing.
        length: Bytes that it is to have.
    """
    head = bytearray(_read_head(file))
    if is_current_superblock(head):
        file.truncate(length)
        head[_FLAGS] = 0
        head[_END_OF_FILE] = length.to_bytes(8, "little")
        _write_head(file, head)


def make_readable(path: Path) -> None:
    """Take away a dead writer's mark, and let the file's stated and real length agree.

    A writer states a new length only after it has written what lies there.

    Raises:
        OSError: The file can not be opened.
    """
    with DiskFile(path, "r+") as file:
        head = bytearray(_read_head(file))
        if not is_current_superblock(head):
            return
        stated = int.from_bytes(head[_END_OF_FILE], "little")
        real = file.size_bytes
        if real < stated:
            file.truncate(stated)
        if head[_FLAGS] or real > stated:
            head[_FLAGS] = 0
            head[_END_OF_FILE] = max(real, stated).to_bytes(8, "little")
            _write_head(file, head)


def sealed(image: bytes) -> bytes:
    """Return the bytes of a file in memory as those of a closed file.

    HDF5 before 2.0 takes its mark out of the image, but leaves the checksum as it was.
    """
    head = bytearray(image[:_SIZE])
    head[_FLAGS] = 0
    return _with_checksum(head) + image[_SIZE:]


def is_current_superblock(head: bytes | bytearray) -> bool:
    """Return whether these are the first bytes of a whole superblock of version 3."""
    return (
        len(head) == _SIZE
        and head[:8] == _SIGNATURE
        and tuple(head[8:11]) == _VERSION_AND_SIZES
        and struct.unpack("<I", head[_CHECKSUM])[0] == lookup3(bytes(head[: _CHECKSUM.start]))
    )


def lookup3(data: bytes) -> int:
    """Return Jenkins' lookup3 checksum of `data`, with the initial value 0, as HDF5 uses it."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    # The last block, which is never empty, is mixed in another way.
    n_blocks = max(len(data) - 1, 0) // 12
    for x, y, z in struct.iter_unpack("<3I", data[: 12 * n_blocks]):
        a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
        for bits in (4, 6, 8, 16, 19, 4):
            a = ((a - c) & _MASK) ^ _rotate(c, bits)
            c = (c + b) & _MASK
            a, b, c = b, c, a
    if not data:
        return c
    x, y, z = struct.unpack("<3I", data[12 * n_blocks :].ljust(12, b"\0"))
    a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotate(b, bits)) & _MASK
        a, b, c = b, c, a
    return b


def _read_head(file: DiskFile) -> bytes:
    file.seek(0)
    return file.read(_SIZE) or b""


def _write_head(file: DiskFile, head: bytearray) -> None:
    file.patch(0, _with_checksum(head))  # within one page of the cache: no kill leaves half of it


def _with_checksum(head: bytearray) -> bytes:
    covered = bytes(head[: _CHECKSUM.start])
    return covered + struct.pack("<I", lookup3(covered))


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _MASK
