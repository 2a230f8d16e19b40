"""Captures: every call, answer, error and frame of a device, written down, and read again.

`recorded` puts a recorder in front of a device. What it writes is read by `read_capture`, and
`Follower` matches it with what is asked when it is played; the `replay` drivers do that.

A capture is a file of lines, `<role>.capture`, and for a camera the pixels beside it,
`<role>.frames`. Both only grow. A frame is written before the line that tells of it, and each line
at once: after a kill at any moment all but the line that was being written can be read.
"""

from hal.recording.following import Follower, Pace
from hal.recording.lines import kind_of
from hal.recording.reading import Call, Capture, is_capture, read_capture
from hal.recording.recorders import recorded
from hal.recording.writing import CaptureWriter

__all__ = [
    "Call",
    "Capture",
    "CaptureWriter",
    "Follower",
    "Pace",
    "is_capture",
    "kind_of",
    "read_capture",
    "recorded",
]
