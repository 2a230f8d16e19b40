"""What goes wrong when a recording is written or read."""


class RecordingError(OSError):
    """A file of a recording can not be written or read; what was written before stays readable."""
