"""A `RigFile` as TOML text, for the manifest of a recording and for a capture."""

import json
from collections.abc import Mapping
from typing import Any

from magscope.rig.lines import in_toml_terms, quoted
from magscope.rig.model import RigFile


def to_toml(rig: RigFile) -> str:
    """Return the whole rig, defaults included, as a rig file that gives the same rig."""
    return document_to_toml(rig.model_dump(mode="json", exclude_none=True))


def document_to_toml(document: Mapping[str, Any]) -> str:
    """Return a rig file's document, as it is dumped or parsed, as its text."""
    return _table((), document).lstrip("\n")


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> str:
    # Options and settings of a device stay in its own table, so that a device reads as one thing.
    is_device = "driver" in table
    inner = {k: v for k, v in table.items() if isinstance(v, dict) and not is_device}
    text = "".join(f"{_key(k)} = {_value(v)}\n" for k, v in table.items() if k not in inner)
    if path and not (inner and not text):
        text = f"\n[{in_toml_terms(path)}]\n{text}"
    return text + "".join(_table((*path, k), v) for k, v in inner.items())


def _key(key: str) -> str:
    return in_toml_terms((key,))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return quoted(value) if isinstance(value, str) else json.dumps(value)
