"""An HDF5 file that only grows and that no kill makes unreadable.

HDF5's single-writer mode orders the writer's flushes so that the file on disk is whole after every
one. Two things are added. An append goes in two steps, first the *data*, then the *index* that says
how much of the data counts: so the last whole append is known whenever the writer dies. And the
mark that an open file carries is taken away after each append, so that `h5py.File(path, "r")` works
while the file is written, and after a kill.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import h5py
import numpy as np

from magscope.recording.disk import (
    cannot_write,
    check_directory,
    check_free_space,
    remove,
    write_new,
)
from magscope.recording.diskfile import DiskFile
from magscope.recording.errors import RecordingError
from magscope.recording.superblock import clear_open_mark, sealed
from magscope.runtime import current

# Readable by HDF5 1.10 and later; pages keep each piece of metadata inside one page of the cache.
_VERSIONS = ("v110", "v110")
_PAGES = {"fs_strategy": "page", "fs_page_size": 4096}
# Each dataset may need one more chunk, and HDF5 a few pages.
_GROWTH_BYTES = 1 << 19


@dataclass(frozen=True)
class Dataset:
    """A dataset that grows.

    Attributes:
        name: Its name in the group.
        dtype: The type of an element.
        columns: Elements in a row; 0 for a flat dataset.
        chunk_rows: Rows that the file grows by.
        first_rows: What it holds from the start.
        is_index: Whether it is written last and says how much of the rest counts.
    """

    name: str
    dtype: str
    columns: int = 0
    chunk_rows: int = 4096
    first_rows: tuple[int, ...] = ()
    is_index: bool = False

    def shape(self, n_rows: int | None) -> tuple:
        """Return the shape with so many rows; None for any number."""
        return (n_rows, self.columns) if self.columns else (n_rows,)


class AppendFile:
    """An HDF5 file with one group of datasets that grow.

    Args:
        path: Where to make it; a number is added where the name is taken.
        group: Name of the group.
        attributes: Attributes of the group.
        datasets: Its datasets.

    Attributes:
        path: Where it is.

    Raises:
        RecordingError: It can not be made there.
    """

    def __init__(
        self,
        path: Path,
        group: str,
        attributes: Mapping[str, object],
        datasets: Sequence[Dataset],
    ) -> None:
        check_directory(path.parent)
        check_free_space(path, 2 * _GROWTH_BYTES)
        self._layout = {dataset.name: dataset for dataset in datasets}
        self._datasets: dict[str, h5py.Dataset] = {}
        self._file: h5py.File | None = None
        self._head: DiskFile | None = None
        self._disk = current().disk
        # Whole before it has its name: a kill leaves no file that HDF5 can not read.
        image = _empty(group, attributes, datasets)
        self.path = write_new(path, lambda partial: partial.write(image))
        try:
            self._open(group)
        except (OSError, RuntimeError) as error:
            self._let_go()
            with contextlib.suppress(OSError):
                remove(self.path)
            raise cannot_write(self.path, error) from error

    def _open(self, group: str) -> None:
        self._head = DiskFile(self.path, "r+")
        self._inode = self.path.stat().st_ino
        self._disk.at("reopen", self.path)
        self._file = h5py.File(self.path, "r+", locking=False, libver=_VERSIONS)
        self._disk.keeps(self)
        self._disk.at("write", self.path)
        self._file.swmr_mode = True
        self._datasets = {name: self._file[group][name] for name in self._layout}
        self._flush()

    @property
    def is_open(self) -> bool:
        """Whether more can be appended."""
        return self._file is not None

    @property
    def size_bytes(self) -> int:
        """Bytes that the open file has now."""
        return self._head.size_bytes if self._head is not None else 0

    def append(self, rows: Mapping[str, np.ndarray]) -> None:
        """Append rows to every dataset: all of them, or none that count.

        Args:
            rows: For each dataset its new rows, of its dtype and columns.

        Raises:
            RecordingError: The disk is full or the file is gone; it is then closed, and what was
                appended before is readable.
        """
        if self._file is None:
            raise RecordingError(f"{self.path} is closed: start a new file")
        try:
            self._check_is_there()
            check_free_space(self.path, sum(r.nbytes for r in rows.values()) + _GROWTH_BYTES)
        except RecordingError:
            with contextlib.suppress(RecordingError):
                self.close()  # the reserve is there so that this still works
            raise
        try:
            for is_index in (False, True):
                names = [n for n, dataset in self._layout.items() if dataset.is_index == is_index]
                self._extend({name: rows[name] for name in names})
                self._flush()
        except (OSError, RuntimeError) as error:
            self._let_go()
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        """Close the file; any number of times.

        Raises:
            RecordingError: The disk is full; what was appended is readable.
        """
        if self._file is None:
            return
        try:
            self._flush()  # what may fail fails here, where the file can still be let go of
            self._disk.at("close", self.path)
        except (OSError, RuntimeError) as error:
            self._let_go()
            raise cannot_write(self.path, error) from error
        self._file.close()
        self._release()

    def abandon(self) -> None:
        """Leave the file as a kill would, now, and write nothing more to it; idempotent."""
        self._divert()
        if self._head is not None:
            self._head.abandon()

    def _let_go(self) -> None:
        """Leave the file as it is now, but readable."""
        self._divert()
        self._release()

    def _divert(self) -> None:
        """Let HDF5 finish with a copy that nobody sees.

        HDF5 can not close a file that it can not write to: it fails, keeps the file, and ends the
        process with a segmentation fault when the datasets are collected. What is on disk is what a
        kill would have left, and so as good.
        """
        self._disk.lets_go(self)
        file, self._file = self._file, None
        if file is not None:
            descriptor = file.id.get_vfd_handle()
            with _unnamed_file() as copy, os.fdopen(os.dup(descriptor), "rb") as original:
                original.seek(0)
                shutil.copyfileobj(original, copy)
                copy.flush()
                os.dup2(copy.fileno(), descriptor)
            self._datasets = {}  # not before: a dataset writes what it holds when it is let go of
            file.close()

    def _extend(self, rows: Mapping[str, np.ndarray]) -> None:
        self._disk.at("write", self.path, sum(new.nbytes for new in rows.values()))
        for name, new in rows.items():
            dataset = self._datasets[name]
            n_before = dataset.shape[0]
            dataset.resize(n_before + len(new), axis=0)
            dataset[n_before:] = new

    def _flush(self) -> None:
        assert self._file is not None
        assert self._head is not None
        self._disk.at("flush", self.path)
        self._file.flush()
        clear_open_mark(self._head)

    def _check_is_there(self) -> None:
        try:
            inode = self.path.stat().st_ino
        except OSError as error:
            raise RecordingError(
                f"{self.path} was moved or deleted while it was written: start a new recording"
            ) from error
        if inode != self._inode:
            raise RecordingError(
                f"{self.path} was replaced while it was written: start a new recording"
            )

    def _release(self) -> None:
        self._disk.lets_go(self)
        self._file = None
        self._datasets = {}
        if self._head is not None:
            with contextlib.suppress(OSError):
                clear_open_mark(self._head)
            with contextlib.suppress(OSError):
                self._head.close()
            self._head = None


def _unnamed_file() -> IO[bytes]:
    """Return a file in memory where there is such a thing: the disk is full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("recording"), "rb+")
    return tempfile.TemporaryFile()


def _empty(group_name: str, attributes: Mapping[str, object], datasets: Iterable[Dataset]) -> bytes:
    """Return the whole file as it is before the first append."""
    with file_in_memory() as file:
        group = file.create_group(group_name)
        for key, value in attributes.items():
            group.attrs[key] = value
        for dataset in datasets:
            group.create_dataset(
                dataset.name,
                shape=dataset.shape(len(dataset.first_rows)),
                maxshape=dataset.shape(None),
                chunks=dataset.shape(dataset.chunk_rows),
                dtype=dataset.dtype,
            )[...] = np.array(dataset.first_rows, dtype=dataset.dtype).reshape(
                dataset.shape(len(dataset.first_rows))
            )
        return image_of(file)


def file_in_memory() -> h5py.File:
    """Return a new HDF5 file in memory, to be written to disk in one piece as `image_of` gives it.

    HDF5 itself does not survive a disk that fills up under it.
    """
    return h5py.File(
        "in memory", "w", driver="core", backing_store=False, libver=_VERSIONS, **_PAGES
    )


def image_of(file: h5py.File) -> bytes:
    """Return the bytes of a file in memory."""
    file.flush()
    return sealed(file.id.get_file_image())
