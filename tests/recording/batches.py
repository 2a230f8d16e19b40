"""Batches whose every value follows from their sequence, and a reader that checks them."""

from pathlib import Path

import h5py
import numpy as np

from magscope.recording.batch import TracksBatch

START_NS = 1_700_000_000_123_456_789


def make_batch(sequence: int, n_frames: int = 8, n_beads: int = 5) -> TracksBatch:
    frames = sequence * n_frames + np.arange(n_frames, dtype=np.uint64)
    rows = np.arange(n_frames * n_beads * 3, dtype=float) + 1000.0 * sequence
    return TracksBatch.from_stack(
        sequence,
        START_NS + frames * np.uint64(10_000_000),
        frames,
        np.arange(n_beads),
        rows.reshape(n_frames, n_beads, 3),
        np.arange(2 * n_beads).reshape(n_beads, 2),
    )


def check_tracks(path: Path, at_least: int, at_most: int, first: int = 0, **sizes: int) -> int:
    """Check with h5py alone that the file holds whole batches, and between so many; return them."""
    with h5py.File(path, "r") as file:
        group = {name: dataset[()] for name, dataset in file["tracking"].items()}
    n = len(group["batch_sequence"])
    assert at_least <= n <= at_most, f"F1/S6: {n} batches, {at_least} were acknowledged"
    batches = [make_batch(s, **sizes) for s in range(first, first + n)]
    np.testing.assert_array_equal(group["batch_sequence"], np.arange(first, first + n))
    expected = {
        "frame_timestamps_ns": [b.frame_timestamps_ns for b in batches],
        "frame_numbers": [b.frame_numbers for b in batches],
        "frame_batch_sequence": [np.full(b.n_frames, b.sequence) for b in batches],
        "bead_ids": [b.bead_ids for b in batches],
        "positions_nm": [b.positions_nm for b in batches],
        "roi_positions_px": [b.roi_positions_px for b in batches],
        "frame_offsets": [[0]] + [_ends(batches, i) for i in range(n)],
        "batch_frame_start": [[sum(b.n_frames for b in batches[:i])] for i in range(n)],
        "batch_frame_count": [[b.n_frames] for b in batches],
        "batch_record_start": [[sum(b.n_records for b in batches[:i])] for i in range(n)],
        "batch_record_count": [[b.n_records] for b in batches],
    }
    for name, parts in expected.items():
        if parts:
            np.testing.assert_array_equal(group[name], np.concatenate(parts), err_msg=name)
        else:
            assert len(group[name]) == 0, name
    return n


def _ends(batches: list[TracksBatch], i: int) -> np.ndarray:
    before = sum(b.n_records for b in batches[:i])
    return before + np.cumsum(batches[i].frame_counts.astype(np.int64))
