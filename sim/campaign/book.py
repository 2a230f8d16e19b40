"""What a campaign knows: an append-only file of results, and what they come to.

`results.jsonl` has a line for each range of seeds that was run, and one for each failure that was
made small. A line that is torn or unreadable counts for nothing: what it told of is run again. No
seed counts twice.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sim.campaign.seeds import Seeds
from sim.campaign.source import Source, code_fingerprint
from sim.campaign.stories import violation_key
from sim.campaign.work import DETERMINISM, SIMULATOR, Failed, Result

VERSION = 1
RESULTS = "results.jsonl"
FAILURES = "failures"
MOST_STORIES = 5
_BEGINNING = f'{{"campaign":{VERSION},'.encode()


class BookError(ValueError):
    """The directory holds something else; the text says what to do."""


@dataclass
class Found:
    """Failures with one story, as they were found.

    Attributes:
        failed: The first one.
        key: Its violation without numbers.
        trace_hash: Of its run.
        worlds: How many failed so.
        is_like_others: There are enough with this violation already: it is only counted.
        small: What was left when it was minimised; None if it was not yet.
    """

    failed: Failed
    key: str
    trace_hash: str
    worlds: int
    is_like_others: bool
    small: Failed | None = None

    @property
    def last(self) -> Failed:
        """The failure, as small as it is."""
        return self.small or self.failed


@dataclass(frozen=True)
class Distinct:
    """A failure that is not like the others.

    Attributes:
        failed: The smallest there is of it.
        worlds: How many failed so.
        like_it: How many more violated the same, and were not looked at closer.
        file: Where it is, relative to the campaign's directory.
    """

    failed: Failed
    worlds: int
    like_it: int
    file: str


class Book:
    """The results of a campaign, on disk and summed up.

    Args:
        directory: Where; it is made. What an earlier start left there is gone on with.
        source: What is run.
        fresh: Throw away what is there.

    Attributes:
        done: The seeds that were run.
        totals: Numbers of `steps`, `virtual_s`, `wall_s` and `twice`.
        reached: How many worlds came to each rare state.
        found: All stories, by digest, in the order in which they were found.

    Raises:
        BookError: There is another campaign in the directory.
        OSError: It can not be written to.
    """

    def __init__(self, directory: Path, source: Source, *, fresh: bool = False) -> None:
        self.directory = directory
        self.source = source
        self.done = Seeds()
        self.totals: Counter[str] = Counter()
        self.reached: Counter[str] = Counter()
        self.found: dict[str, Found] = {}
        self._hash = 0
        self._stories: Counter[str] = Counter()
        path = directory / RESULTS
        (directory / FAILURES).mkdir(parents=True, exist_ok=True)
        if fresh:
            path.unlink(missing_ok=True)
            for file in (directory / FAILURES).glob("*.json"):
                file.unlink()
        self._load(path)
        # Without a buffer: a line is one write, and what was told is on its way to the disk.
        self._file = path.open("ab", buffering=0)
        if path.stat().st_size == 0:
            self._append(self._title)

    @property
    def _title(self) -> dict[str, Any]:
        return {
            "campaign": VERSION,
            "source": self.source.digest,
            "code": code_fingerprint(),
            "words": " ".join(self.source.words),
        }

    @property
    def hash(self) -> str:
        """The same for the same seeds with the same traces, in whatever order they were run."""
        return f"{self._hash:016x}"

    @property
    def failed_worlds(self) -> int:
        """How many worlds failed."""
        return sum(found.worlds for found in self.found.values())

    @property
    def to_minimise(self) -> list[Found]:
        """The failures that should be made small, oldest first."""
        return [
            found
            for found in self.found.values()
            if found.small is None
            and not found.is_like_others
            and found.failed.property not in (SIMULATOR, DETERMINISM)
        ]

    def add(self, first: int, results: Sequence[Result]) -> None:
        """Take down a range of seeds, each once, in order, beginning with `first`."""
        failures = [result.failed for result in results if result.failed is not None]
        line = {
            "seeds": [first, first + len(results)],
            "hashes": [result.trace_hash for result in results],
            "steps": sum(result.steps for result in results),
            "virtual_s": round(sum(result.virtual_s for result in results), 6),
            "wall_s": round(sum(result.wall_s for result in results), 3),
            "twice": sum(result.twice for result in results),
            "reached": dict(sorted(Counter(s for r in results for s in r.reached).items())),
            "failed": [self._brief(failed) for failed in failures],
        }
        if not self._count(line):
            return
        for failed in failures:
            found = self.found[failed.digest]
            if found.failed.seed == failed.seed and not found.is_like_others:
                self._write(failed)
        self._append(line)

    def add_minimised(self, digest: str, small: Failed) -> None:
        """Take down what was left of a failure."""
        if small.file:
            self._write(small)
        line = {"minimised": digest, "into": {**asdict(small), "file": ""}}
        self._append(line)
        self._count(line)

    def distinct(self) -> list[Distinct]:
        """Return every failure that is not like the others, those found first at the head."""
        groups: dict[str, list[Found]] = {}
        others: Counter[str] = Counter()
        for found in self.found.values():
            if found.is_like_others:
                others[found.key] += found.worlds
            else:
                groups.setdefault(found.last.digest, []).append(found)
        result = []
        for group in groups.values():
            like_it = others.pop(group[0].key, 0)
            best = min(group, key=lambda found: (found.small is None, found.failed.seed)).last
            worlds = sum(found.worlds for found in group)
            result.append(Distinct(best, worlds, like_it, f"{FAILURES}/{file_name(best)}"))
        return result

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "Book":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, path: Path) -> None:
        if not path.exists():
            return
        content = path.read_bytes()
        if content[: len(_BEGINNING)] != _BEGINNING[: len(content)]:
            raise BookError(f"{path} is no campaign's: choose another --out, or use --fresh")
        whole, newline, torn = content.rpartition(b"\n")
        if torn:
            with path.open("r+b") as file:
                file.truncate(len(whole) + len(newline))
        if not newline:
            return
        lines = []
        for text in whole.split(b"\n"):
            try:
                lines.append(json.loads(text))
            except ValueError:
                lines.append(None)
        title = lines[0] or {}
        other = {
            "source": f"another campaign ({title.get('words')})",
            "code": "a campaign with other code",
        }
        for key, what in other.items():
            if title.get(key) != self._title[key]:
                raise BookError(
                    f"--out {self.directory} holds {what}: choose another directory, or use "
                    "--fresh to throw that away"
                )
        for line in lines[1:]:
            try:
                self._count(line)
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # what it told of is run again
        self._make_up_for_lost_files()

    def _make_up_for_lost_files(self) -> None:
        for found in self.found.values():
            path = self.directory / FAILURES / file_name(found.last)
            if not found.is_like_others and not path.exists():
                found.small = None
                self._write(found.failed)

    def _count(self, line: dict[str, Any]) -> bool:
        """Sum up a line; False if one of its seeds was there already."""
        if "minimised" in line:
            small = _failed(line["into"])
            found = self.found[line["minimised"]]
            found.small = small
            if small.digest != found.failed.digest:
                self._forget_file(found.failed)
            return True
        failures = [_failed(data) for data in line["failed"]]
        first, end = line["seeds"]
        hashes = line["hashes"]
        if len(hashes) != end - first:
            raise ValueError(f"{len(hashes)} hashes for {end - first} seeds")
        if not self.done.add(first, end):
            return False
        for seed, trace_hash in enumerate(hashes, first):
            digest = blake2b(f"{seed}:{trace_hash}".encode(), digest_size=8).digest()
            self._hash = (self._hash + int.from_bytes(digest)) % 2**64
        self.totals.update({key: line[key] for key in ("steps", "virtual_s", "wall_s", "twice")})
        self.reached.update(line["reached"])
        for failed in failures:
            self._find(failed, hashes[failed.seed - first])
        return True

    def _brief(self, failed: Failed) -> dict[str, Any]:
        """Return what the results say of a failure; its story is told once, its file is a file."""
        story = "" if failed.digest in self.found else failed.story
        return {**asdict(failed), "story": story, "file": ""}

    def _find(self, failed: Failed, trace_hash: str) -> None:
        found = self.found.get(failed.digest)
        if found is not None:
            found.worlds += 1
            return
        key = violation_key(failed.violation)
        self._stories[key] += 1
        is_like_others = self._stories[key] > MOST_STORIES
        self.found[failed.digest] = Found(failed, key, trace_hash, 1, is_like_others)

    def _forget_file(self, failed: Failed) -> None:
        used = {found.small.digest for found in self.found.values() if found.small}
        if failed.digest not in used:
            (self.directory / FAILURES / file_name(failed)).unlink(missing_ok=True)

    def _write(self, failed: Failed) -> None:
        path = self.directory / FAILURES / file_name(failed)
        part = path.with_suffix(".part")
        part.write_text(failed.file or self._note(failed), encoding="utf-8")
        part.replace(path)

    def _note(self, failed: Failed) -> str:
        """Return what there is of a run that can not be replayed: how it is done again."""
        words = " ".join(self.source.words)
        again = f"python -m sim.campaign.batch --seeds {failed.seed}:{failed.seed + 1} {words}"
        note = {"violation": failed.violation, "seed": failed.seed, "again": again}
        return json.dumps(note, indent=1) + "\n"

    def _append(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def file_name(failed: Failed) -> str:
    """Return the name of a failure's file."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", failed.property).strip("-")[:40]
    return f"{slug}-{failed.digest}.json"


def _failed(data: dict[str, Any]) -> Failed:
    causes = data["causes"]
    return Failed(**{**data, "causes": tuple(causes) if causes else None})
