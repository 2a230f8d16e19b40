"""Results in a file of JSON lines, so that what was measured need not be measured again."""

import json
from dataclasses import asdict
from pathlib import Path

from sim.power.trial import Result


class Results:
    """Results by their keys; each is on disk as soon as it is added.

    Args:
        path: The file; what it holds is known already. None: keep them in memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, Result] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._take(line)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> Result | None:
        """Return the result of a key; None if there is none yet."""
        return self._known.get(key)

    def add(self, key: str, result: Result) -> None:
        """Keep one more result."""
        self._known[key] = result
        if self._path is not None:
            line = json.dumps({"key": key, **asdict(result)})
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def _take(self, line: str) -> None:
        try:
            facts = json.loads(line)
            key = facts.pop("key")
            failures = tuple((seed, text) for seed, text in facts.pop("failures"))
            self._known[key] = Result(**facts, failures=failures)
        except (ValueError, KeyError, TypeError):
            return  # the last line of a program that was killed while it wrote
