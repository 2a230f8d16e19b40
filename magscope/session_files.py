"""The session's manifest: written at its start, completed at its end, whatever the end is."""

import contextlib
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magscope.assembly import Parts
from magscope.recording.errors import RecordingError
from magscope.recording.manifest import (
    DeviceRecord,
    FileRecord,
    Manifest,
    device_record,
    installed_versions,
    mark_ended,
    write_manifest,
)
from magscope.report import SessionReport
from magscope.rig import to_toml
from magscope.runtime import current

if TYPE_CHECKING:
    from magscope.scope import MagScope

KINDS = {
    "Notes.txt": "notes",
    "Video": "video",
    "Z-LUT": "zlut",
    "Tracking": "tracks",
    "Motor": "telemetry",
}


class SessionRecord:
    """Keeps `manifest.json` in every directory that the session records to."""

    def __init__(self, scope: "MagScope", parts: Parts) -> None:
        self._directories: list[Path] = []
        self._devices: dict[str, DeviceRecord] = {}
        self._rows: dict[str, tuple[str, int]] = {}
        self._scope = scope
        self._started_ns = parts.started_ns

    @cached_property
    def _beginning(self) -> Manifest:
        """What is known of the session before any device is; made if something is recorded."""
        return Manifest(
            session_id=current().session,
            started_ns=self._started_ns,
            seed=self._scope.seed,
            rig_file=to_toml(self._scope.rig),
            versions=installed_versions(),
            runtime=current().name,
        )

    def _write(self, directory: Path) -> None:
        devices = tuple(self._devices.values())
        write_manifest(directory, replace(self._beginning, devices=devices))

    def record_to(self, directory: Path) -> None:
        """Write the manifest of a session that runs into a directory that is recorded to.

        Raises:
            RecordingError: The directory is missing or can not be written to.
        """
        if directory not in self._directories:
            self._write(directory)
            self._directories.append(directory)

    def device(self, role: str, facts: dict[str, Any]) -> None:
        """Take note of a device as its manager describes it."""
        described = ("vendor", "model", "serial", "driver", "is_real")
        self._devices[role] = device_record(
            role,
            {key: facts[key] for key in described if key in facts},
            options=facts.get("options"),
            settings=facts.get("settings"),
        )
        for directory in self._directories:
            # At the end it is written once more, and whether that failed is reported.
            with contextlib.suppress(RecordingError):
                self._write(directory)

    def file(self, kind: str, rows: int, name: str) -> None:
        """Take note of a recorded file and of the rows in it so far."""
        self._rows[name] = (kind, rows)

    def end(self, report: SessionReport) -> list[str]:
        """Repair what a killed writer left, complete the manifests, and return the problems."""
        problems = []
        for directory in self._directories:
            try:
                if not report.is_clean:
                    problems += self._repair(directory)
                self._end(directory, report, problems)
            except OSError as error:
                problems.append(str(error))
        return problems

    def _repair(self, directory: Path) -> list[str]:
        """Make every file whole; return what was lost, and what could not be done."""
        from magscope.recording.repair import repair_directory  # loads HDF5

        try:
            repaired = repair_directory(directory)
        except RecordingError as error:
            return [str(error)]
        for file in repaired:
            if file.path.name in self._rows:
                self._rows[file.path.name] = (self._rows[file.path.name][0], file.rows)
        return [
            f"{file.path.name}: the last append was not finished, {file.rows_cut} rows are lost"
            for file in repaired
            if file.rows_cut
        ]

    def _end(self, directory: Path, report: SessionReport, problems: list[str]) -> None:
        mark_ended(
            directory,
            "clean" if report.is_clean else "failed",
            ended_ns=current().clock.now_ns(),
            devices=tuple(self._devices.values()),
            files=self._files(directory),
            frames=asdict(report.frames),
            processes=tuple(asdict(p) for p in report.processes),
            errors=(*report.errors, *problems),
        )

    def _files(self, directory: Path) -> tuple[FileRecord, ...]:
        records = []
        for path in sorted(directory.iterdir()):
            kind = KINDS.get(path.name.split(" ")[0])
            if path.name in self._rows:
                records.append(
                    FileRecord(self._rows[path.name][0], path.name, self._rows[path.name][1])
                )
            elif kind is not None and path.is_file():
                records.append(FileRecord(kind, path.name))
        return tuple(records)
