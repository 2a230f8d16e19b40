"""A `RigFile` as TOML text, for the manifest of a recording."""

import json
from collections.abc import Mapping
from typing import Any

from magscope.rig.lines import in_toml_terms
from magscope.rig.model import RigFile


def to_toml(rig: RigFile) -> str:
    """Return the whole rig, defaults included, as a rig file that gives the same rig."""
    return _table((), rig.model_dump(mode="json", exclude_none=True)).lstrip("\n")


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> str:
    # Options and settings of a device stay in its own table, so that a device reads as one thing.
    inner = {k: v for k, v in table.items() if isinstance(v, dict) and k not in _INLINE}
    text = "".join(f"{_key(k)} = {_value(v)}\n" for k, v in table.items() if k not in inner)
    if path and (text or not inner):
        text = f"\n[{in_toml_terms(path)}]\n{text}"
    return text + "".join(_table((*path, k), v) for k, v in inner.items())


_INLINE = frozenset({"options"})


def _key(key: str) -> str:
    return in_toml_terms((key,))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    # JSON and TOML write text alike, but for this one character that TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
