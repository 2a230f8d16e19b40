"""An HDF5 file that only grows and that no kill makes unreadable.

HDF5's single-writer mode orders the writer's flushes so that the file on disk is whole after every
one. Two things are added. An append goes in two steps, first the *data*, then the *index* that says
how much of the data counts: so the last whole append is known whenever the writer dies. And the mark
that an open file carries is taken away after each append, so that a plain `h5py.File(path, "r")`
works while the file is written, and after a kill.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from magscope.recording.disk import cannot_write, check_directory, check_free_space, numbered
from magscope.recording.errors import RecordingError
from magscope.recording.superblock import clear_open_mark, open_for_patching

INDEX_ATTRIBUTE = "index_datasets"
# Readable by HDF5 1.10 and later; pages keep each piece of metadata inside one page of the cache.
_FORMAT = {"libver": ("v110", "v110"), "fs_strategy": "page", "fs_page_size": 4096}
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
        attributes: Its attributes.
    """

    name: str
    dtype: str
    columns: int = 0
    chunk_rows: int = 4096
    first_rows: tuple[int, ...] = ()
    is_index: bool = False
    attributes: Mapping[str, object] | None = None

    def shape(self, n_rows: int | None) -> tuple[int | None, ...]:
        """Return the shape with so many rows."""
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
        check_free_space(path.parent, 2 * _GROWTH_BYTES)
        self._layout = {dataset.name: dataset for dataset in datasets}
        self._datasets: dict[str, h5py.Dataset] = {}
        self._file: h5py.File | None = None
        self._descriptor = -1
        self.path = path
        try:
            self._file, self.path = _create(path)
            self._build(self._file.create_group(group), attributes)
            self._file.swmr_mode = True
            self._descriptor = open_for_patching(self.path)
            self._inode = os.fstat(self._descriptor).st_ino
            self._flush()
        except (OSError, RuntimeError) as error:
            self.abandon()
            raise cannot_write(self.path, error) from error

    @property
    def is_open(self) -> bool:
        """Whether more can be appended."""
        return self._file is not None

    @property
    def size_bytes(self) -> int:
        """Bytes that the file has now."""
        return self.path.stat().st_size

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
            check_free_space(
                self.path.parent, sum(r.nbytes for r in rows.values()) + _GROWTH_BYTES
            )
        except RecordingError:
            self.abandon()  # the reserve is there so that this still works
            raise
        try:
            for is_index in (False, True):
                self._extend(
                    (name, rows[name])
                    for name, dataset in self._layout.items()
                    if dataset.is_index == is_index
                )
                self._flush()
        except (OSError, RuntimeError) as error:
            self.abandon()
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        """Close the file; any number of times.

        Raises:
            RecordingError: The disk is full; what was appended is readable.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
        except (OSError, RuntimeError) as error:
            raise cannot_write(self.path, error) from error
        finally:
            self._release()

    def abandon(self) -> None:
        """Close the file as well as it will go; never raises."""
        with contextlib.suppress(RecordingError):
            self.close()
        self._release()

    def _build(self, group: h5py.Group, attributes: Mapping[str, object]) -> None:
        for name, value in attributes.items():
            group.attrs[name] = value
        group.attrs[INDEX_ATTRIBUTE] = [d.name for d in self._layout.values() if d.is_index]
        for name, dataset in self._layout.items():
            self._datasets[name] = group.create_dataset(
                name,
                shape=dataset.shape(0),
                maxshape=dataset.shape(None),
                chunks=dataset.shape(dataset.chunk_rows),
                dtype=dataset.dtype,
                fill_time="never",
            )
            for key, value in (dataset.attributes or {}).items():
                self._datasets[name].attrs[key] = value
        self._extend(
            (name, np.array(dataset.first_rows, dtype=dataset.dtype))
            for name, dataset in self._layout.items()
            if dataset.first_rows
        )

    def _extend(self, rows: Iterable[tuple[str, np.ndarray]]) -> None:
        for name, new in rows:
            dataset = self._datasets[name]
            n_before = dataset.shape[0]
            dataset.resize(n_before + len(new), axis=0)
            dataset[n_before:] = new

    def _flush(self) -> None:
        assert self._file is not None
        self._file.flush()
        clear_open_mark(self._descriptor)

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
        self._datasets = {}
        if self._descriptor >= 0:
            # A close that failed may have put the mark back.
            with contextlib.suppress(OSError):
                clear_open_mark(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def _create(path: Path) -> tuple[h5py.File, Path]:
    for candidate in numbered(path):
        try:
            return h5py.File(candidate, "x", locking=False, **_FORMAT), candidate
        except FileExistsError:
            continue
    raise AssertionError
