"""A trace told in a few lines: what went wrong, what it led to, how it ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sim.world.trace import Step

LINES = 20

_WEIGHT = {
    "fault": 10,
    "note.does": 10,
    "interrupt": 10,
    "note.error": 8,
    "process.kill": 7,
    "process.terminate": 7,
    "process.end": 6,
    "note.warning": 5,
    "note.state": 4,
    "note.flag": 2,
    "note.info": 2,
    "process.start": 1,
}
_CAUSE = 10
_VERBS = {"process.kill": "kills", "process.terminate": "terminates", "process.start": "starts"}
_ENDS = {
    "0": ("ends", "end"),
    "-9": ("is dead (SIGKILL)", "are dead (SIGKILL)"),
    "-15": ("is dead (SIGTERM)", "are dead (SIGTERM)"),
}
_NAMED = 3  # so many names stand in a line


@dataclass
class _Event:
    """A step, or several that say the same of several processes at the same moment."""

    index: int
    step: Step
    weight: int
    names: list[str] = field(default_factory=list)


def story(steps: Iterable[Step], violations: Sequence[str] = (), *, lines: int = LINES) -> str:
    """Return the lines that matter most, in order, and what was violated.

    What several processes do in the same moment is one line. What is said of the same process twice
    is told once; of what matters equally, what is nearest to a cause, or else to the end, is told.

    Args:
        steps: A whole trace.
        violations: What went wrong.
        lines: How many lines at most, the violations included.
    """
    told = _events(steps)
    endings = [_ending(violation) for violation in violations[:3]]
    room = max(lines - len(endings), 1)
    if len(told) > room:
        anchors = [event.index for event in told if event.weight == _CAUSE] or [told[-1].index]
        ranked = sorted(
            told, key=lambda e: (-e.weight, min(abs(e.index - a) for a in anchors), e.index)
        )
        told = sorted(ranked[:room], key=lambda event: event.index)
    return "\n".join([*map(_line, told), *endings])


def _events(steps: Iterable[Step]) -> list[_Event]:
    """Return what is worth telling, each thing once, with what belongs together put together."""
    events: dict[tuple, _Event] = {}
    seen = set()
    for index, step in enumerate(steps):
        weight = _weight(step)
        said = (step.process, step.site, step.object, step.detail)
        if not weight or said in seen:
            continue
        seen.add(said)
        in_common, name = said, step.process
        if step.site in _VERBS:
            in_common, name = (step.process, step.site, "", ""), step.object
        elif step.site in ("note.state", "process.end"):
            in_common = ("", step.site, "", step.detail)
        event = events.setdefault((step.t_ns, *in_common), _Event(index, step, weight))
        event.names.append(name)
    return list(events.values())


def _weight(step: Step) -> int:
    if step.site.startswith("fault."):
        return _WEIGHT["fault"]
    if step.site == "process.end" and step.detail == "0":
        return 1
    return _WEIGHT.get(step.site, 0)


def _line(event: _Event) -> str:
    step = event.step
    who = step.process if step.site in _VERBS else _together(event.names)
    return f"{step.t_ns / 1e9:10.4f} s  {who:22}  {_words(event)}"


def _together(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"


def _words(event: _Event) -> str:
    step = event.step
    if step.site.startswith("fault."):
        return f"FAULT: {step.detail}"
    if step.site == "note.does":
        return f"ACTION: {step.detail.partition(': ')[2]}"
    if step.site == "interrupt":
        return "ACTION: Ctrl-C is pressed"
    if step.site.startswith("note."):
        topic = step.site.removeprefix("note.")
        prefix = {"flag": "the flag is ", "state": "", "info": ""}.get(topic, f"{topic}: ")
        return prefix + step.detail
    if step.site == "process.end":
        one, several = _ENDS.get(step.detail, (f"ends with exit code {step.detail}",) * 2)
        return one if len(event.names) == 1 else several
    return f"{_VERBS[step.site]} {_together(event.names)}"


def _ending(violation: str) -> str:
    first, *rest = violation.strip().split("\n")
    last = f" … {rest[-1].strip()}" if rest else ""
    return f"{'':14}VIOLATED: {first}{last}"
