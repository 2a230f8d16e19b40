"""Tables that grow row by row and survive a kill: motor telemetry as CSV, annotations as HDF5."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from magscope.recording.appendfile import AppendFile, Dataset
from magscope.recording.disk import cannot_write, check_directory, check_free_space, write_new
from magscope.recording.diskfile import DiskFile
from magscope.recording.errors import RecordingError
from magscope.recording.names import date_timestamp_str_ns


class TelemetryFile:
    """The telemetry of one motor: CSV with one header line, its units in the columns' names.

    Args:
        directory: Where the file goes; it must exist.
        name: The motor's name in the rig file.
        columns: Names of the columns after `timestamp_ns`, each with its unit: `position_nm`.
        started_ns: Unix time in the file's name.

    Attributes:
        path: Where it is: `Motor <name> <timestamp>.csv`.
        rows_saved: Rows that are on disk.

    Raises:
        RecordingError: The directory is missing, not writable or full.
    """

    def __init__(
        self, directory: Path | str, name: str, columns: Sequence[str], *, started_ns: int
    ) -> None:
        directory = Path(directory)
        check_directory(directory)
        self._columns = tuple(columns)
        self._file: DiskFile | None = None
        self.rows_saved = 0
        self.path = directory / f"Motor {name} {date_timestamp_str_ns(started_ns)}.csv"
        check_free_space(self.path, 0)
        # Whole before it has its name: a kill leaves no file without its header.
        header = ",".join(("timestamp_ns", *self._columns)) + "\n"
        self.path = write_new(self.path, lambda partial: partial.write(header.encode()))
        try:
            self._file = DiskFile(self.path, "a")
        except OSError as error:
            raise cannot_write(self.path, error) from error

    @property
    def is_open(self) -> bool:
        """Whether more can be appended; False after `close` and after an error."""
        return self._file is not None and not self._file.closed

    def append(self, timestamps_ns: Sequence[int] | np.ndarray, rows: np.ndarray) -> None:
        """Write rows; they are on disk when this returns.

        Args:
            timestamps_ns: Unix time of each row, `(n,)`.
            rows: `(n, n_columns)` float64.

        Raises:
            ValueError: The shapes do not fit.
            RecordingError: The disk is full or the file is gone; it is closed, whole lines only.
        """
        rows = np.asarray(rows, dtype=np.float64)
        if rows.shape != (len(timestamps_ns), len(self._columns)):
            raise ValueError(
                f"rows have the shape {rows.shape}: expected "
                f"{(len(timestamps_ns), len(self._columns))}, the columns {self._columns}"
            )
        file = self._file
        if file is None or file.closed:
            raise RecordingError(f"{self.path} is closed: start a new file")
        text = "".join(
            f"{int(timestamp)},{','.join(format(value, '.12g') for value in row)}\n"
            for timestamp, row in zip(timestamps_ns, rows.tolist(), strict=True)
        ).encode()
        end = file.size_bytes
        try:
            check_free_space(self.path, len(text))
            if not self.path.exists():
                raise RecordingError(
                    f"{self.path} was moved or deleted while it was written: start a new recording"
                )
            file.write(text)
        except OSError as error:
            with contextlib.suppress(OSError):
                if file.size_bytes > end:
                    file.truncate(end)
            with contextlib.suppress(RecordingError):
                self.close()
            raise (
                error if isinstance(error, RecordingError) else cannot_write(self.path, error)
            ) from error
        self.rows_saved += len(rows)

    def close(self) -> None:
        """Close the file; any number of times.

        Raises:
            RecordingError: The disk fails; what was saved is readable.
        """
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise cannot_write(self.path, error) from error


class AnnotationFile:
    """Rows of numbers that belong to frames, as a camera's `annotation`: one HDF5 file.

    The group is named for the annotation and holds `frame_number` and `timestamp_ns` uint64 and
    each column as float64, all of one length: a row for each row that came with a frame. Readable
    with `h5py.File(path, "r")` at any time.

    Args:
        directory: Where the file goes; it must exist.
        name: The annotation's name, `truth`: the file is `Truth <timestamp>.h5`.
        columns: Names of the columns, each with its unit.
        started_ns: Unix time in the file's name.
        recording_id: What the files of one recording have in common.

    Attributes:
        path: Where it is.
        rows_saved: Rows that are on disk.

    Raises:
        ValueError: A column's name is taken or comes twice.
        RecordingError: The directory is missing, not writable or full.
    """

    def __init__(
        self,
        directory: Path | str,
        name: str,
        columns: Sequence[str],
        *,
        started_ns: int,
        recording_id: str,
    ) -> None:
        self._columns = tuple(columns)
        names = ("timestamp_ns", *self._columns, "frame_number")
        if len(set(names)) < len(names) or not name or "/" in "".join((name, *names)):
            raise ValueError(
                f"annotation {name!r} has the columns {list(columns)}: expected different names, "
                "none of them frame_number or timestamp_ns, without '/'"
            )
        title = name[0].upper() + name[1:]
        self._file = AppendFile(
            Path(directory) / f"{title} {date_timestamp_str_ns(started_ns)}.h5",
            name,
            {
                "schema_version": 1,
                "columns": list(self._columns),
                "recording_id": recording_id,
                "recording_start_ns": started_ns,
            },
            [
                Dataset("timestamp_ns", "u8"),
                *(Dataset(column, "f8") for column in self._columns),
                Dataset("frame_number", "u8", is_index=True),
            ],
        )
        self.rows_saved = 0

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._file.path

    @property
    def is_open(self) -> bool:
        """Whether more can be appended; False after `close` and after an error."""
        return self._file.is_open

    def append(
        self, frame_numbers: np.ndarray, timestamps_ns: np.ndarray, rows: np.ndarray
    ) -> None:
        """Write rows, best those of many frames at once; they are on disk when this returns.

        Args:
            frame_numbers: The camera's number of the frame of each row, `(n,)` uint64.
            timestamps_ns: Unix time of that frame, `(n,)` uint64.
            rows: `(n, n_columns)` float64.

        Raises:
            ValueError: The shapes do not fit.
            RecordingError: The disk is full or the file is gone; it is closed and readable.
        """
        rows = np.asarray(rows, dtype=np.float64)
        numbers = np.asarray(frame_numbers, dtype=np.uint64)
        timestamps = np.asarray(timestamps_ns, dtype=np.uint64)
        n = len(rows)
        if rows.shape != (n, len(self._columns)) or numbers.shape != (n,):
            raise ValueError(
                f"rows {rows.shape} and frame_numbers {numbers.shape} do not fit: expected "
                f"(n, {len(self._columns)}) and (n,), the columns {self._columns}"
            )
        if timestamps.shape != (n,):
            raise ValueError(f"timestamps_ns has the shape {timestamps.shape}: expected {(n,)}")
        self._file.append(
            {
                "timestamp_ns": timestamps,
                **{name: rows[:, i] for i, name in enumerate(self._columns)},
                "frame_number": numbers,
            }
        )
        self.rows_saved += n

    def close(self) -> None:
        """Close the file; any number of times.

        Raises:
            RecordingError: The disk is full; what was saved is readable.
        """
        self._file.close()
