"""Tracks on disk: batches of bead positions, appended to HDF5 files that a kill leaves readable."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magscope.recording.appendfile import AppendFile, Dataset
from magscope.recording.names import date_timestamp_str_ns

SCHEMA_VERSION = 1
MAX_BYTES = 256_000_000


@dataclass(frozen=True)
class TracksBatch:
    """The tracked beads of one stack: what a worker hands over.

    A record is one bead in one frame. The records stand frame by frame.

    Attributes:
        sequence: Number of the stack, in the order in which stacks were handed to workers.
        frame_timestamps_ns: Unix time of each frame, `(n_frames,)` uint64.
        frame_numbers: The camera's own number of each frame, `(n_frames,)` uint64.
        frame_counts: Records of each frame, `(n_frames,)` uint64; they sum to n.
        bead_ids: `(n,)` uint16.
        positions_nm: x, y, z, `(n, 3)` float64; NaN where the bead could not be tracked.
        roi_positions_px: Left and top edge of the bead's ROI, `(n, 2)` uint16.

    Raises:
        ValueError: The shapes do not fit together, or a number does not fit its type.
    """

    sequence: int
    frame_timestamps_ns: np.ndarray
    frame_numbers: np.ndarray
    frame_counts: np.ndarray
    bead_ids: np.ndarray
    positions_nm: np.ndarray
    roi_positions_px: np.ndarray

    def __post_init__(self) -> None:
        """Check that all parts fit together, and bring them to their types."""
        if self.sequence < 0:
            raise ValueError(f"sequence = {self.sequence}: expected 0 or more")
        for name, dtype in (
            ("frame_timestamps_ns", np.uint64),
            ("frame_numbers", np.uint64),
            ("frame_counts", np.uint64),
            ("bead_ids", np.uint16),
            ("roi_positions_px", np.uint16),
        ):
            object.__setattr__(self, name, _as_unsigned(name, getattr(self, name), dtype))
        positions = np.ascontiguousarray(self.positions_nm, dtype=np.float64)
        object.__setattr__(self, "positions_nm", positions)
        n_frames, n = self.n_frames, self.n_records
        for name, shape in (
            ("frame_timestamps_ns", (n_frames,)),
            ("frame_numbers", (n_frames,)),
            ("frame_counts", (n_frames,)),
            ("bead_ids", (n,)),
            ("positions_nm", (n, 3)),
            ("roi_positions_px", (n, 2)),
        ):
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"{name} has the shape {found}: expected {shape}")
        if int(self.frame_counts.sum()) != n:
            raise ValueError(f"frame_counts sum to {self.frame_counts.sum()}: expected {n} records")

    @property
    def n_frames(self) -> int:
        """Frames in the batch."""
        return len(self.frame_timestamps_ns)

    @property
    def n_records(self) -> int:
        """Records in the batch."""
        return len(self.bead_ids)

    @classmethod
    def from_stack(
        cls,
        sequence: int,
        frame_timestamps_ns: np.ndarray,
        frame_numbers: np.ndarray,
        bead_ids: np.ndarray,
        positions_nm: np.ndarray,
        roi_positions_px: np.ndarray,
    ) -> "TracksBatch":
        """Return the batch of a stack in which every frame has the same beads.

        Args:
            sequence: Number of the stack.
            frame_timestamps_ns: `(n_frames,)`.
            frame_numbers: `(n_frames,)`.
            bead_ids: `(n_beads,)`.
            positions_nm: `(n_frames, n_beads, 3)`.
            roi_positions_px: `(n_beads, 2)`.
        """
        n_frames, n_beads = positions_nm.shape[:2]
        return cls(
            sequence=sequence,
            frame_timestamps_ns=frame_timestamps_ns,
            frame_numbers=frame_numbers,
            frame_counts=np.full(n_frames, n_beads, dtype=np.uint64),
            bead_ids=np.tile(np.asarray(bead_ids), n_frames),
            positions_nm=np.reshape(positions_nm, (n_frames * n_beads, 3)),
            roi_positions_px=np.tile(np.reshape(roi_positions_px, (n_beads, 2)), (n_frames, 1)),
        )


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
        rows_saved: Records that are on disk.
        batches_saved: Batches that are on disk.
        paths: The files, oldest first.

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
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._directory = Path(directory)
        self._started_ns = started_ns
        self._recording_id = recording_id
        self._include_roi_positions = include_roi_positions
        self._max_bytes = max_bytes
        self.rows_saved = 0
        self.batches_saved = 0
        self.paths: tuple[Path, ...] = ()
        self._begin_file(started_ns if file_start_ns is None else file_start_ns)

    @property
    def path(self) -> Path:
        """The file that is written to."""
        return self.paths[-1]

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
        self.rows_saved += batch.n_records

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
        self.paths = (*self.paths, self._file.path)

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


def _as_unsigned(name: str, values: np.ndarray, dtype: type[np.unsignedinteger]) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype == dtype:
        return np.ascontiguousarray(values)
    largest = np.iinfo(dtype).max
    wrong = (values < 0) | (values > largest) | (values != np.floor(values))
    if wrong.any():
        raise ValueError(
            f"{name} holds {values[wrong].flat[0]}: expected whole numbers from 0 to {largest}"
        )
    return np.ascontiguousarray(values, dtype=dtype)
