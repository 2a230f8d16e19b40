import importlib
import linecache
import sys
from dataclasses import replace

import pytest

from sim.power.hook import Marks, install
from sim.power.mutants import Change, Mutant, MutantError

NEW = "    __reached__()\n    __triggered__(a > 5)\n    return a + b + 1"
FILE = "power_sample/adding.py"
MUTANT = Mutant("a-defect", "It is wrong.", ("R1",), (Change(FILE, "    return a + b", NEW),))
SOURCE = "def add(a, b):\n    return a + b\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with two modules that are the same but for their names."""
    directory = tmp_path / "power_sample"
    directory.mkdir()
    for name in ("__init__", "adding", "adding_too"):
        (directory / f"{name}.py").write_text("" if name == "__init__" else SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield directory
    for name in [name for name in sys.modules if name.startswith("power_sample")]:
        del sys.modules[name]
    linecache.clearcache()


def test_the_one_module_has_the_defect_and_no_other(package):
    install(MUTANT, Marks())
    before = set(sys.modules)
    adding = importlib.import_module("power_sample.adding")
    other = importlib.import_module("power_sample.adding_too")
    assert (adding.add(1, 1), other.add(1, 1)) == (3, 2)
    assert set(sys.modules) - before == {
        "power_sample", "power_sample.adding", "power_sample.adding_too",
    }  # fmt: skip
    assert not hasattr(other, "__reached__")


def test_nothing_is_written_to_disk(package):
    install(MUTANT, Marks())
    importlib.import_module("power_sample.adding")
    assert (package / "adding.py").read_text() == SOURCE
    assert [path.name for path in package.rglob("adding.*.pyc")] == []


def test_code_that_was_compiled_before_does_not_hide_the_defect(package):
    importlib.import_module("power_sample.adding")
    assert list(package.rglob("adding.*.pyc")) or sys.dont_write_bytecode
    del sys.modules["power_sample.adding"]
    install(MUTANT, Marks())
    assert importlib.import_module("power_sample.adding").add(1, 1) == 3


def test_what_is_reached_and_what_is_triggered_is_counted(package):
    marks = Marks()
    install(MUTANT, marks)
    add = importlib.import_module("power_sample.adding").add
    assert (marks.times_reached, marks.times_triggered) == (0, 0)
    add(1, 1)
    assert marks.times_reached > 0
    assert marks.times_triggered == 0
    add(7, 1)
    assert marks.times_triggered == 1


def test_another_process_can_read_the_counters():
    memory = bytearray(Marks.size)
    mine, theirs = Marks(memory), Marks(memory)
    mine.begin_world(12)
    assert mine.triggered(True)
    assert not mine.triggered(False)
    mine.reached()
    assert (theirs.worlds, theirs.seed) == (1, 12)
    assert (theirs.times_reached, theirs.times_triggered) == (3, 1)


def test_a_traceback_shows_the_lines_that_ran(package):
    install(MUTANT, Marks())
    adding = importlib.import_module("power_sample.adding")
    assert linecache.getline(adding.__file__, 4) == "    return a + b + 1\n"


def test_a_module_that_is_imported_already_is_refused(package):
    importlib.import_module("power_sample.adding")
    with pytest.raises(MutantError, match="imported already: use a fresh process"):
        install(MUTANT, Marks())


def test_a_module_that_there_is_not_is_an_error(package):
    missing = replace(MUTANT, changes=(Change("power_sample/gone.py", "old", NEW),))
    install(missing, Marks())
    with pytest.raises(MutantError, match=r"no module power_sample\.gone"):
        importlib.import_module("power_sample.gone")


def test_a_mutant_whose_text_is_not_there_is_an_error_when_the_module_is_imported(package):
    (package / "adding.py").write_text("def add(a, b):\n    return sum((a, b))\n")
    install(MUTANT, Marks())
    with pytest.raises(MutantError, match="has 0 times"):
        importlib.import_module("power_sample.adding")
