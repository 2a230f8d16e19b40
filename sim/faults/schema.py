"""The JSON schema of a fault plan, made of the kinds themselves.

`python -m sim.faults.schema` writes `schema.json` anew.
"""

import inspect
import json
import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from sim.faults.base import Fault
from sim.faults.kinds import KINDS
from sim.faults.plan import VERSION

PATH = Path(__file__).with_name("schema.json")
_TYPES: dict[Any, Any] = {
    str: "string", int: "integer", float: "number", float | None: ["number", "null"],
}  # fmt: skip


def schema() -> dict[str, Any]:
    """Return the JSON schema of a fault plan."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "magscope fault plan",
        "description": "What goes wrong in a run.",
        "type": "object",
        "required": ["version", "faults"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "version": {"const": VERSION},
            "faults": {
                "type": "array",
                "items": {"oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in KINDS]},
            },
        },
        "$defs": {
            **{each.name: _property(each, _said(Fault)) for each in fields(Fault)},
            **{kind: _of(cls) for kind, cls in KINDS.items()},
        },
    }


def _of(cls: type[Fault]) -> dict[str, Any]:
    said = _said(cls)
    shared = {each.name: each.default for each in fields(Fault)}
    properties: dict[str, dict[str, Any]] = {}
    for each in fields(cls):
        if each.name in shared:
            properties[each.name] = {"$ref": f"#/$defs/{each.name}"}
            if each.default != shared[each.name]:
                properties[each.name]["default"] = each.default
        else:
            properties[each.name] = _property(each, said)
    if cls.default_site:
        properties["site"]["default"] = cls.default_site
    required = [each.name for each in fields(cls) if each.default is MISSING]
    made: dict[str, Any] = {
        "title": cls.__name__,
        "description": inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " "),
        "type": "object",
        "required": ["kind", *required],
        "additionalProperties": False,
        "properties": {"kind": {"const": cls.kind}, **properties},
    }
    triggers = [{"required": [name]} for name in ("at_s", "site", "state")]
    if required:  # what is there from the beginning has no trigger
        made["oneOf"] = triggers
        if cls.default_site:
            made["oneOf"] = [*triggers, {"not": {"anyOf": triggers}}]
    return made


def _property(each: Field, said: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": _TYPES[each.type]}
    if words := said.get(each.name):
        made["description"] = words
    if each.default is not MISSING and each.default not in ("", None):
        made["default"] = each.default
    if choices := each.metadata.get("choices"):
        made["enum"] = list(dict.fromkeys(choice for choice in choices if choice))
    for name, word in (("least", "minimum"), ("above", "exclusiveMinimum")):
        limit = each.metadata.get(name, -float("inf"))
        if limit > -float("inf"):
            made[word] = limit
    return made


def _said(cls: type[Fault]) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say of each field."""
    said: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        attributes = inspect.cleandoc(each.__doc__ or "").partition("\nAttributes:\n")[2]
        for name, words in re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", attributes, re.MULTILINE):
            said[name] = " ".join(words.split())
    return said


def text() -> str:
    """Return the file's text, with each definition on a line of its own."""
    whole = schema()
    definitions = whole.pop("$defs")
    head = json.dumps(whole, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(definition, ensure_ascii=False)}"
        for name, definition in definitions.items()
    )
    return f'{head},\n "$defs": {{\n{lines}\n }}\n}}\n'


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
