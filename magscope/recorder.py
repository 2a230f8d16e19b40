"""The recording manager: tracks, telemetry and what comes with frames, from memory to disk."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from hal.clock import NS_PER_S
from magscope.datatypes import MatrixBuffer
from magscope.hardware import FocusMotorBase, HardwareManagerBase
from magscope.motors import MotorManager
from magscope.processes import HEARTBEAT_S, ManagerProcessBase
from magscope.protocol import Kind, pack
from magscope.recording.batch import TracksBatch
from magscope.recording.disk import cannot_write
from magscope.recording.diskfile import DiskFile
from magscope.recording.errors import RecordingError
from magscope.recording.manifest import ROUTER_DIED, mark_ended
from magscope.recording.names import date_timestamp_str_ns
from magscope.recording.repair import repair_directory
from magscope.recording.tables import AnnotationFile, TelemetryFile
from magscope.recording.tracks import TracksFile
from magscope.runtime import current
from magscope.utils import registerwithscript

WRITE_EVERY_S = 0.25


class RecordingManager(ManagerProcessBase):
    """Writes to the recording's directory, in a process of its own so that no disk delays a frame.

    A disk that is full or gone stops the recording with an error, never the acquisition; it goes on
    in new files when recording is switched on again.
    """

    quit_phase: ClassVar[int] = 2
    status_fields = ("is_recording", "rows_saved")

    def __init__(self) -> None:
        super().__init__()
        self._hardware: dict[str, tuple[str, ...]] = {}
        self._buffers: dict[str, MatrixBuffer] = {}
        self._tracks: TracksFile | None = None
        self._earlier: dict[int, TracksFile] = {}
        self._recording = 0
        self._directories: dict[Path, None] = {}
        self._files: dict[str, TelemetryFile | AnnotationFile] = {}
        self._file_paths: dict[Path, tuple[str, Callable[[], int]]] = {}
        self._annotation: tuple[str, tuple[str, ...]] = ("", ())
        self._next_ns = 0

    def describe(self, managers: Iterable[HardwareManagerBase], camera_type: type | None) -> None:
        """Take note of whose rows are to be recorded, with the units; before `start`."""
        self._hardware = {m.name: _columns(m) for m in managers}
        self._annotation = (
            getattr(camera_type, "annotation_name", ""),
            tuple(getattr(camera_type, "annotation_columns", ())),
        )

    def setup(self) -> None:
        """Attach to the buffers whose rows are recorded."""
        names = [*self._hardware, *(["Annotations"] if self._annotation[1] else [])]
        self._buffers = {
            name: MatrixBuffer(create=False, locks=self.locks, name=name) for name in names
        }
        self._switch()

    def seconds_to_next_loop(self) -> float:
        """Write the rows that have gathered a few times a second; or drop them, if not recorded."""
        return (self._next_ns - current().clock.monotonic_ns()) / NS_PER_S

    def do_main_loop(self) -> None:
        """Write the rows that have gathered."""
        now_ns = current().clock.monotonic_ns()
        if now_ns >= self._next_ns:
            period_s = HEARTBEAT_S if self._tracks is None else WRITE_EVERY_S
            self._next_ns = now_ns + int(period_s * NS_PER_S)
            self._write_rows()

    def save_tracks(self, batch: TracksBatch, recording: int) -> None:
        """Write a batch of positions; what `rows_saved` counts is on disk.

        Args:
            batch: The positions of one stack.
            recording: Which recording they belong to: every message that chooses the directory, or
                switches recording on or off, begins another. A stack may come in late.
        """
        if recording > self._recording:
            self._follow(recording)
        is_present = recording == self._recording
        tracks = self._tracks if is_present else self._earlier.get(recording)
        if tracks is None:
            return
        try:
            tracks.append(batch)
        except RecordingError as error:
            if is_present:
                self._stop(error)
            else:
                self.log("error", f"the end of a recording was not saved: {error}")
            return
        self._note(tracks.path, "tracks", lambda: 0)
        self.publish(rows_saved=self._status["rows_saved"] + batch.n_records)

    def set_acquisition_dir(self, value: str | Path | None) -> None:
        """Choose the directory of the recording."""
        self._end_recording()
        super().set_acquisition_dir(value)
        self._switch()

    def set_acquisition_dir_on(self, value: bool) -> None:
        """Switch recording on or off; on, after an error, tries again."""
        self._end_recording()
        super().set_acquisition_dir_on(value)
        self._switch()

    def _end_recording(self) -> None:
        """Close a recording but for its tracks: stacks of it may still be in the workers' hands."""
        self._write_rows()
        if self._tracks is not None:
            self._earlier[self._recording] = self._tracks
            self._tracks = None
        self._recording += 1
        self._close()

    def _follow(self, recording: int) -> None:
        """Begin a recording of which the video processor manager alone was told."""
        self._end_recording()
        self._recording = recording
        self._switch()
        if self._tracks is None:
            self.log(
                "error",
                "tracks are lost: the video processor manager records, and this one does not",
            )

    def recordings_complete(self, before: int) -> None:
        """Close the tracks of recordings of which no stack is in a worker's hands any more."""
        for recording in [n for n in self._earlier if n < before]:
            self._close_tracks(self._earlier.pop(recording))

    @registerwithscript("note")
    def note(self, text: str) -> None:
        """Write a line of the experimenter's own into the log and the recording's `Notes.txt`."""
        self.log("info", f"note: {text}")
        if self._tracks is None or self._acquisition_dir is None:
            return
        line = f"{date_timestamp_str_ns(current().clock.now_ns())}  {text}\n"
        path = self._acquisition_dir / "Notes.txt"
        try:
            with DiskFile(path, "a") as file:
                file.write(line.encode())
        except OSError as error:
            self.log("error", f"the note is in the log alone: {cannot_write(path, error)}")

    def _switch(self) -> None:
        directory = self._acquisition_dir
        if not self._acquisition_dir_on or directory is None:
            self.publish(is_recording=0)
            return
        now_ns = current().clock.now_ns()
        try:
            self._tracks = TracksFile(
                directory,
                started_ns=now_ns if self._recording else self.resources.started_ns,
                recording_id=current().session,
                file_start_ns=now_ns,
                max_bytes=self.settings["tracks file max bytes"],
            )
            self._directories[directory] = None
            self.send_control(pack(Kind.FILE, "directory", 0, payload=str(directory).encode()))
            self._note(self._tracks.path, "tracks", lambda: 0)
        except RecordingError as error:
            self._stop(error)
            return
        self._next_ns = 0
        self.publish(is_recording=1)

    def _write_rows(self) -> None:
        for name, buffer in self._buffers.items():
            rows = buffer.read()
            if self._tracks is None or not len(rows) or self._acquisition_dir is None:
                continue
            try:
                if name == "Annotations":
                    self._write_annotations(self._acquisition_dir, rows)
                else:
                    self._write_telemetry(self._acquisition_dir, name, rows)
            except RecordingError as error:
                self._stop(error)

    def _write_telemetry(self, directory: Path, name: str, rows: np.ndarray) -> None:
        file = self._files.get(name)
        if file is None:
            file = TelemetryFile(
                directory, name, self._hardware[name], started_ns=current().clock.now_ns()
            )
            self._files[name] = file
            self._note(file.path, "telemetry", lambda: file.rows_saved)
        assert isinstance(file, TelemetryFile)
        file.append(np.round(rows[:, 0] * NS_PER_S).astype(np.int64), rows[:, 1:])

    def _write_annotations(self, directory: Path, rows: np.ndarray) -> None:
        file = self._files.get("Annotations")
        if file is None:
            name, columns = self._annotation
            file = AnnotationFile(
                directory,
                name,
                columns,
                started_ns=current().clock.now_ns(),
                recording_id=current().session,
            )
            self._files["Annotations"] = file
            self._note(file.path, "annotation", lambda: file.rows_saved)
        assert isinstance(file, AnnotationFile)
        times_ns = self.resources.started_ns + rows[:, 1].astype(np.int64)
        file.append(rows[:, 0].astype(np.uint64), times_ns.astype(np.uint64), rows[:, 2:])

    def _note(self, path: Path, kind: str, rows: Callable[[], int]) -> None:
        if path not in self._file_paths:
            self._file_paths[path] = (kind, rows)
            self._tell(path, kind, 0)

    def _tell(self, path: Path, kind: str, rows: int) -> None:
        self.send_control(pack(Kind.FILE, kind, rows, payload=path.name.encode()))

    def _stop(self, error: RecordingError) -> None:
        self.log("error", f"recording stopped: {error}")
        self.publish(is_recording=0)
        self._close()

    def _close(self) -> None:
        tracks, self._tracks = self._tracks, None
        if tracks is not None:
            self._close_tracks(tracks)
        files, self._files = self._files, {}
        for file in files.values():
            self._close_file(file)
        for path, (kind, rows) in self._file_paths.items():
            if kind != "tracks":
                self._tell(path, kind, rows())

    def _close_tracks(self, tracks: TracksFile) -> None:
        for path, rows in tracks.rows.items():
            self._tell(path, "tracks", rows)
        self._close_file(tracks)

    def _close_file(self, file: TracksFile | TelemetryFile | AnnotationFile) -> None:
        try:
            file.close()
        except RecordingError as error:
            self.log("error", str(error))

    def shutdown(self) -> None:
        """Write what has gathered and close the files; without a router, complete the manifest."""
        self._write_rows()
        self._close()
        self.recordings_complete(self._recording)
        for buffer in self._buffers.values():
            if overwritten := buffer.overwritten:
                self.log("warning", f"{overwritten} rows of {buffer.name} were never recorded")
            buffer.close()
        if self._directories and current().owner_is_gone():
            self._end_for_router()

    def _end_for_router(self) -> None:
        for directory in self._directories:
            try:
                repair_directory(directory, is_alone=False)
                mark_ended(directory, ROUTER_DIED, ended_ns=current().clock.now_ns())
            except RecordingError as error:
                self.log("error", str(error))


def _columns(manager: HardwareManagerBase) -> tuple[str, ...]:
    """Return the columns of a manager's rows after the time, units in their names."""
    if isinstance(manager, (MotorManager, FocusMotorBase)):
        unit = {"turn": "turns"}.get(manager.unit, manager.unit)
        return (f"position_{unit}", f"target_{unit}", "is_at_target")
    return tuple(f"column_{index}" for index in range(1, manager.buffer_shape[1]))
