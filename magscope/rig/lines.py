"""Where in a TOML text each key stands."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

KeyPath = tuple[str | int, ...]


def line_numbers(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1, on which each key of a valid TOML text begins.

    The standard parser gives values without positions, so the text is cut into statements: each
    is the fewest lines that the parser takes.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    statement, begin = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not statement:
            begin = number
        statement += line + "\n"
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        is_header = statement.lstrip().startswith("[")
        if is_header:
            table = max(_paths(parsed), key=len)
        for path in _paths(parsed):
            found.setdefault(path if is_header else table + path, begin)
        statement = ""
    return found


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int | None:
    """Return the line of a key, or of the innermost table around it that is written down."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def in_toml_terms(path: KeyPath) -> str:
    """Return a key as TOML writes it: `settings."video processors n"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        bare = part.replace("_", "").replace("-", "")
        written = part if bare.isascii() and bare.isalnum() else quoted(part)
        text += f".{written}" if text else written
    return text


def quoted(text: str) -> str:
    """Return a text as TOML writes it."""
    # JSON and TOML write text alike, but for this one character that TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _paths(value: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*above, key)
            yield from _paths(inner, (*above, key))
