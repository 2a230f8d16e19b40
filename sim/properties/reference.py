"""What the handshake and the flag may do, as plain tables, for traces of any kind.

A trace here is what processes say by `Runtime.note`: topic and text, each by a process. A world
gives one, and so do processes of the operating system when somebody listens.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

ROUTER, CAMERA, VIDEO, WORKER = (
    "MagScope", "CameraManager", "VideoProcessorManager", "VideoWorker-",
)  # fmt: skip

FLAG_STATES = ("READY", "RUNNING", "FINISHED")
# From one state to another: who may, the owner's death aside.
FLAG = {
    ("READY", "RUNNING"): (VIDEO,),
    ("RUNNING", "FINISHED"): ("its owner",),
    ("FINISHED", "READY"): (CAMERA,),
}
# A manager's states: what it may say in each, and where that leads.
MANAGER = {
    "STARTING": {"running": "RUNNING", "quitting": "DRAINING", "failed": "DRAINING"},
    "RUNNING": {"quitting": "DRAINING", "failed": "DRAINING"},
    "DRAINING": {},
}
# The router's.
SESSION = {"SERVING": {"the session ends": "ENDING"}, "ENDING": {}}

_NOTED = re.compile(r"(\w+) \(stack (\d+), worker (\d+)\)")
_STATE_BITS, _OWNER_BITS = 2, 14


class Flag(NamedTuple):
    """The flag: its state, the worker that the stack belongs to, and the stack's number."""

    state: str
    owner: int
    epoch: int

    @classmethod
    def of(cls, word: int) -> "Flag":
        """Return the flag that a word stands for."""
        state = word & ((1 << _STATE_BITS) - 1)
        owner = word >> _STATE_BITS & ((1 << _OWNER_BITS) - 1)
        name = FLAG_STATES[state] if state < len(FLAG_STATES) else f"state {state}"
        return cls(name, owner, word >> (_STATE_BITS + _OWNER_BITS))

    @classmethod
    def noted(cls, text: str) -> "Flag":
        """Return the flag that a note tells of; raises ValueError if it tells of none."""
        match = _NOTED.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} does not tell of the flag")
        return cls(match[1], int(match[3]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.state} (stack {self.epoch}, worker {self.owner})"


def illegal(before: Flag, after: Flag, process: str, *, owner_is_alive: bool) -> str:
    """Return what is wrong with a change of the flag; "" if it may be.

    Args:
        before: The flag until now.
        after: The flag from now on.
        process: Who changes it.
        owner_is_alive: Whether the worker that owns the stack lives.
    """
    may: tuple[str, ...] | None = FLAG.get((before.state, after.state))
    if may is None:
        return f"it can not become {after.state} from {before.state}"
    owner = f"{WORKER}{before.owner}"
    if may == ("its owner",):
        may = (owner,) if owner_is_alive else (owner, VIDEO)
    if process not in may:
        return f"this is for {' or '.join(may)} to do"
    if after.state == "RUNNING":
        return "" if after.epoch == before.epoch + 1 else f"the next stack is {before.epoch + 1}"
    if after[1:] != before[1:]:
        return f"the stack is number {before.epoch}, of worker {before.owner}"
    return ""


class Said(NamedTuple):
    """What a process has said; or that it has ended: then the topic is `end`, and no text."""

    process: str
    topic: str
    text: str


def check(trace: Iterable[Said]) -> list[str]:
    """Run the machines over a trace, and return what they do not allow, in order."""
    problems: list[str] = []
    flag = Flag("READY", 0, 0)
    states: dict[str, str] = {}
    ended: set[str] = set()
    for said in trace:
        if said.topic == "end":
            ended.add(said.process)
            continue
        if said.process in ended:
            problems.append(f"{said.process} said {said.text!r} after its end")
        if said.topic == "flag":
            after = Flag.noted(said.text)
            alive = f"{WORKER}{flag.owner}" not in ended
            if wrong := illegal(flag, after, said.process, owner_is_alive=alive):
                problems.append(f"P1: {said.process} made the flag {after} from {flag}: {wrong}")
            flag = after
        elif said.topic == "state":
            table = SESSION if said.process == ROUTER else MANAGER
            state = states.get(said.process, next(iter(table)))
            if said.text not in table[state]:
                problems.append(f"S2: {said.process} said {said.text!r} when it was {state}")
            states[said.process] = table[state].get(said.text, state)
    return problems
