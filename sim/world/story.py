"""A trace told in a few lines: what went wrong, what it led to, how it ended."""

from collections.abc import Iterable, Sequence

from sim.world.trace import Step

LINES = 20

_WEIGHT = {
    "fault": 10,
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


def story(steps: Iterable[Step], violations: Sequence[str] = (), *, lines: int = LINES) -> str:
    """Return the lines that matter most, in order, and what was violated.

    What is said of the same process twice is told once; of what matters equally, what is nearest
    to a fault, or else to the end, is told.

    Args:
        steps: A whole trace.
        violations: What went wrong.
        lines: How many lines at most, the violations included.
    """
    told = [(i, step, weight) for i, step in enumerate(steps) if (weight := _weight(step))]
    told = _without_repeats(told)
    endings = [_ending(violation) for violation in violations[:3]]
    room = max(lines - len(endings), 1)
    if len(told) > room:
        anchors = [i for i, _, weight in told if weight == _WEIGHT["fault"]] or [told[-1][0]]
        ranked = sorted(told, key=lambda t: (-t[2], min(abs(t[0] - a) for a in anchors), t[0]))
        told = sorted(ranked[:room], key=lambda t: t[0])
    return "\n".join([*(_line(step) for _, step, _ in told), *endings])


def _weight(step: Step) -> int:
    if step.site.startswith("fault."):
        return _WEIGHT["fault"]
    if step.site == "process.end" and step.detail == "0":
        return 1
    return _WEIGHT.get(step.site, 0)


def _without_repeats(told: list[tuple[int, Step, int]]) -> list[tuple[int, Step, int]]:
    seen = set()
    kept = []
    for i, step, weight in told:
        said = (step.process, step.site, step.object, step.detail)
        if said not in seen:
            seen.add(said)
            kept.append((i, step, weight))
    return kept


def _line(step: Step) -> str:
    return f"{step.t_ns / 1e9:10.4f} s  {step.process:22}  {_words(step)}"


def _words(step: Step) -> str:
    if step.site.startswith("fault."):
        return f"FAULT: {step.detail}"
    if step.site.startswith("note."):
        topic = step.site.removeprefix("note.")
        prefix = {"flag": "the flag is ", "state": "", "info": ""}.get(topic, f"{topic}: ")
        return prefix + step.detail
    if step.site == "process.end":
        how = {"0": "ends", "-9": "is dead (SIGKILL)", "-15": "is dead (SIGTERM)"}
        return how.get(step.detail, f"ends with exit code {step.detail}")
    verb = step.site.removeprefix("process.")
    return {"kill": "kills", "terminate": "terminates", "start": "starts"}[verb] + f" {step.object}"


def _ending(violation: str) -> str:
    first, *rest = violation.strip().split("\n")
    last = f" … {rest[-1].strip()}" if rest else ""
    return f"{'':14}VIOLATED: {first}{last}"
