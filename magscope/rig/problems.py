"""What is wrong with a rig file, in words: one line for each problem."""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from magscope.rig.lines import KeyPath, in_toml_terms, line_of
from magscope.rig.model import known_keys


class RigError(ValueError):
    """A rig file can not be used.

    Attributes:
        problems: One line for each thing that is wrong, in the order of the file.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.problems,))


@dataclass(frozen=True)
class Problem:
    """One wrong key: where it is, and what to say of it."""

    key: KeyPath
    text: str

    def in_a_line(self, source: str, lines: dict[KeyPath, int]) -> str:
        """Return `file:line: key: what is wrong`."""
        line = line_of(self.key, lines)
        place = f"{source}:{line}" if line else source
        return f"{place}: {in_toml_terms(self.key)}{self.text}"


def problems_of(error: ValidationError) -> list[Problem]:
    """Return the problems that pydantic found, in the words of a rig file."""
    found = []
    for detail in error.errors():
        # Pydantic names the checks of a mapping's keys with a last part of its own.
        key = tuple(part for part in detail["loc"] if part != "[key]")
        found.append(Problem(key, _in_words(key, detail)))
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'X'?`, or `; choose one of …` when nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; choose one of: {', '.join(names)}" if names else ""


def shown(value: Any) -> str:
    """Return a value as TOML writes it, cut to a length that fits in a line."""
    if isinstance(value, Mapping):
        return "a table"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _in_words(key: KeyPath, detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return f": unknown key{did_you_mean(str(key[-1]), known_keys(key[:-1]))}"
    if detail["type"] == "missing":
        note = "; no installed package brings a default rig" if key == ("camera",) else ""
        return f": is missing{note}"
    if detail["type"] == "value_error" and isinstance(detail["input"], Mapping):
        return f": {_expected(detail)}" if key else _expected(detail)
    return f" = {shown(detail['input'])}: {_expected(detail)}"


def _expected(detail: ErrorDetails) -> str:
    kind, limits = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(limits["error"])
    if kind == "literal_error":
        return f"expected {limits['expected']}"
    for name, words in _COMPARISONS.items():
        if kind == name:
            return f"must be {words} {next(iter(limits.values())):g}"
    return f"expected {_TYPES[kind]}" if kind in _TYPES else _lower_first(detail["msg"])


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


_COMPARISONS = {
    "greater_than": "above",
    "greater_than_equal": "at least",
    "less_than": "below",
    "less_than_equal": "at most",
}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": 'a text in "quotes"',
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "string_too_short": "a text that is not empty",
}
