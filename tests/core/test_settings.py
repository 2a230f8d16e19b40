import pytest

from magscope.settings import RULES, SettingsError, checked, default_settings, load_settings

DEFAULTS = {
    "bead roi width": 128, "magnification": 100, "video processors n": 3,
    "video buffer n stacks": 5, "video buffer n images": 40, "tracks max datapoints": 1000000,
    "xy-lock default interval": 10, "xy-lock default max": 10,
    "z-lock default interval": 10, "z-lock default max": 1000,
    "tracks file max bytes": 256_000_000,
}  # fmt: skip


def test_the_defaults_are_those_of_the_contract():
    assert default_settings() == DEFAULTS
    assert checked({}) == DEFAULTS


def test_the_defaults_are_a_copy():
    default_settings()["magnification"] = 1
    assert default_settings()["magnification"] == 100


def test_given_settings_take_their_defaults_place_and_a_labs_own_pass():
    settings = checked({"magnification": 60.5, "our laser mW": "off"})
    assert settings == {**DEFAULTS, "magnification": 60.5, "our laser mW": "off"}


@pytest.mark.parametrize("key", RULES)
def test_every_settings_bounds_are_allowed_and_what_lies_outside_is_not(key):
    rule = RULES[key]
    assert checked({key: rule.lower})[key] == rule.lower
    assert checked({key: rule.upper})[key] == rule.upper
    for outside in (rule.lower - 1, rule.upper * 2):
        with pytest.raises(SettingsError, match=f"{key}.*must lie between"):
            checked({key: outside})


@pytest.mark.parametrize("wrong", ["5", None, True, [5], 5.5, float("inf"), float("nan")])
def test_what_is_no_whole_number_is_refused_where_one_is_expected(wrong):
    with pytest.raises(SettingsError, match=r"video processors n.*expected a whole number"):
        checked({"video processors n": wrong})


@pytest.mark.parametrize("wrong", ["5", None, True, [5]])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(SettingsError, match=r"magnification.*expected a number"):
        checked({"magnification": wrong})


@pytest.mark.parametrize("wrong", [float("inf"), float("-inf"), float("nan")])
def test_what_is_not_finite_is_refused(wrong):
    with pytest.raises(SettingsError, match=r"magnification.*must lie between"):
        checked({"magnification": wrong})


def test_a_whole_number_that_was_written_as_a_float_becomes_one():
    settings = checked({"tracks max datapoints": 1e6})
    assert settings["tracks max datapoints"] == 1_000_000
    assert isinstance(settings["tracks max datapoints"], int)


def test_every_mistake_is_named_at_once():
    with pytest.raises(SettingsError, match=r"bead roi width.*; .*magnification"):
        checked({"bead roi width": "wide", "magnification": -1})


def test_a_file_is_read(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("magnification: 60\nbead roi width: 64\n")
    assert load_settings(path) == {**DEFAULTS, "magnification": 60, "bead roi width": 64}
    assert load_settings(str(path))["bead roi width"] == 64


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "No such file"),
        (b"", "expected lines of"),
        (b"- 1\n- 2\n", "expected lines of"),
        (b"a: [1\n", "while parsing"),
        (b"\xff\xfe\xfa", "settings file"),
        (b"magnification: big\n", "expected a number"),
        (b"video processors n: .inf\n", "expected a whole number"),
    ],
)
def test_a_file_that_can_not_be_used_gives_one_clear_line(tmp_path, content, what):
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=what) as caught:
        load_settings(path)
    assert "\n" not in str(caught.value)
