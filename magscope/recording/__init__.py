"""Files of a recording. Each is readable after a kill of its writer at any time.

| what | file | written by |
|---|---|---|
| bead positions | `Tracking Data <timestamp>.h5` | `TracksFile` |
| frames, whole or cropped | `Video <timestamp>.tiff` | `write_video` |
| a motor's telemetry | `Motor <name> <timestamp>.csv` | `TelemetryFile` |
| what came with the frames | `<Name> <timestamp>.h5` | `AnnotationFile` |
| how it was made, how it ended | `manifest.json` | `write_manifest`, `mark_ended` |

Whoever survives a killed writer calls `repair_directory`, which is quick and may be called again.
`problems_of_recording` says whether a recording is whole and what was reported.

Every write is announced to the runtime's `disk` right before it is done, and what is open is made
known to it: nothing here writes in any other way.
"""
