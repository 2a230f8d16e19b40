"""Whether a recording is what its session said it is: read with plain h5py, tifffile and json."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from magscope.recording.disk import is_partial
from magscope.recording.manifest import FILE_NAME, ROUTER_DIED, RUNNING

_ENDED_IN_ORDER = "clean", "failed"


def problems_of_recording(
    directory: Path | str, rows_reported: int, *, batches_lost: int = 0
) -> list[str]:
    """Return what is wrong with a recording whose session has ended; nothing if all is well.

    Args:
        directory: The recording's directory.
        rows_reported: Rows of tracks that were reported as saved, in all its recordings. The batch
            that was being written when the writer was killed may be there too.
        batches_lost: How many batches were reported as lost on the way to the recording: so many
            numbers may be missing in `batch_sequence`.

    Returns:
        One line each: `F1: …`, a file that can not be read; `F3: …`, tracks that are not those
        that were reported.
    """
    directory = Path(directory)
    problems: list[str] = []
    tracks = []
    outcome = RUNNING
    stated: dict[str, int | None] = {}
    found: dict[str, int] = {}
    for path in sorted(directory.iterdir()):
        try:
            if path.name == FILE_NAME:
                manifest = json.loads(path.read_bytes())
                outcome = manifest["outcome"]
                stated = {file["name"]: file["rows"] for file in manifest["files"]}
            elif path.name.startswith("Tracking Data") and path.suffix == ".h5":
                tracks.append(_Tracks(path))
                found[path.name] = tracks[-1].rows
            elif not is_partial(path):
                found[path.name] = _READERS.get(path.suffix, _read_text)(path)
        except (OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
            said = str(error).replace("\n", " ") or type(error).__name__
            problems.append(f"F1: {path.name} can not be read: {said}")
    if outcome in _ENDED_IN_ORDER:
        problems += [
            f"F1: {path.name} was left half written"
            for path in sorted(directory.iterdir())
            if is_partial(path)
        ]
        problems += [
            f"F3: {FILE_NAME} states {stated[name]} rows of {name}, which has {rows}"
            for name, rows in found.items()
            if stated.get(name) not in (None, rows)
        ]
    return problems + list(_of_tracks(tracks, rows_reported, batches_lost, outcome))


def frames_of_tracks(directory: Path) -> dict[str, tuple[int, list[int]]]:
    """Return of each file of tracks that can be read when its recording began, and its frames.

    By its name; the beginning in Unix ns, the frames by their numbers.
    """
    found = {}
    for path in sorted(directory.glob("Tracking Data*.h5")):
        with contextlib.suppress(OSError, RuntimeError, ValueError, KeyError, IndexError):
            tracks = _Tracks(path)
            found[path.name] = tracks.recording_start_ns, tracks.frames
    return found


class _Tracks:
    """The tracks of one file.

    Attributes:
        rows: How many its index says there are.
        last_rows: Those of its last batch.
        rows_found: How many there are.
        sequences: Of its batches.
        frames: Numbers of its frames.
        is_short: Whether the index counts what is not there.
        is_whole: Whether it counts all that is there.
        is_in_line: Whether each batch of its index begins where the one before it ends.
    """

    def __init__(self, path: Path) -> None:
        with h5py.File(path, "r") as file:
            group = {name: dataset[()] for name, dataset in file["tracking"].items()}
            attributes = file["tracking"].attrs
            self.recording_id = str(attributes["recording_id"])
            self.recording_start_ns = int(attributes["recording_start_ns"])
            self.start_ns = int(attributes["file_start_ns"])
        self.name = path.name
        self.sequences = group["batch_sequence"].tolist()
        counts = group["batch_record_count"]
        self.rows, self.last_rows = int(counts.sum()), int(counts[-1]) if len(counts) else 0
        self.rows_found = len(group["bead_ids"])
        n_frames = int(group["batch_frame_count"].sum())
        self.frames = group["frame_numbers"][:n_frames].tolist()
        # The index is written last: a kill leaves rows that do not count, and never the reverse.
        self.is_short = (
            min(len(group["positions_nm"]), self.rows_found) < self.rows
            or min(len(group["frame_timestamps_ns"]), len(group["frame_numbers"])) < n_frames
            or len(group["frame_offsets"]) < n_frames + 1
        )
        self.is_whole = (
            len(group["positions_nm"]) == self.rows_found == self.rows
            and len(group["frame_offsets"]) == len(group["frame_timestamps_ns"]) + 1 == n_frames + 1
            and int(group["frame_offsets"][n_frames]) == self.rows
            and {len(group[n]) for n in group if n.startswith("batch_")} == {len(self.sequences)}
        )
        self.is_in_line = all(
            np.array_equal(group[f"batch_{of}_start"][1:], ends[:-1])
            and group[f"batch_{of}_start"][:1].sum() == 0
            for of in ("frame", "record")
            for ends in (group[f"batch_{of}_count"].cumsum(),)
        )


def _of_tracks(
    tracks: list[_Tracks], rows_reported: int, batches_lost: int, outcome: str
) -> Iterator[str]:
    tracks.sort(key=lambda file: (file.start_ns, file.name))
    rows = sum(file.rows for file in tracks)
    unreported = rows - rows_reported
    if unreported < 0:
        yield f"F3: {rows_reported} rows were reported as saved, but {rows} are on disk"
    elif unreported > max((file.last_rows for file in tracks), default=0):
        yield f"F3: {rows} rows are on disk, but {rows_reported} were reported as saved"
    for file in tracks:
        if file.is_short:
            yield f"F1: {file.name} counts {file.rows} rows, and {file.rows_found} are there"
        if outcome not in (RUNNING, ROUTER_DIED) and not file.is_whole:
            yield f"F3: {file.name} holds {file.rows_found} rows, of which {file.rows} count"
        if file.is_whole and not file.is_in_line:
            yield f"F3: {file.name} has an index whose batches do not follow on one another"
        if len(set(file.sequences)) < len(file.sequences):
            yield f"F3: {file.name} holds a batch twice"
    frames = [(file.recording_id, number) for file in tracks for number in file.frames]
    if len(set(frames)) < len(frames):
        yield f"F3: {len(frames) - len(set(frames))} frames were saved twice"
    missing = sum(max(s) + 1 - len(s) for s in _recordings(tracks) if s)
    if missing > batches_lost:
        yield f"F3: {missing} batches are missing in the middle, and {batches_lost} were reported"


def _recordings(tracks: list[_Tracks]) -> list[set[int]]:
    """Return the numbers of the batches of each recording, in which none comes twice."""
    recordings: dict[tuple[str, int], list[set[int]]] = {}
    for file in tracks:
        new = set(file.sequences)
        its = recordings.setdefault((file.recording_id, file.recording_start_ns), [set()])
        if new & its[-1]:  # two that began in the same moment
            its.append(set())
        its[-1] |= new
    return [numbers for its in recordings.values() for numbers in its]


def _read_hdf5(path: Path) -> int:
    with h5py.File(path, "r") as file:
        (group,) = file.values()
        numbers = group["frame_number"][()]
        for name, dataset in group.items():
            if len(dataset[()]) < len(numbers):
                raise ValueError(f"{name} has {len(dataset)} rows, {len(numbers)} are counted")
    return len(numbers)


def _read_tiff(path: Path) -> int:
    import tifffile  # slow to load

    try:
        with tifffile.TiffFile(path) as tiff:
            pixels = tiff.asarray()
            labels = (tiff.imagej_metadata or {})["Labels"]
    except tifffile.TiffFileError as error:  # a ValueError only in newer versions
        raise ValueError(str(error)) from error
    if len(labels) != int(np.prod(pixels.shape[:-2])):
        raise ValueError(f"{len(labels)} labels, and frames of the shape {pixels.shape}")
    return len(labels)


def _read_csv(path: Path) -> int:
    header, *lines = path.read_bytes().decode().split("\n")
    if lines.pop() if lines else header:
        raise ValueError("its last line is not whole")
    for number, line in enumerate(lines, start=2):
        if line.count(",") != header.count(","):
            raise ValueError(f"line {number} has not as many columns as the first")
    return len(lines)


def _read_text(path: Path) -> int:
    return path.read_bytes().decode().count("\n")


_READERS: dict[str, Callable[[Path], int]] = {
    ".h5": _read_hdf5,
    ".tiff": _read_tiff,
    ".csv": _read_csv,
}
