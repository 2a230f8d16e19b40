"""What a survivor does to the files of a writer that was killed: fast, and any number of times."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py

from magscope.recording.appendfile import file_in_memory, image_of
from magscope.recording.disk import remove_partial_files, replace_file
from magscope.recording.diskfile import DiskFile
from magscope.recording.errors import RecordingError
from magscope.recording.superblock import make_readable

_BLOCK_ROWS = 1 << 18
_FILE_KINDS = (".h5", ".csv")


@dataclass(frozen=True)
class Repaired:
    """What `repair` found.

    Attributes:
        path: The file.
        rows: Rows that it holds: records of tracks, rows of a table.
        rows_cut: Rows of an append that was never finished, and that are gone.
        is_cut: Whether the file ends with its last whole append. False only where there was no
            space on the disk to write the file anew; it is readable all the same, and its index
            (`batch_*`, or `frame_number`) says what counts.
    """

    path: Path
    rows: int
    rows_cut: int
    is_cut: bool = True


def repair(path: Path | str) -> Repaired:
    """Make a recorded file whole whose writer is dead; does nothing to one that is whole.

    What its writer had acknowledged is kept, all of it. Never call this while the writer lives: it
    would go on with a file that is no longer there, and say so.

    Args:
        path: An HDF5 file of tracks or annotations, or a CSV table.

    Raises:
        RecordingError: The file is missing, or is none of these.
    """
    path = Path(path)
    try:
        if path.suffix == ".csv":
            return _repair_csv(path)
        make_readable(path)
        with h5py.File(path, "r", locking=False) as file:
            group = _only_group(file)
            lengths = {name: len(dataset) for name, dataset in group.items()}
            whole = _whole_lengths(group, lengths)
    except RecordingError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        raise RecordingError(f"can not repair {path}: {error}") from error
    main = "bead_ids" if "bead_ids" in lengths else "frame_number"
    found = Repaired(path, whole[main], lengths[main] - whole[main])
    if lengths == whole:
        return found
    try:
        replace_file(path, _cut(path, whole))
    except RecordingError:
        return Repaired(path, found.rows, found.rows_cut, is_cut=False)
    return found


def repair_directory(directory: Path | str, *, is_alone: bool = True) -> list[Repaired]:
    """Repair every file of a recording, and remove what was left half written.

    Args:
        directory: The recording's directory.
        is_alone: Whether nobody writes to it any more. If not, only files are repaired that grow:
            their writer must be gone, while videos may still be written.

    Raises:
        RecordingError: A file can not be repaired; the others have been.
    """
    directory = Path(directory)
    repaired, errors = [], []
    try:
        if is_alone:
            remove_partial_files(directory)
        paths = sorted(directory.iterdir())
    except OSError as error:
        raise RecordingError(f"can not repair {directory}: {error}") from error
    for path in paths:
        if path.suffix in _FILE_KINDS:
            try:
                repaired.append(repair(path))
            except RecordingError as error:
                errors.append(str(error))
    if errors:
        raise RecordingError("; ".join(errors))
    return repaired


def _only_group(file: h5py.File) -> h5py.Group:
    groups = [group for group in file.values() if isinstance(group, h5py.Group)]
    if len(groups) != 1 or not {"bead_ids", "frame_number"} & set(groups[0]):
        raise RecordingError(f"{file.filename} holds neither tracks nor annotations")
    return groups[0]


def _whole_lengths(group: h5py.Group, lengths: Mapping[str, int]) -> dict[str, int]:
    """Return how long each dataset is up to the last whole append."""
    if "batch_sequence" not in lengths:
        return dict.fromkeys(lengths, min(lengths.values()))
    n_batches = min(n for name, n in lengths.items() if name.startswith("batch_"))
    n_frames = n_records = 0
    if n_batches:
        last = n_batches - 1
        n_frames = int(group["batch_frame_start"][last] + group["batch_frame_count"][last])
        n_records = int(group["batch_record_start"][last] + group["batch_record_count"][last])
    whole = {}
    for name in lengths:
        if name.startswith("batch_"):
            whole[name] = n_batches
        elif name == "frame_offsets":
            whole[name] = n_frames + 1
        else:
            whole[name] = n_frames if name.startswith("frame_") else n_records
    short = [name for name in lengths if lengths[name] < whole[name]]
    if short:
        raise RecordingError(f"{group.file.filename}: {', '.join(short)} is shorter than its index")
    return whole


def _cut(path: Path, lengths: Mapping[str, int]) -> bytes:
    """Return what a file is to hold that is cut to so many rows of each dataset."""
    with h5py.File(path, "r", locking=False) as old, file_in_memory() as new:
        (name,) = old
        group = new.create_group(name)
        _copy_attributes(old[name], group)
        for key, n_rows in lengths.items():
            source = old[name][key]
            shape = (n_rows, *source.shape[1:])
            target = group.create_dataset(
                key, shape, source.dtype, maxshape=source.maxshape, chunks=source.chunks
            )
            for first in range(0, n_rows, _BLOCK_ROWS):
                part = slice(first, min(first + _BLOCK_ROWS, n_rows))
                target[part] = source[part]
        return image_of(new)


def _copy_attributes(source: h5py.HLObject, target: h5py.HLObject) -> None:
    for name, value in source.attrs.items():
        target.attrs[name] = value


def _repair_csv(path: Path) -> Repaired:
    """Cut a last line that is not finished."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        with DiskFile(path, "r+") as file:
            file.truncate(end)
    return Repaired(path, max(content.count(b"\n") - 1, 0), int(end < len(content)))
