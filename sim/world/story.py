"""A trace told in a few lines: what went wrong, what it led to, how it ended."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sim.faults.base import ordinal
from sim.world.schedules import Deviation
from sim.world.trace import Step

LINES = 20
ROUTER = "MagScope"
_ROUND = ["RUNNING", "FINISHED", "READY"]
_FLAG = re.compile(r"(\w+) \(stack (\d+), worker \d+\)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

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
_TURNS = 3  # so many deviations are few


@dataclass
class _Event:
    """A step, or several that belong together: of several processes, or of the flag.

    Attributes:
        index: Of the first step, in the trace.
        names: Of the processes.
        flag: The states of the flag, one after the other.
        stacks: The stacks that went all the way.
        last_ns: When the last of them did.
    """

    index: int
    step: Step
    weight: int
    names: list[str] = field(default_factory=list)
    flag: list[str] = field(default_factory=list)
    stacks: list[int] = field(default_factory=list)
    last_ns: int = 0


def story(
    steps: Sequence[Step],
    violations: Sequence[str] = (),
    deviations: Sequence[Deviation] = (),
    *,
    lines: int = LINES,
) -> str:
    """Return the lines that matter most, in order, and what was violated.

    What several processes do in the same moment is one line, and so is what becomes of a stack in
    one, and of stacks of which each goes all the way. What is said of the same process twice, or
    repeated by the router, is told once; of what matters equally, what is nearest to a cause, or
    else to the end, is told. Violations that differ in numbers alone are told once.

    Args:
        steps: A whole trace.
        violations: What went wrong.
        deviations: Where the schedule let others go first; told if they are few.
        lines: How many lines at most, the violations included.
    """
    turns = _turns(steps, deviations) if len(deviations) <= _TURNS else []
    told = _in_rounds(_events(steps))
    if turns:
        told = sorted([*told, *turns], key=lambda event: event.index)
    endings = _endings(violations)
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
    seen, heard = set(), set()
    gone: set[str] = set()
    for index, step in enumerate(steps):
        weight = _weight(step)
        said = (step.process, step.site, step.object, step.detail)
        is_echo = step.process == ROUTER and (step.site, step.detail) in heard
        is_echo = is_echo or (step.detail == "quitting" and step.process in gone)
        if not weight or said in seen or is_echo:
            continue
        seen.add(said)
        heard.add((step.site, f"{step.process}: {step.detail}"))
        in_common, name = said, step.process
        if step.site in _VERBS:
            in_common, name = (step.process, step.site, "", ""), step.object
        elif step.site in ("note.state", "process.end") or _has_quit(step):
            if _has_quit(step):
                gone.add(step.process)
            in_common = ("", step.site, "", step.detail.removeprefix(step.process))
        event = events.setdefault((step.t_ns, *in_common), _Event(index, step, weight))
        event.names.append(name)
    return list(events.values())


def _turns(steps: Sequence[Step], deviations: Sequence[Deviation]) -> list[_Event]:
    """Return who went on where a schedule let another one go first."""
    wanted = {(d.process, d.site, d.hit) for d in deviations}
    hits: Counter[tuple[str, str]] = Counter()
    turns = []
    for index, step in enumerate(steps[:-1]):
        hits[step.process, step.site] += 1
        hit = hits[step.process, step.site]
        if (step.process, step.site, hit) in wanted:
            first = steps[index + 1].process
            what = f"goes on before {step.process} does its {ordinal(hit)} {step.site}"
            turn = Step(step.t_ns, first, "schedule", step.object, what)
            turns.append(_Event(index, turn, _CAUSE, [first]))
    return turns


def _has_quit(step: Step) -> bool:
    return step.site == "note.info" and step.detail == f"{step.process} has quit"


def _in_rounds(events: Iterable[_Event]) -> list[_Event]:
    """Put together what becomes of a stack in one moment, and stacks that go all the way."""
    told: list[_Event] = []
    for event in events:
        match = _FLAG.fullmatch(event.step.detail) if event.step.site == "note.flag" else None
        if match is None:
            told.append(event)
            continue
        state, stack, last = match[1], int(match[2]), told[-1] if told else None
        event.flag, event.last_ns = [state], event.step.t_ns
        if last is None or not last.flag or not _goes_on(last, event, stack):
            told.append(event)
            continue
        last.flag.append(state)
        last.names += event.names
        if last.flag == _ROUND:
            last.stacks = [stack]
            before = told[-2] if len(told) > 1 else None
            if before is not None and before.stacks and before.stacks[-1] == stack - 1:
                before.stacks.append(stack)
                before.last_ns = event.step.t_ns
                told.pop()
    return told


def _goes_on(last: _Event, event: _Event, stack: int) -> bool:
    """Whether the flag goes on with a stack, in the same moment."""
    match = _FLAG.fullmatch(last.step.detail)
    is_next = (
        len(last.flag) < len(_ROUND) and [*last.flag, *event.flag] == _ROUND[: len(last.flag) + 1]
    )
    return bool(match and int(match[2]) == stack and is_next and event.step.t_ns == last.last_ns)


def _weight(step: Step) -> int:
    if step.site.startswith("fault."):
        return _WEIGHT["fault"]
    if step.site == "process.end" and step.detail == "0":
        return 1
    return _WEIGHT.get(step.site, 0)


def _line(event: _Event) -> str:
    step = event.step
    who = step.process if step.site in _VERBS else _together(event.names)
    if len(event.flag) > 1:
        who = "the pool"
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
    if step.site == "schedule":
        return f"SCHEDULE: {step.detail}"
    if step.site == "interrupt":
        return "ACTION: Ctrl-C is pressed"
    if len(event.stacks) > 1:
        first, last = event.stacks[0], event.stacks[-1]
        until = f"until {event.last_ns / 1e9:.4f} s"
        return f"the flag goes all the way, to READY, for the stacks {first} to {last}, {until}"
    if len(event.flag) > 1:
        return f"the flag is {', '.join(event.flag)} {step.detail.partition(' ')[2]}"
    if _has_quit(step):
        return "has quit" if len(event.names) == 1 else "have quit"
    if step.site.startswith("note."):
        topic = step.site.removeprefix("note.")
        prefix = {"flag": "the flag is ", "state": "", "info": ""}.get(topic, f"{topic}: ")
        return prefix + step.detail
    if step.site == "process.end":
        code = f"with exit code {step.detail}"
        one, several = _ENDS.get(step.detail, (f"ends {code}", f"end {code}"))
        return one if len(event.names) == 1 else several
    return f"{_VERBS[step.site]} {_together(event.names)}"


def _endings(violations: Sequence[str]) -> list[str]:
    """Return a line for each kind of violation, three at most."""
    alike: dict[str, list[str]] = {}
    for violation in violations:
        alike.setdefault(_NUMBER.sub("#", violation), []).append(violation)
    return [_ending(first, len(others)) for first, *others in list(alike.values())[:3]]


def _ending(violation: str, others: int) -> str:
    first, *rest = violation.strip().split("\n")
    last = f" … {rest[-1].strip()}" if rest else ""
    more = f" (and {others} more like it)" if others else ""
    return f"{'':14}VIOLATED: {first}{last}{more}"
