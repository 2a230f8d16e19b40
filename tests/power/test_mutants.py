from pathlib import Path

import pytest

from sim.power.mutants import (
    REACHED,
    TRIGGERED,
    Change,
    Mutant,
    MutantError,
    chosen,
    digest,
    load_mutants,
)

HERE = Path(__file__).parent
TOP = HERE.parents[1]
MUTANTS = load_mutants(HERE / "mutants")
BLIND = load_mutants(HERE / "blind")
LEAST = 70
ORIGINAL = {
    "the router spins for ever on a dead child at quit",
    "a worker that dies or raises in RUNNING wedges the pool",
    "busy count drifts",
    "a lock dies with its holder",
    "a broadcast into a broken pipe kills the router",
    "both ends block on full pipes",
    "a purge under a reading worker tears frames",
    "counters run past capacity",
    "the matrix buffer's read at exactly full and after an overrun",
    "quit asked for twice",
    "quit during start-up",
    "orphans when the router dies",
    "names that collide between two systems",
}
CHANGE = Change("hal/x.py", "right", "wrong")
TABLE = """
[[mutant]]
name = "a-defect"
defect = "It is wrong."
file = "magscope/router.py"
properties = ["R1"]
old = "right"
new = "__reached__()"
"""


@pytest.mark.parametrize("mutant", [*MUTANTS, *BLIND], ids=lambda mutant: mutant.name)
def test_a_mutant_applies_exactly_once_and_compiles(mutant):
    for file in mutant.files:
        source = (TOP / file).read_text(encoding="utf-8")
        changed = mutant.applied_to(file, source)
        assert changed != source
        compile(changed, file, "exec", dont_inherit=True)


def test_the_list_is_the_frozen_one():
    frozen = (HERE / "FROZEN").read_text(encoding="utf-8").splitlines()
    words = dict(line.split(None, 1) for line in frozen[:2])
    assert (words["sha256"], words["mutants"]) == (digest(MUTANTS), str(len(MUTANTS))), (
        "the list of mutants is not the frozen one: see README.md beside FROZEN before you write "
        f"this digest there: {digest(MUTANTS)}, {len(MUTANTS)} mutants"
    )


def test_there_are_enough_mutants_and_every_defect_of_the_original_design_is_among_them():
    assert len(MUTANTS) >= LEAST
    assert {mutant.original for mutant in MUTANTS} == ORIGINAL | {""}


def test_every_property_of_safety_is_what_some_mutant_violates():
    ids = {id_ for mutant in MUTANTS for id_ in mutant.properties}
    families = {"R": 5, "S": 7, "P": 4, "B": 5, "F": 3}
    assert ids == {f"{letter}{n}" for letter, last in families.items() for n in range(1, last + 1)}


def test_no_two_mutants_are_the_same_change():
    changes = [mutant.changes for mutant in (*MUTANTS, *BLIND)]
    assert len(set(changes)) == len(changes)


def test_every_defect_is_told_in_one_sentence():
    every = (*MUTANTS, *BLIND)
    assert [m.name for m in every if not m.defect.endswith(".") or ". " in m.defect] == []


def test_a_mutant_that_no_longer_applies_is_an_error():
    mutant = Mutant("a-defect", "It is wrong.", ("R1",), (CHANGE,))
    with pytest.raises(MutantError, match=r"a-defect: hal/x.py has 0 times"):
        mutant.applied_to("hal/x.py", "left")


def test_a_mutant_that_applies_twice_is_an_error():
    mutant = Mutant("a-defect", "It is wrong.", ("R1",), (CHANGE,))
    with pytest.raises(MutantError, match="has 2 times"):
        mutant.applied_to("hal/x.py", "right right")


def test_a_mutant_may_change_several_places_of_its_module(tmp_path):
    table = TABLE + '[[mutant.also]]\nold = "left"\nnew = "gone"\n'
    (tmp_path / "some.toml").write_text(table)
    (mutant,) = load_mutants(tmp_path)
    assert mutant.applied_to("magscope/router.py", "right left") == "__reached__() gone"
    assert mutant.modules == {"magscope.router": "magscope/router.py"}
    assert not mutant.tells_trigger


def test_a_mutant_may_change_two_modules(tmp_path):
    table = TABLE + '[[mutant.also]]\nfile = "hal/record.py"\nold = "left"\nnew = "gone"\n'
    (tmp_path / "some.toml").write_text(table)
    (mutant,) = load_mutants(tmp_path)
    assert mutant.files == ("magscope/router.py", "hal/record.py")
    assert mutant.applied_to("hal/record.py", "right left") == "right gone"


@pytest.mark.parametrize(
    ("line", "bad", "complaint"),
    [
        ('name = "a-defect"', 'name = "A defect"', "expected words joined by '-'"),
        ('defect = "It is wrong."', "", "mutant a-defect: has no defect"),
        ('file = "magscope/router.py"', 'file = "/etc/passwd.py"', "expected a module of"),
        ('properties = ["R1"]', 'properties = ["R9"]', "expected ids such as 'R1'"),
        ('new = "__reached__()"', 'new = "wrong"', f"calls neither {REACHED}.. nor {TRIGGERED}"),
        ('old = "right"', 'old = "right"\nwhy = "so"', "no key 'why' is known"),
        ("[[mutant]]", "[mutant", "some.toml: "),
    ],
)
def test_a_bad_description_says_what_is_wrong(tmp_path, line, bad, complaint):
    assert line in TABLE
    (tmp_path / "some.toml").write_text(TABLE.replace(line, bad))
    with pytest.raises(MutantError, match=complaint):
        load_mutants(tmp_path)


def test_two_mutants_of_one_name_are_refused(tmp_path):
    (tmp_path / "some.toml").write_text(TABLE + TABLE)
    with pytest.raises(MutantError, match="two mutants 'a-defect'"):
        load_mutants(tmp_path)


def test_an_empty_directory_is_refused(tmp_path):
    with pytest.raises(MutantError, match="no mutants"):
        load_mutants(tmp_path)


def test_the_digest_changes_with_any_word_of_any_mutant():
    one = Mutant("a", "It is wrong.", ("R1",), (CHANGE,))
    other = Mutant("a", "It is wrong!", ("R1",), (CHANGE,))
    assert digest([one]) != digest([other])
    assert digest([one, other]) == digest([one, other])


def test_mutants_are_chosen_by_name_or_by_a_part_of_it():
    names = [m.name for m in chosen(MUTANTS, ["channel-overtakes"])]
    assert names == ["channel-overtakes"]
    assert {m.name.partition("-")[0] for m in chosen(MUTANTS, ["channel-"])} == {"channel"}
    assert chosen(MUTANTS, []) == MUTANTS
    with pytest.raises(MutantError, match="no mutant 'no-such'"):
        chosen(MUTANTS, ["no-such"])
