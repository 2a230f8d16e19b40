"""Files of a recording. Each is readable after a kill of its writer at any time.

| what | file | written by |
|---|---|---|
| bead positions | `Tracking Data <timestamp>.h5` | `TracksFile` |
| frames, whole or cropped | `Video <timestamp>.tiff` | `write_video` |
| a motor's telemetry | `Motor <name> <timestamp>.csv` | `TelemetryFile` |
| what came with the frames | `<Name> <timestamp>.h5` | `AnnotationFile` |
| how it was made, how it ended | `manifest.json` | `write_manifest`, `mark_ended` |

Whoever survives a killed writer calls `repair_directory`, which is quick and may be called again.
"""

from magscope.recording.errors import RecordingError
from magscope.recording.manifest import (
    DeviceRecord,
    FileRecord,
    Manifest,
    device_record,
    installed_versions,
    mark_ended,
    read_manifest,
    write_manifest,
)
from magscope.recording.names import date_timestamp_str, date_timestamp_str_ns, seconds_to_ns
from magscope.recording.repair import Repaired, repair, repair_directory
from magscope.recording.tables import AnnotationFile, TelemetryFile
from magscope.recording.tracks import TracksBatch, TracksFile
from magscope.recording.video import write_video

__all__ = [
    "AnnotationFile",
    "DeviceRecord",
    "FileRecord",
    "Manifest",
    "RecordingError",
    "Repaired",
    "TelemetryFile",
    "TracksBatch",
    "TracksFile",
    "date_timestamp_str",
    "date_timestamp_str_ns",
    "device_record",
    "installed_versions",
    "mark_ended",
    "read_manifest",
    "repair",
    "repair_directory",
    "seconds_to_ns",
    "write_manifest",
    "write_video",
]
