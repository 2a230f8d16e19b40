"""An HDF5 file that only grows and that no kill makes unreadable.

HDF5's single-writer mode orders what it writes so that the file on disk is whole at every moment.
Two things are added. An append goes in two steps, first the *data*, then the *index* that says how
much of the data counts: so the last whole append is known whenever the writer dies. And HDF5 never
writes the first bytes of a file that has its name, in which it would mark the file as open: it is
only ever asked to write datasets, and the file's length is stated here, ahead of what HDF5 writes.
So `h5py.File(path, "r")` works while the file is written, and after a kill at any moment.
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
    write_new,
)
from magscope.recording.diskfile import DiskFile
from magscope.recording.errors import RecordingError
from magscope.recording.superblock import sealed, state_length
from magscope.runtime import current

# Readable by HDF5 1.10 and later; pages keep each piece of metadata inside one page of the cache.
_VERSIONS = ("v110", "v110")
_PAGES = {"fs_strategy": "page", "fs_page_size": 4096}
# Each dataset may need one more chunk, and HDF5 a few pages; a length is stated so far ahead.
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
        self.path = path
        self._layout = {dataset.name: dataset for dataset in datasets}
        self._datasets: dict[str, h5py.Dataset] = {}
        self._file: h5py.File | None = None
        self._head: DiskFile | None = None
        self._disk = current().disk
        self._length = 0
        image = _empty(group, attributes, datasets)

        def write(partial: DiskFile) -> None:
            partial.write(image)
            self._open(partial.path, group)

        # Whole, and opened, before it has its name: a kill leaves no file that can not be read.
        try:
            self.path = write_new(path, write)
        except RecordingError:
            self._let_go()
            raise

    def _open(self, path: Path, group: str) -> None:
        """Open the file, which has a temporary name for now."""
        self._head = DiskFile(path, "r+", known_as=self.path)
        self._inode = path.stat().st_ino
        self._disk.at("reopen", self.path)
        self._file = h5py.File(path, "r+", locking=False, libver=_VERSIONS)
        self._disk.keeps(self)
        self._disk.at("write", self.path)
        self._file.swmr_mode = True
        self._datasets = {name: self._file[group][name] for name in self._layout}
        self._make_room(0)

    @property
    def is_open(self) -> bool:
        """Whether more can be appended."""
        return self._file is not None

    @property
    def size_bytes(self) -> int:
        """Bytes that the open file has now."""
        return self._file.id.get_filesize() if self._file is not None else 0

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
        n_bytes = sum(r.nbytes for r in rows.values())
        try:
            self._check_is_there()
            check_free_space(self.path, n_bytes + _GROWTH_BYTES)
        except RecordingError:
            with contextlib.suppress(RecordingError):
                self.close()  # the reserve is there so that this still works
            raise
        try:
            self._make_room(n_bytes)
            for is_index in (False, True):
                names = [n for n, dataset in self._layout.items() if dataset.is_index == is_index]
                self._extend({name: rows[name] for name in names})
                self._flush(names)
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
            # What may fail fails here, where the file can still be let go of.
            self._flush(self._layout)
            self._disk.at("close", self.path)
            self._write_mark_elsewhere()
        except (OSError, RuntimeError) as error:
            self._let_go()
            raise cannot_write(self.path, error) from error
        length = self.size_bytes
        self._file.close()  # which states that length
        self._file = None
        with contextlib.suppress(OSError):
            if self._head is not None:
                self._head.truncate(length)
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

    def _flush(self, names: Iterable[str]) -> None:
        """Let HDF5 write datasets, and not its mark: that comes with a flush of the whole file."""
        self._disk.at("flush", self.path)
        for name in names:
            self._datasets[name].flush()

    def _make_room(self, n_bytes: int) -> None:
        """State a length that what HDF5 writes next does not exceed.

        A reader refuses a file that is shorter than it states, and what lies beyond.
        """
        assert self._head is not None
        needed = self.size_bytes + n_bytes + self._largest_growth()
        if needed > self._length:
            self._length = needed + _GROWTH_BYTES
            state_length(self._head, self._length)

    def _largest_growth(self) -> int:
        """Return by how much an append makes the file grow at most, beside its rows."""
        chunks = (
            dataset.chunk_rows * max(dataset.columns, 1) * np.dtype(dataset.dtype).itemsize
            for dataset in self._layout.values()
        )
        return sum(chunks) + _GROWTH_BYTES

    def _write_mark_elsewhere(self) -> None:
        """Let HDF5 write its mark to a file that nobody sees; it closes this one without it."""
        assert self._file is not None
        descriptor = self._file.id.get_vfd_handle()
        with _unnamed_file() as elsewhere, os.fdopen(os.dup(descriptor), "rb") as original:
            os.dup2(elsewhere.fileno(), descriptor, inheritable=False)
            try:
                self._file.flush()
            finally:
                os.dup2(original.fileno(), descriptor, inheritable=False)

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
