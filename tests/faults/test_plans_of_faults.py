import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from fault_tools import any_fault
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.faults import KINDS, STATES, Crash, Drop, Fault, FaultPlan, Hang, PlanError, StaleMemory
from sim.faults import schema as schemas

SCHEMA = schemas.schema()
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "faults.md"


@settings(max_examples=80, deadline=None)
@given(st.lists(any_fault(), max_size=4, unique=True))
def test_a_plan_of_any_faults_comes_back_from_json_as_it_was_and_fits_the_schema(faults):
    plan = FaultPlan(tuple(faults))
    text = json.dumps(plan.to_json())
    assert FaultPlan.from_json(json.loads(text)) == plan
    assert fits(json.loads(text), SCHEMA), text
    assert len(str(plan).splitlines()) == max(len(faults), 1)


def test_the_published_schema_is_current():
    assert schemas.PATH.read_text(encoding="utf-8") == schemas.text(), (
        "run python -m sim.faults.schema"
    )


@pytest.mark.parametrize(
    "data",
    [
        {"version": 2, "faults": []},
        {"version": 1},
        {"version": 1, "faults": [], "fault": []},
        *(
            {"version": 1, "faults": [fault]}
            for fault in (
                {"kind": "melt", "process": "a", "at_s": 1},
                {"kind": "crash", "at_s": 1},
                {"kind": "crash", "process": "a"},
                {"kind": "crash", "process": "a", "at_s": 1, "site": "wait"},
                {"kind": "crash", "process": "a", "at_s": -1},
                {"kind": "crash", "process": "a", "state": "flag HALF"},
                {"kind": "crash", "process": "a", "at_s": 1, "for_s": 1},
                {"kind": "drop", "process": "a", "hit": 0},
                {"kind": "drop", "process": "a", "hit": 1.5},
                {"kind": "hang", "process": "a", "at_s": "1"},
                {"kind": "hang", "process": "a", "at_s": 1, "for_s": 0},
                {"kind": "delay", "process": "a", "at_s": 1, "for_s": None},
                {"kind": "corrupt", "process": "a", "part": "tail"},
                {"kind": "camera-drop", "process": "a", "frames": 0},
            )
        ),
    ],
    ids=lambda data: json.dumps(data.get("faults", data))[:60],
)
def test_schema_and_program_refuse_the_same_plans(data):
    assert not fits(data, SCHEMA)
    with pytest.raises(PlanError):
        FaultPlan.from_json(data)


def test_every_mistake_of_a_plan_is_named_in_one_go():
    data = {
        "version": 7,
        "fault": 1,
        "faults": [
            {"kind": "hang", "at_s": -1, "hit": 0, "state": "flag HALF", "late": 1},
            {"kind": "crash", "process": "a", "at_s": 1},
            {"kind": "crash", "process": "a", "at_s": 1},
            {"kind": "melt"},
            {"kind": "crash", "process": "*", "at_s": 1},
            {"kind": "stale-memory", "at_s": 3},
        ],
    }
    with pytest.raises(PlanError) as caught:
        FaultPlan.from_json(data)
    for said in (
        "version 7", "no key 'fault'", "fault 0: hang: no field 'late'", "names no process",
        "at_s = -1 is no time", "hit = 0: counts from 1", "state = 'flag HALF': choose one of flag",
        "one of them alone", "fault 2: it is there twice: a is killed at 1 s",
        "fault 3: fault of kind 'melt'", "fault 4: crash: process = '*'", "fault 5: stale-memory",
    ):  # fmt: skip
        assert said in str(caught.value)


def test_a_fault_made_with_a_mistake_says_so_at_once():
    with pytest.raises(ValueError, match=r"crash of 'a': give at_s or a site or a state"):
        Crash("a")
    with pytest.raises(ValueError, match=r"for_s = -1: expected more than 0"):
        Hang("a", 1.0, for_s=-1)
    with pytest.raises(ValueError, match="from the beginning"):
        StaleMemory(at_s=1.0)


def test_a_fault_says_when_it_strikes():
    assert Crash("a", 0.5).when == "at 0.5 s"
    assert Crash("a", site="wait", hit=22).when == "at its 22nd wait"
    assert Drop("a").when == "at its 1st pipe.write"
    assert Drop("a", at_s=1.0).when == "at 1 s"
    assert Crash("a", state="flag RUNNING").when == "as soon as the flag is RUNNING"
    assert Crash("a", state="holds lock", hit=3).when == "the 3rd time that it has taken a lock"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_in_words_what_it_does_and_when(kind):
    cls = KINDS[kind]
    early, late = (
        (cls(), cls(blocks=7)) if kind == "stale-memory" else (cls("who", 1.0), cls("who", 2.5))
    )
    assert str(early) != str(late)
    assert "who" in str(early) or kind == "stale-memory"
    assert "  " not in str(early)
    assert not str(early).endswith(" ")
    assert (cls.__doc__ or "").strip()
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind)


def test_the_guide_names_every_kind_every_state_and_every_field():
    guide = re.sub(r"```.*?```", "", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"`([^`]+)`", guide))
    own = {each.name for cls in KINDS.values() for each in fields(cls)}
    assert not (set(KINDS) | set(STATES) | own - {"process"}) - named


def test_every_kind_is_in_its_module_once():
    found, left = set(), [Fault]
    while left:
        found.add(cls := left.pop())
        left += cls.__subclasses__()
    assert sorted(cls.kind for cls in found if cls.kind) == sorted(KINDS)
    assert len(STATES) == len(set(STATES.values()))


TYPES = {
    "string": str, "integer": int, "number": (int, float), "null": type(None), "object": dict,
    "array": list,
}  # fmt: skip


def fits(value, schema):
    """Whether a value is as a schema says, by those of JSON schema's words that are used here."""
    if "$ref" in schema and not fits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]):
        return False
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if isinstance(value, bool) or not any(isinstance(value, TYPES[name]) for name in types):
            return False
    numbers = isinstance(value, (int, float))
    return (
        value == schema.get("const", value)
        and value in schema.get("enum", [value])
        and not (numbers and value < schema.get("minimum", value))
        and not (numbers and "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
        and all(name in value for name in schema.get("required", ()))
        and all(
            fits(inner, schema["properties"][name]) if name in schema["properties"] else False
            for name, inner in (value.items() if "properties" in schema else ())
        )
        and all(fits(inner, schema["items"]) for inner in (value if "items" in schema else ()))
        and ("oneOf" not in schema or sum(fits(value, one) for one in schema["oneOf"]) == 1)
        and ("anyOf" not in schema or any(fits(value, one) for one in schema["anyOf"]))
        and not ("not" in schema and fits(value, schema["not"]))
    )
