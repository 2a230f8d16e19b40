"""Reads a capture, also one whose writer was killed, or is still at work."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hal import errors
from hal.camera import FrameFormat
from hal.errors import DeviceError, OptionError, ProtocolError
from hal.recording.lines import (
    CALLS_SUFFIX,
    FIRST_BYTES,
    FRAMES_SUFFIX,
    VERSION,
    Description,
    description_of,
)

_CAMERA = f"camera{CALLS_SUFFIX}"


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """Where a frame is.

    Attributes:
        number: The device's own count.
        timestamp_ns: Unix time of the end of the exposure.
        offset: Of its first pixel in the file of frames.
        annotation: Shape of the float64 rows that follow the pixels; None without.
    """

    number: int
    timestamp_ns: int
    offset: int
    annotation: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the device, and what came of it: an answer, an error, or a frame.

    Attributes:
        at_ns: When it was made, on the monotonic clock.
        unix_ns: When it was made, in Unix time.
        took_ns: How long it took.
    """

    name: str
    args: tuple
    at_ns: int
    unix_ns: int
    took_ns: int
    answer: Any = None
    error: DeviceError | None = None
    frame: CapturedFrame | None = None

    @property
    def words(self) -> str:
        """The call as people write it."""
        return in_words(self.name, self.args)


@dataclass
class Capture:
    """A capture that was read.

    Attributes:
        path: The file of lines.
        header: Its first line; see `hal.recording.lines`.
        calls: In their order; but for those that fetched nothing, and those that asked when to
            fetch, which say nothing that the times of the frames do not.
        descriptions: What the device said of itself, each with the number of calls before it.
        is_cut: Whether the last record is not whole: its writer was killed, or is at work.
    """

    path: Path
    header: dict[str, Any]
    calls: list[Call] = field(default_factory=list, repr=False)
    descriptions: list[tuple[int, Description]] = field(default_factory=list, repr=False)
    is_cut: bool = False
    _bytes: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8), repr=False)

    @property
    def kind(self) -> str:
        """What it is a capture of: `camera`, `linear`, `rotary` or `focus`."""
        return str(self.header["kind"])

    def pixels(self, frame: CapturedFrame, form: FrameFormat) -> np.ndarray:
        """Return a frame as it stands in the file, `form.shape` of `form.dtype`."""
        end = frame.offset + _frame_bytes(form)
        return self._bytes[frame.offset : end].view(form.dtype).reshape(form.shape)

    def annotation(self, frame: CapturedFrame, form: FrameFormat) -> np.ndarray | None:
        """Return the rows that came with a frame."""
        if frame.annotation is None:
            return None
        begin = frame.offset + _frame_bytes(form)
        end = begin + 8 * frame.annotation[0] * frame.annotation[1]
        return self._bytes[begin:end].view(np.float64).reshape(frame.annotation).copy()


def is_capture(path: Path) -> bool:
    """Whether there is a capture at this path, or that of a camera in this directory."""
    try:
        with calls_path(path).open("rb") as file:
            return file.read(len(FIRST_BYTES)) == FIRST_BYTES
    except OSError:
        return False


def calls_path(path: Path) -> Path:
    """Return the file of lines that is meant: of a directory, that of its camera."""
    return path / _CAMERA if path.is_dir() else path


def read_capture(path: Path) -> Capture:
    """Read a capture; its pixels are mapped, not read.

    Args:
        path: The file of lines, `<role>.capture`, or a directory with that of a camera.

    Raises:
        OptionError: There is none at `path`.
        ProtocolError: It is of another version, or damaged elsewhere than at its end.
    """
    path = calls_path(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise OptionError(
            f"path = '{path}': {error.strerror}; give a file <role>{CALLS_SUFFIX} that "
            "`magscope run --capture DIR` has written"
        ) from None
    *lines, rest = text.split(b"\n")
    capture = Capture(path, _header(path, lines), is_cut=bool(rest))
    frames = path.with_suffix(FRAMES_SUFFIX)
    if frames.is_file() and frames.stat().st_size:
        capture._bytes = np.asarray(np.memmap(frames, np.uint8, "r"))  # noqa: SLF001 - its maker
    for number, line in enumerate(lines[1:], start=2):
        try:
            is_there = _take(capture, json.loads(line))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ProtocolError(
                f"{path}, line {number} is damaged ({type(error).__name__}: {error}): a capture "
                "that was only cut off ends before such a line; remove what follows line "
                f"{number - 1} to play what is before it"
            ) from error
        if not is_there:  # the pixels were lost with the machine: what follows is as well
            capture.is_cut = True
            break
    return capture


def in_words(name: str, args: tuple) -> str:
    """Return a call as people write it: `set('exposure_us', 1000)`."""
    return f"{name}({', '.join(map(repr, args))})"


def _header(path: Path, lines: list[bytes]) -> dict[str, Any]:
    if not lines or not lines[0].startswith(FIRST_BYTES):
        raise ProtocolError(f"{path} is no capture: its first line is no header of one")
    try:
        header: dict[str, Any] = json.loads(lines[0])
    except ValueError as error:
        raise ProtocolError(f"{path}: its header is damaged: {error}") from error
    if header.get("version") != VERSION:
        raise ProtocolError(
            f"{path} has the format's version {header.get('version')!r}; this program reads "
            f"{VERSION}: play it with the program that wrote it"
        )
    return header


def _take(capture: Capture, record: Any) -> bool:
    """Add a record; False if its frame is not in the file."""
    if not isinstance(record, dict):
        raise TypeError(f"it is {record!r:.40}, expected an object")
    if "describe" in record:
        capture.descriptions.append((len(capture.calls), description_of(record["describe"])))
        return True
    if "call" not in record or record["call"] == "ready_in_s":
        return True
    answer, frame = record.get("answer"), record.get("frame")
    if record["call"] == "fetch_into" and frame is None and "error" not in record:
        return True
    at_ns, unix_ns = record["at"]
    call = Call(
        record["call"],
        tuple(record["args"]),
        at_ns,
        unix_ns,
        record["took_ns"],
        answer,
        _error(*record["error"]) if "error" in record else None,
        None if frame is None else _frame(frame),
    )
    capture.calls.append(call)
    return call.frame is None or _is_whole(capture, call.frame)


def _frame(record: dict[str, Any]) -> CapturedFrame:
    rows = record["annotation"]
    return CapturedFrame(
        record["number"],
        record["timestamp_ns"],
        record["offset"],
        None if rows is None else (rows[0], rows[1]),
    )


def _is_whole(capture: Capture, frame: CapturedFrame) -> bool:
    form = capture.descriptions[-1][1].frame_format
    if form is None:
        raise KeyError("frame_format")
    rows = frame.annotation or (0, 0)
    end = frame.offset + _frame_bytes(form) + 8 * rows[0] * rows[1]
    if end <= len(capture._bytes):  # noqa: SLF001 - its maker
        return True
    capture.calls.pop()
    return False


def _frame_bytes(form: FrameFormat) -> int:
    return form.width_px * form.height_px * form.bits // 8


def _error(name: str, text: str) -> DeviceError:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, DeviceError):
        return kind(text)
    return DeviceError(f"{name}: {text}")
