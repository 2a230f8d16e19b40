"""Puts a mutant into its modules as they are imported; nothing is written to disk."""

import linecache
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from sim.power.mutants import REACHED, TRIGGERED, Mutant, MutantError

_WORDS = 5


class Marks:
    """Counters that another process may read while this one runs, and after it was killed.

    Args:
        memory: `Marks.size` bytes, zeroed; memory of its own if None.

    Attributes:
        size: Bytes that the counters take.
    """

    size = 8 * _WORDS

    def __init__(self, memory: Any = None) -> None:
        self._words = memoryview(bytearray(self.size) if memory is None else memory).cast("q")

    def reached(self) -> None:
        """Note that the mutated lines run."""
        self._words[0] += 1

    def triggered(self, condition: object = True) -> bool:
        """Note that they make a difference, if the condition holds; returns whether it does."""
        self._words[0] += 1
        if condition:
            self._words[1] += 1
        return bool(condition)

    def begin_trial(self) -> None:
        """Note that another trial begins, and count its worlds anew."""
        for word in range(_WORDS - 1):
            self._words[word] = 0
        self._words[4] += 1

    def begin_world(self, seed: int) -> None:
        """Note that another world begins."""
        self._words[2] += 1
        self._words[3] = seed

    @property
    def times_reached(self) -> int:
        """How often the mutated lines ran."""
        return self._words[0]

    @property
    def times_triggered(self) -> int:
        """How often they made a difference, where that can be told."""
        return self._words[1]

    @property
    def worlds(self) -> int:
        """How many worlds of the trial were begun."""
        return self._words[2]

    @property
    def trials(self) -> int:
        """How many trials were begun."""
        return self._words[4]

    @property
    def seed(self) -> int:
        """The seed of the newest world."""
        return self._words[3]

    def close(self) -> None:
        """Let go of the memory."""
        self._words.release()


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutant: Mutant, marks: Marks) -> None:
        super().__init__(fullname, path)
        self._mutant = mutant
        self._marks = marks

    def get_source(self, fullname: str) -> str:
        original = Path(self.get_filename(fullname)).read_text(encoding="utf-8")
        return self._mutant.applied_to(self._mutant.modules[fullname], original)

    def get_code(self, fullname: str) -> CodeType:
        path, source = self.get_filename(fullname), self.get_source(fullname)
        # So that a traceback shows the lines that ran.
        linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
        code: CodeType = compile(source, path, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        setattr(module, REACHED, self._marks.reached)
        setattr(module, TRIGGERED, self._marks.triggered)
        super().exec_module(module)


class MutantFinder(MetaPathFinder):
    """Finds what has the defect, and leaves all other modules to the other finders."""

    def __init__(self, mutant: Mutant, marks: Marks) -> None:
        self._mutant = mutant
        self._marks = marks

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module with the defect, and None for any other."""
        if fullname not in self._mutant.modules:
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None:
            raise MutantError(f"mutant {self._mutant.name}: there is no module {fullname}")
        loader = _Loader(fullname, found.origin, self._mutant, self._marks)
        return spec_from_file_location(fullname, found.origin, loader=loader)


def install(mutant: Mutant, marks: Marks) -> None:
    """Let the mutant's modules have the defect when they are imported, in this process.

    Raises:
        MutantError: One is imported already.
    """
    if found := mutant.modules.keys() & sys.modules.keys():
        raise MutantError(
            f"mutant {mutant.name}: {min(found)} is imported already: use a fresh process"
        )
    sys.meta_path.insert(0, MutantFinder(mutant, marks))
