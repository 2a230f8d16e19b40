import re
import tomllib
from pathlib import Path

import pytest

from hal import Support
from hal.registry import load_driver
from hal.support import table

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
OURS = PROJECT["entry-points"]["magscope.drivers"]


@pytest.mark.parametrize("name", OURS)
def test_every_driver_of_ours_says_what_it_is_for_and_was_tried_on(name):
    support = load_driver(name).support
    assert isinstance(support, Support), f"{name}: its class has no support = hal.Support(…)"
    assert support.devices


@pytest.mark.parametrize("name", OURS)
def test_a_driver_names_the_extra_that_it_is_registered_with_and_a_library_that_is_in_it(name):
    support = load_driver(name).support
    [extra] = re.findall(r"\[(.+)\]", OURS[name]) or [""]
    assert support.extra == extra
    assert bool(support.library) == bool(extra)
    if extra:
        library = re.match(r"[\w.-]+", support.library)[0]
        needed = PROJECT["optional-dependencies"][extra]
        assert library in [re.match(r"[\w.-]+", requirement)[0] for requirement in needed]


def test_nothing_is_said_to_have_been_tried_on_hardware_without_saying_on_which():
    with pytest.raises(ValueError, match="say on which hardware"):
        Support("cameras", "hardware")
    with pytest.raises(ValueError, match="nothing where there was none"):
        Support("cameras", "nothing", "the bench")
    with pytest.raises(ValueError, match="choose one of hardware, emulator"):
        Support("cameras", "yes")


def test_drivers_that_say_the_same_stand_in_one_line_and_silence_is_shown():
    same = Support("cameras | lamps", "emulator", "a fake", library="lib", extra="ex")
    lines = table({"b": same, "a": None, "c": same}).splitlines()
    assert lines[2:] == [
        "| `b`, `c` | cameras \\| lamps | lib: `pip install '.[ex]'` | an emulator: a fake |",
        "| `a` | does not say |  |  |",
    ]
    assert Support("stages", "hardware", "a rig").tried_on == "hardware: a rig"
    assert Support("stages", "nothing").tried_on == "nothing yet"
