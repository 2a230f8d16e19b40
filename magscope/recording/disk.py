"""Writing files so that they appear whole or not at all, and never fill the disk to the brim."""

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from magscope.recording.errors import RecordingError

# Kept free so that open files can still be closed in order.
RESERVE_BYTES = 1 << 20
_PARTIAL = ".part"


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


def check_free_space(directory: Path, needed_bytes: int) -> None:
    """Refuse to write what would leave less than `RESERVE_BYTES` free.

    Raises:
        RecordingError: The disk is full, or the directory is gone.
    """
    try:
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
    if number == errno.ENOSPC or "No space left" in str(error):
        reason = "disk full: free some space, or choose another directory"
    else:
        reason = str(error).replace("\n", " ") or type(error).__name__
    return RecordingError(f"can not write {path}: {reason}")


def write_new(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file under a temporary name and then give it its own, never replacing another.

    Args:
        path: The name wanted; where it is taken, a number is added to it.
        write: Writes the whole file to the path that it is given, which exists and is empty.

    Returns:
        The name that it got.

    Raises:
        RecordingError: It could not be written; nothing of it is left.
    """
    check_directory(path.parent)
    partial = path
    try:
        partial = _create_partial(path)
        write(partial)
        return _publish(partial, path)
    except (OSError, RuntimeError) as error:
        raise cannot_write(path, error) from error
    finally:
        if partial != path:
            partial.unlink(missing_ok=True)


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Give a file new content, on disk before this returns; a reader sees the old or the new.

    Args:
        path: The file.
        write: Writes the whole new content to the path that it is given, which exists and is empty.

    Raises:
        RecordingError: It could not be written; the old content stands.
    """
    partial = path
    try:
        partial = _create_partial(path)
        write(partial)
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        raise cannot_write(path, error) from error
    finally:
        if partial != path:
            partial.unlink(missing_ok=True)


def remove_partial_files(directory: Path) -> int:
    """Remove what a killed writer left under a temporary name; returns how many there were.

    Only for when no process writes to the directory.
    """
    leftovers = list(directory.glob(f".*{_PARTIAL}"))
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)


def numbered(path: Path) -> "itertools.chain[Path]":
    """Return the names to try in turn: `path`, then `… 2`, `… 3`, and so on."""
    return itertools.chain([path], (path.with_stem(f"{path.stem} {n}") for n in itertools.count(2)))


def _create_partial(path: Path) -> Path:
    for n in itertools.count():
        partial = path.with_name(f".{path.name}.{os.getpid()}-{n}{_PARTIAL}")
        try:
            partial.open("xb").close()
        except FileExistsError:
            continue
        return partial
    raise AssertionError


def _publish(partial: Path, path: Path) -> Path:
    for candidate in numbered(path):
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
