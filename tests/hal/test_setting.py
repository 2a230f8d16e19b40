import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import Setting
from hal.errors import SettingError

ANYTHING = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.text(), st.none(), st.just(10**400)
)


def check_or_none(setting, value):
    """Return what the setting makes of a value, or None when it refuses it, in its own error."""
    with suppress(SettingError):
        return setting.check(value)
    with pytest.raises(SettingError, match=setting.name):
        setting.check(value)
    return None


@given(
    kind=st.sampled_from([int, float, bool, str]),
    value=ANYTHING,
    limits=st.tuples(st.floats(-1e6, 0), st.floats(0, 1e6)),
)
def test_a_checked_value_has_the_type_and_lies_within_the_limits_or_is_refused(kind, value, limits):
    setting = Setting("gain_db", kind, "dB", lower=limits[0], upper=limits[1])
    checked = check_or_none(setting, value)
    if checked is not None:
        assert type(checked) is kind
        if kind in (int, float):
            assert limits[0] <= checked <= limits[1]


@given(value=ANYTHING, choices=st.sets(st.integers(-3, 3), min_size=1))
def test_a_checked_value_is_one_of_the_choices_or_is_refused(value, choices):
    setting = Setting("binning", int, choices=tuple(choices))
    assert check_or_none(setting, value) in {*choices, None}


@given(st.floats(allow_nan=False), st.sampled_from([float, str]))
def test_checking_a_value_twice_changes_nothing(value, kind):
    once = Setting("x", kind).check(value)
    assert Setting("x", kind).check(once) == once


@pytest.mark.parametrize("value", [math.nan, 5001.0, -1.0, math.inf, "fast", None, 10**400])
def test_a_number_outside_the_limits_or_no_number_is_refused(value):
    with pytest.raises(SettingError, match="exposure_us"):
        Setting("exposure_us", float, "us", lower=0.0, upper=5000.0).check(value)


@pytest.mark.parametrize(
    ("value", "taken"), [("true", True), ("False", False), ("1", True), (0, False), (True, True)]
)
def test_a_switch_takes_the_words_of_toml_and_of_people(value, taken):
    assert Setting("is_fast", bool).check(value) is taken


@pytest.mark.parametrize("value", ["yes!", 2, 0.5, None])
def test_a_switch_refuses_what_is_neither_on_nor_off(value):
    with pytest.raises(SettingError, match="expected bool"):
        Setting("is_fast", bool).check(value)


def test_a_fraction_is_no_whole_number():
    with pytest.raises(SettingError, match="whole number"):
        Setting("width_px", int).check(10.5)
    assert Setting("width_px", int).check(10.0) == 10


def test_a_read_only_setting_refuses_every_value():
    with pytest.raises(SettingError, match="read-only"):
        Setting("temperature_k", float, "K", is_read_only=True).check(300)
