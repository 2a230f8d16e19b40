"""Tracks on disk: batches of bead positions, appended to HDF5 files that a kill leaves readable."""

from pathlib import Path

import numpy as np

from magscope.recording.appendfile import AppendFile, Dataset
from magscope.recording.batch import TracksBatch
from magscope.recording.names import date_timestamp_str_ns
from magscope.settings import RULES

SCHEMA_VERSION = 1


class TracksFile:
    """Tracks as they are written: one HDF5 file after another, each of a bounded size.

    When `append` has returned, the batch is in the file, whatever happens to this process. Today's
    analysis may open the file at any time with `h5py.File(path, "r")`.

    Args:
        directory: Where the files go; it must exist.
        started_ns: Unix time at which the recording began.
        recording_id: What the files of one recording have in common.
        file_start_ns: Unix time in the name of the first file; `started_ns` if None.
        include_roi_positions: Whether to write `roi_positions_px`.
        max_bytes: Size at which a new file is begun.

    Attributes:
        batches_saved: Batches that are on disk.
        rows: The files, oldest first, each with the records in it that are on disk.

    Raises:
        RecordingError: The directory is missing, not writable or full.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        started_ns: int,
        recording_id: str,
        file_start_ns: int | None = None,
        include_roi_positions: bool = True,
        max_bytes: int = int(RULES["tracks file max bytes"].default),
    ) -> None:
        self._directory = Path(directory)
        self._started_ns = started_ns
        self._recording_id = recording_id
        self._include_roi_positions = include_roi_positions
        self._max_bytes = max_bytes
        self.batches_saved = 0
        self.rows: dict[Path, int] = {}
        self._begin_file(started_ns if file_start_ns is None else file_start_ns)

    @property
    def path(self) -> Path:
        """The file that is written to."""
        return self._file.path

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, oldest first."""
        return tuple(self.rows)

    @property
    def rows_saved(self) -> int:
        """Records that are on disk, in all the files."""
        return sum(self.rows.values())

    @property
    def is_open(self) -> bool:
        """Whether more can be appended; False after `close` and after an error."""
        return self._file.is_open

    def append(self, batch: TracksBatch) -> None:
        """Write a batch, whole, and let go of it: it is on disk when this returns.

        Raises:
            RecordingError: The disk is full, or the directory or the file is gone. The file is
                then closed and readable; to go on, make a new `TracksFile`.
        """
        if self.is_open and self._n_batches and self._file.size_bytes >= self._max_bytes:
            self._file.close()
            self._begin_file(int(batch.frame_timestamps_ns[0]) if batch.n_frames else None)
        self._file.append(self._rows(batch))
        self._n_batches += 1
        self._n_frames += batch.n_frames
        self._n_records += batch.n_records
        self.batches_saved += 1
        self.rows[self.path] = self._n_records

    def close(self) -> None:
        """Close the file; any number of times.

        Raises:
            RecordingError: The disk is full; what was saved is readable.
        """
        self._file.close()

    def __enter__(self) -> "TracksFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin_file(self, file_start_ns: int | None) -> None:
        if file_start_ns is None:
            file_start_ns = self._started_ns
        self._n_batches = self._n_frames = self._n_records = 0
        self._file = AppendFile(
            self._directory / f"Tracking Data {date_timestamp_str_ns(file_start_ns)}.h5",
            "tracking",
            {
                "schema_version": SCHEMA_VERSION,
                "include_roi_positions": self._include_roi_positions,
                "record_order": "writer_append_order",
                "batch_sequence_order": "video_task_enqueue_order",
                "recording_id": self._recording_id,
                "recording_start_ns": self._started_ns,
                "file_start_ns": file_start_ns,
            },
            _datasets(self._include_roi_positions),
        )
        self.rows[self.path] = 0

    def _rows(self, batch: TracksBatch) -> dict[str, np.ndarray]:
        rows = {
            "frame_timestamps_ns": batch.frame_timestamps_ns,
            "frame_numbers": batch.frame_numbers,
            "frame_offsets": np.uint64(self._n_records) + np.cumsum(batch.frame_counts),
            "frame_batch_sequence": np.full(batch.n_frames, batch.sequence, dtype=np.uint64),
            "bead_ids": batch.bead_ids,
            "positions_nm": batch.positions_nm,
            "roi_positions_px": batch.roi_positions_px,
            "batch_sequence": np.array([batch.sequence], dtype=np.uint64),
            "batch_frame_start": np.array([self._n_frames], dtype=np.uint64),
            "batch_frame_count": np.array([batch.n_frames], dtype=np.uint64),
            "batch_record_start": np.array([self._n_records], dtype=np.uint64),
            "batch_record_count": np.array([batch.n_records], dtype=np.uint64),
        }
        if not self._include_roi_positions:
            del rows["roi_positions_px"]
        return rows


def _datasets(include_roi_positions: bool) -> list[Dataset]:
    datasets = [
        Dataset("frame_timestamps_ns", "u8", chunk_rows=1024),
        Dataset("frame_numbers", "u8", chunk_rows=1024),
        Dataset("frame_offsets", "u8", chunk_rows=1024, first_rows=(0,)),
        Dataset("frame_batch_sequence", "u8", chunk_rows=1024),
        Dataset("bead_ids", "u2"),
        Dataset("positions_nm", "f8", columns=3),
        Dataset("roi_positions_px", "u2", columns=2),
        Dataset("batch_sequence", "u8", chunk_rows=256, is_index=True),
        Dataset("batch_frame_start", "u8", chunk_rows=256, is_index=True),
        Dataset("batch_frame_count", "u8", chunk_rows=256, is_index=True),
        Dataset("batch_record_start", "u8", chunk_rows=256, is_index=True),
        Dataset("batch_record_count", "u8", chunk_rows=256, is_index=True),
    ]
    return [d for d in datasets if include_roi_positions or d.name != "roi_positions_px"]
