"""The positions of one stack of frames, as they travel to the recording."""

from dataclasses import dataclass

import numpy as np


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
