"""When two failures are the same: the same property, and the same story but for its numbers."""

import re
from collections.abc import Iterable
from hashlib import blake2b

from sim.world.story import story
from sim.world.trace import Step

_TELLING = ("fault.", "note.error", "note.warning", "process.kill", "process.terminate")
_NUMBERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+(?:[.,]\d+)*(?:e[+-]?\d+)?(?:st|nd|rd|th)?")
_PROPERTY = re.compile(r"[A-Z]\d+")
_TIME = re.compile(r"^\s*\d+\.\d+ s\s+")


def violation_key(violation: str) -> str:
    """Return a violation without its numbers; of a traceback, the first line and the last."""
    kind, colon, text = violation.strip().partition(":")
    lines = text.split("\n")
    ends = dict.fromkeys(filter(None, (_plain(lines[0]), _plain(lines[-1]))))
    kind = kind if _PROPERTY.fullmatch(kind) else _plain(kind)
    return f"{kind}{colon} " + " … ".join(ends)


def story_digest(violation: str, steps: Iterable[Step] = ()) -> str:
    """Return twelve hexadecimal digits that the same failures have in common.

    Of the trace only what tells of the cause counts: faults, errors, warnings, and who did not
    end well; not when, nor in which order, nor how often.

    Args:
        violation: What was violated.
        steps: The trace of the run.
    """
    telling = [step for step in steps if _is_telling(step)]
    lines = {_plain(_TIME.sub("", line)) for line in story(telling).splitlines()}
    text = "\n".join([violation_key(violation), *sorted(lines)])
    return blake2b(text.encode(), digest_size=6).hexdigest()


def _is_telling(step: Step) -> bool:
    return step.site.startswith(_TELLING) or (step.site == "process.end" and step.detail != "0")


def _plain(line: str) -> str:
    return " ".join(_NUMBERS.sub("#", line).split())
