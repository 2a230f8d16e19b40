"""File names of a recording: one moment has one name, whichever process writes the file."""

from datetime import UTC, datetime

_NS_PER_S = 1_000_000_000
_US_PER_S = 1_000_000
_NS_PER_US = 1_000


def date_timestamp_str(timestamp_s: float) -> str:
    """Return a moment as it stands in a file name: local time, `2025-03-01 14-05-09.123`.

    Args:
        timestamp_s: Unix time in seconds.
    """
    return _local_time(round(timestamp_s * _US_PER_S))


def date_timestamp_str_ns(timestamp_ns: int) -> str:
    """Return a moment as it stands in a file name; the same as from seconds.

    Args:
        timestamp_ns: Unix time in ns.
    """
    # Float seconds hold microseconds but not ns: both ways round there, so both give one name.
    return _local_time(round(int(timestamp_ns) / _NS_PER_US))


def seconds_to_ns(timestamp_s: float) -> int:
    """Return Unix time in ns from float seconds, which resolve a quarter of a microsecond."""
    whole = int(timestamp_s)
    return whole * _NS_PER_S + round((timestamp_s - whole) * _NS_PER_S)


def _local_time(timestamp_us: int) -> str:
    seconds, microseconds = divmod(timestamp_us, _US_PER_S)
    moment = datetime.fromtimestamp(seconds, tz=UTC).astimezone()
    return f"{moment:%Y-%m-%d %H-%M-%S}.{microseconds // 1000:03d}"
