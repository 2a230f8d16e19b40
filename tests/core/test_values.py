import pickle

import pytest
from core_tools import kill, until

from magscope.runtime.os_sync import WORDS


def count_for_ever(value):
    while True:
        value.value += 1


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63)])
def test_a_whole_number_comes_back(runtime, number):
    value = runtime.value("q", number)
    assert value.value == number
    value.value = 5
    assert pickle.loads(pickle.dumps(value)).value == 5


@pytest.mark.parametrize("number", [0.0, -1.5, 1e300, float("inf")])
def test_a_float_comes_back(runtime, number):
    assert runtime.value("d", number).value == number


def test_values_are_independent_and_begin_as_told_also_where_an_earlier_session_had_others(runtime):
    runtime.value("q", 99)
    runtime.end_session()
    runtime.begin_session()
    first, second = runtime.value("q"), runtime.value("q", 7)
    first.value = 3
    assert (first.value, second.value) == (3, 7)


def test_r5_a_session_has_a_bounded_number_of_values_and_says_so(runtime):
    for _ in range(WORDS):
        runtime.value("q")
    with pytest.raises(MemoryError, match=f"{WORDS} shared values"):
        runtime.value("q")


def test_a_value_is_never_seen_half_written(runtime, start):
    low, high = 0x0000_0000_FFFF_FFFF, 0x0000_0001_0000_0000
    value = runtime.value("q", low)

    def swing():
        while True:
            value.value = low
            value.value = high

    child = start(swing)
    until(lambda: value.value == high)
    seen = {value.value for _ in range(20_000)}
    kill(child)
    assert seen <= {low, high}


def test_what_a_process_wrote_stays_when_it_is_killed(runtime, start):
    value = runtime.value("q")
    child = start(count_for_ever, value)
    until(lambda: value.value > 10)
    kill(child)
    assert value.value == value.value > 10


def test_an_event_is_set_and_cleared(runtime):
    event, other = runtime.event(), runtime.event()
    assert not event.is_set()
    event.set()
    event.set()
    assert event.is_set()
    assert not other.is_set()
    assert pickle.loads(pickle.dumps(event)).is_set()
    event.clear()
    assert not event.is_set()
