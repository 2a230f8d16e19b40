"""Writing files so that they appear whole or not at all, and never fill the disk to the brim."""

import contextlib
import errno
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from magscope.recording.diskfile import DiskFile
from magscope.recording.errors import RecordingError
from magscope.runtime import current

# Kept free so that open files can still be closed in order.
RESERVE_BYTES = 1 << 20
_PARTIAL = ".part"
_PARTIAL_NAME = re.compile(r"^\.|\.\d+-\d+\.part$")
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_directory(directory: Path) -> None:
    """Refuse a directory that is not there or can not be written to.

    Raises:
        RecordingError: It says which, and what to do.
    """
    if not directory.is_dir():
        raise RecordingError(
            f"recording directory {directory} does not exist: make it, or choose another"
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise RecordingError(
            f"recording directory {directory} is not writable: change its permissions, "
            "or choose another"
        )


def check_free_space(path: Path, needed_bytes: int) -> None:
    """Refuse to write what would leave less than `RESERVE_BYTES` free.

    Args:
        path: The file that is to be written.
        needed_bytes: How much it is going to grow.

    Raises:
        RecordingError: The disk is full, or the directory is gone.
    """
    directory = path.parent
    try:
        current().disk.at("space", path, needed_bytes)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise cannot_write(directory, error) from error
    if free < needed_bytes + RESERVE_BYTES:
        raise RecordingError(
            f"disk full: {directory} has {free / 1e6:.1f} MB free, and "
            f"{(needed_bytes + RESERVE_BYTES) / 1e6:.1f} MB are needed: free some space, or choose "
            "another directory"
        )


def cannot_write(path: Path, error: BaseException) -> RecordingError:
    """Return the one clear line for a failure of the operating system or of HDF5."""
    number = getattr(error, "errno", None)
    said = str(getattr(error, "strerror", None) or error).replace("\n", " ")
    if number == errno.ENOSPC or "No space left" in said:
        reason = "disk full: free some space, or choose another directory"
    elif number in _FORBIDDEN:
        reason = f"{said}: change its permissions, or choose another directory"
    elif number == errno.EIO:
        reason = f"{said}: the disk fails; choose a directory on another one"
    else:
        reason = said or type(error).__name__
    return RecordingError(f"can not write {path}: {reason}")


def write_new(path: Path, write: Callable[[DiskFile], object]) -> Path:
    """Write a file under a temporary name and then give it its own, never replacing another.

    Args:
        path: The name wanted; where it is taken, a number is added to it.
        write: Writes all that the file is to hold to the empty file that it is given.

    Returns:
        The name that it got.

    Raises:
        RecordingError: It could not be written; nothing of it is left.
    """
    check_directory(path.parent)
    with _partial_file(path) as partial:
        write(partial)
        partial.close()
        return _publish(partial.path, path)


def replace_file(path: Path, content: bytes) -> None:
    """Give a file new content, on disk before this returns; a reader sees the old or the new.

    Raises:
        RecordingError: It could not be written; the old content stands.
    """
    with _partial_file(path) as partial:
        partial.write(content)
        partial.sync()
        partial.close()
        current().disk.at("rename", path)
        partial.path.replace(path)


def remove(path: Path, *, known_as: Path | None = None) -> None:
    """Remove a file, if it is there; `known_as` is the name that it was to have later."""
    if path.exists():
        current().disk.at("remove", known_as or path)
        path.unlink(missing_ok=True)


def remove_partial_files(directory: Path) -> int:
    """Remove what a killed writer left under a temporary name; returns how many there were.

    Only for when no process writes to the directory.
    """
    leftovers = sorted(directory.glob(f".*{_PARTIAL}"))
    for leftover in leftovers:
        remove(leftover, known_as=leftover.with_name(_PARTIAL_NAME.sub("", leftover.name)))
    return len(leftovers)


def is_partial(path: Path) -> bool:
    """Whether this is the temporary name of a file that is being written."""
    return path.name.startswith(".") and path.suffix == _PARTIAL


def numbered(path: Path) -> "itertools.chain[Path]":
    """Return the names to try in turn: `path`, then `… 2`, `… 3`, and so on."""
    return itertools.chain([path], (path.with_stem(f"{path.stem} {n}") for n in itertools.count(2)))


@contextmanager
def _partial_file(path: Path) -> Iterator[DiskFile]:
    """Open a file under a temporary name, which is gone again at the end."""
    try:
        partial = _create_partial(path)
        try:
            yield partial
        finally:
            # What is left all the same has no recording's name, and is swept by a repair.
            with contextlib.suppress(OSError):
                partial.close()
            with contextlib.suppress(OSError):
                remove(partial.path, known_as=path)
    except (OSError, RuntimeError) as error:
        raise cannot_write(path, error) from error


def _create_partial(path: Path) -> DiskFile:
    for n in itertools.count():
        partial = path.with_name(f".{path.name}.{os.getpid()}-{n}{_PARTIAL}")
        try:
            return DiskFile(partial, "x", known_as=path)
        except FileExistsError:
            continue
    raise AssertionError


def _publish(partial: Path, path: Path) -> Path:
    for candidate in numbered(path):
        current().disk.at("rename", candidate)
        try:
            candidate.hardlink_to(partial)  # the only rename that refuses a name that is taken
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            if candidate.exists():
                continue
            partial.replace(candidate)
        return candidate
    raise AssertionError
