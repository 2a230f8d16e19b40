"""Mutants: the code with one realistic defect each, as text to be replaced in its modules."""

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

REACHED, TRIGGERED = "__reached__", "__triggered__"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PROPERTY = re.compile(r"[RSPBFC][1-7]")
_PACKAGES = ("hal", "magscope", "sim")
_KEYS = {"name", "defect", "file", "properties", "old", "new"}


class MutantError(ValueError):
    """A mutant is described badly, or its text is not in the code any more."""


@dataclass(frozen=True)
class Change:
    """Text that stands once in a module, and what takes its place.

    Attributes:
        file: The module, from the top of the repository: `magscope/router.py`.
    """

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One realistic defect.

    Attributes:
        name: Words joined by `-`.
        defect: What is wrong, in one sentence.
        properties: The ids of those that are expected to be violated.
        changes: What makes the defect; the new text calls `__reached__()` where it runs, and
            `__triggered__()` where what it does differs from what was right.
        original: Which known defect of the original design it is; "" for none.
    """

    name: str
    defect: str
    properties: tuple[str, ...]
    changes: tuple[Change, ...]
    original: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """The modules that it changes; most often one."""
        return tuple(dict.fromkeys(change.file for change in self.changes))

    @property
    def modules(self) -> dict[str, str]:
        """The same by the names under which they are imported."""
        return {".".join(PurePosixPath(file).with_suffix("").parts): file for file in self.files}

    @property
    def tells_trigger(self) -> bool:
        """Whether it can be told when it was not only reached but had an effect."""
        return any(TRIGGERED in change.new for change in self.changes)

    def applied_to(self, file: str, source: str) -> str:
        """Return a module's text with the defect; raises MutantError if it does not fit."""
        for change in self.changes:
            if change.file != file:
                continue
            if (count := source.count(change.old)) != 1:
                raise MutantError(
                    f"mutant {self.name}: {file} has {count} times\n{change.old}\n"
                    "expected it once: describe the same defect in the words of the present code"
                )
            source = source.replace(change.old, change.new)
        return source


def load_mutants(directory: Path) -> tuple[Mutant, ...]:
    """Read every `*.toml` of a directory; the mutants come by name.

    Raises:
        MutantError: There are none, or one is described badly; the text says which.
    """
    mutants: dict[str, Mutant] = {}
    for path in sorted(directory.glob("*.toml")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
        except (OSError, ValueError) as error:
            raise MutantError(f"{path}: {error}") from error
        for table in tables:
            mutant = _read(table, path)
            if mutant.name in mutants:
                raise MutantError(f"{path}: there are two mutants {mutant.name!r}")
            mutants[mutant.name] = mutant
    if not mutants:
        raise MutantError(f"{directory}: no mutants; expected files *.toml with [[mutant]] in them")
    return tuple(mutants[name] for name in sorted(mutants))


def digest(mutants: Iterable[Mutant]) -> str:
    """Return what changes with anything in the list."""
    plain = sorted((asdict(mutant) for mutant in mutants), key=lambda data: data["name"])
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def named(mutants: Iterable[Mutant], name: str) -> Mutant:
    """Return the mutant of a name; raises MutantError if there is none."""
    by_name = {mutant.name: mutant for mutant in mutants}
    if name not in by_name:
        raise MutantError(f"no mutant {name!r}; there are {', '.join(sorted(by_name))}")
    return by_name[name]


def chosen(mutants: Sequence[Mutant], words: Sequence[str]) -> tuple[Mutant, ...]:
    """Return the mutants of these names, or with these words in their names; all if none is given.

    Raises:
        MutantError: There is none of a name.
    """
    names = {mutant.name for mutant in mutants}
    wanted: dict[str, Mutant] = {}
    for word in words:
        found = [] if word in names else [m for m in mutants if word in m.name]
        wanted |= {m.name: m for m in found or [named(mutants, word)]}
    return tuple(wanted.values()) if words else tuple(mutants)


def _read(table: dict[str, Any], path: Path) -> Mutant:
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise MutantError(f"{path}: name = {name!r}: expected words joined by '-'")
    where = f"{path}: mutant {name}"
    if missing := _KEYS - table.keys():
        raise MutantError(f"{where}: has no {min(missing)}")
    if unknown := table.keys() - _KEYS - {"also", "original"}:
        raise MutantError(f"{where}: no key {min(unknown)!r} is known")
    properties = tuple(table["properties"])
    if not properties or not all(_PROPERTY.fullmatch(id_) for id_ in properties):
        raise MutantError(f"{where}: properties = {list(properties)}: expected ids such as 'R1'")
    changes = tuple(
        Change(
            _module(part.get("file", table["file"]), where),
            part["old"].removesuffix("\n"),
            part["new"].removesuffix("\n"),
        )
        for part in (table, *table.get("also", ()))
    )
    if not any(REACHED in c.new or TRIGGERED in c.new for c in changes):
        raise MutantError(f"{where}: its new text calls neither {REACHED}() nor {TRIGGERED}()")
    return Mutant(name, table["defect"], properties, changes, table.get("original", ""))


def _module(file: str, where: str) -> str:
    parts = PurePosixPath(file).parts
    if parts[0] not in _PACKAGES or ".." in parts or not parts[-1].endswith(".py"):
        raise MutantError(f"{where}: file = {file!r}: expected a module of {_PACKAGES}")
    return file
