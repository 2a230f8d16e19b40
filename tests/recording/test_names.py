import re
import time

import pytest

from magscope.recording.names import date_timestamp_str, date_timestamp_str_ns, seconds_to_ns


@pytest.mark.parametrize("ns", [0, 1_700_000_000_123_000_000, 1_700_000_000_999_999_999])
def test_a_moment_has_one_name_in_seconds_and_in_ns(ns):
    assert date_timestamp_str(ns / 1e9) == date_timestamp_str_ns(ns)


def test_every_whole_millisecond_keeps_its_name_through_float_seconds():
    for ms in range(1_700_000_000_000, 1_700_000_002_000):
        name = date_timestamp_str(ms / 1000)
        assert name == date_timestamp_str_ns(ms * 1_000_000)
        assert name.endswith(f".{ms % 1000:03d}")


def test_names_are_safe_on_windows_and_sort_by_time():
    names = [date_timestamp_str_ns(1_700_000_000_000_000_000 + i * 1_000_000) for i in range(50)]
    assert names == sorted(set(names))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d-\d\d-\d\d\.\d{3}", names[0])


def test_names_are_in_local_time(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert date_timestamp_str_ns(1_700_000_000_123_000_000) == "2023-11-14 17-13-20.123"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_seconds_become_the_nearest_ns():
    assert seconds_to_ns(1_700_000_000.25) == 1_700_000_000_250_000_000
