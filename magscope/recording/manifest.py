"""`manifest.json`: what a recording is, how it was made and how it ended."""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from magscope.recording.disk import check_directory, replace_file
from magscope.recording.errors import RecordingError

FILE_NAME = "manifest.json"
RUNNING = "running"
ROUTER_DIED = "router died"
_DISTRIBUTIONS = ("magscope-rig", "numpy", "scipy", "h5py", "magtrack", "tifffile")


@dataclass(frozen=True)
class DeviceRecord:
    """One device of the session.

    Attributes:
        role: Its name in the rig file: `camera`, `magnet_height`.
        identity: `hal.Identity` as a mapping: vendor, model, serial, driver, is_real.
        options: Its constructor's keywords.
        settings: Its settings by name, as they were at the start.
    """

    role: str
    identity: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FileRecord:
    """One file of the recording.

    Attributes:
        kind: `tracks`, `video`, `telemetry`, `annotation` or `zlut`.
        name: Its name in the recording's directory.
        rows: Rows or frames saved in it, or None where nobody counted.
    """

    kind: str
    name: str
    rows: int | None = None


@dataclass(frozen=True)
class Manifest:
    """A recording as its manifest describes it.

    Attributes:
        session_id: The session's id; `recording_id` in the files.
        started_ns: Unix time of the start.
        ended_ns: Unix time of the end; None while it runs.
        outcome: `running`, `clean`, `failed`, `router died`, or what else the router says.
        seed: The session's seed.
        rig_file: The rig file's text; empty for the default rig.
        versions: Of Python, the platform and the packages that made the data.
        devices: Every device, real or not.
        files: Every file of the recording.
        frames: `FrameAccount` as a mapping.
        processes: `ProcessReport` of each process as a mapping.
        errors: One line for each error.
        runtime: In what it ran: the operating system, or a virtual world.
    """

    session_id: str
    started_ns: int
    ended_ns: int | None = None
    outcome: str = RUNNING
    seed: int | None = None
    rig_file: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    devices: Sequence[DeviceRecord] = ()
    files: Sequence[FileRecord] = ()
    frames: Mapping[str, int] = field(default_factory=dict)
    processes: Sequence[Mapping[str, Any]] = ()
    errors: Sequence[str] = ()
    runtime: str = ""
    schema_version: int = 1


def device_record(
    role: str,
    identity: Any,
    *,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> DeviceRecord:
    """Return the record of a device.

    Args:
        role: Its name in the rig file.
        identity: Its `hal.Identity`, or a mapping.
        options: Its constructor's keywords.
        settings: Its settings by name.
    """
    described = _plain(identity)
    return DeviceRecord(role, described, dict(options or {}), dict(settings or {}))


def installed_versions() -> dict[str, str]:
    """Return the versions of Python, the platform and the packages that make the data."""
    return dict(_versions())


@cache  # to read what the installed packages say of themselves takes many milliseconds
def _versions() -> Mapping[str, str]:
    versions = {"python": platform.python_version(), "platform": _platform()}
    for distribution in _DISTRIBUTIONS:
        try:
            versions[distribution] = version(distribution)
        except PackageNotFoundError:
            versions[distribution] = "not installed"
    return versions | {"byte order": sys.byteorder}


def _platform() -> str:
    # Not `platform.platform()`: it starts another program to ask for the processor.
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def write_manifest(directory: Path | str, manifest: Manifest) -> Path:
    """Write the manifest, on disk before this returns; a reader sees the old or the new.

    Raises:
        RecordingError: The directory is missing, not writable or full; the old one stands.
    """
    directory = Path(directory)
    check_directory(directory)
    path = directory / FILE_NAME
    text = json.dumps(_plain(manifest), indent=2, ensure_ascii=False, default=str) + "\n"
    replace_file(path, text.encode())
    return path


def read_manifest(directory: Path | str) -> Manifest:
    """Read the manifest of a recording.

    Raises:
        RecordingError: There is none, or it is not a manifest.
    """
    path = Path(directory) / FILE_NAME
    try:
        data = json.loads(path.read_bytes())
        known = {f.name for f in fields(Manifest)}
        data = {name: value for name, value in data.items() if name in known}
        data["devices"] = tuple(DeviceRecord(**device) for device in data.get("devices", ()))
        data["files"] = tuple(FileRecord(**file) for file in data.get("files", ()))
        data["processes"] = tuple(data.get("processes", ()))
        data["errors"] = tuple(data.get("errors", ()))
        return Manifest(**data)
    except FileNotFoundError:
        raise RecordingError(f"{directory} is no recording: it has no {FILE_NAME}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path} is not a manifest: {error}") from error


def mark_ended(directory: Path | str, outcome: str, *, ended_ns: int, **changes: Any) -> Manifest:
    """Write how the recording ended; any survivor may, any number of times.

    The first outcome stands. Only `router died`, which a survivor writes for a router that can not,
    gives way to what a router says of itself.

    Args:
        directory: The recording's directory.
        outcome: `clean`, `failed`, `router died` or the like; not `running`.
        ended_ns: Unix time of the end.
        changes: Further fields of `Manifest` that are known now: `frames`, `files`, `processes`,
            `errors`.

    Returns:
        The manifest as it stands.

    Raises:
        ValueError: The outcome is `running`.
        RecordingError: There is no manifest, or it can not be written.
    """
    if outcome == RUNNING:
        raise ValueError(f"outcome = {outcome!r}: expected how the recording ended")
    manifest = read_manifest(directory)
    replaceable = {RUNNING} if outcome == ROUTER_DIED else {RUNNING, ROUTER_DIED}
    if manifest.outcome not in replaceable:
        return manifest
    ended = replace(manifest, outcome=outcome, ended_ns=ended_ns, **changes)
    write_manifest(directory, ended)
    return ended


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value if isinstance(value, Mapping) else vars(value)
