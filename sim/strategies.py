"""Hypothesis strategies: what is sent, what goes wrong, which rig, and whole plans of runs.

Everything is drawn sparsely: a few things that happen, and never each scheduling decision. What is
drawn first is simplest, so that a failing example shrinks towards one worker, no motor, FIFO, and
nothing going wrong.
"""

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from magscope.utils import AcquisitionMode
from sim.faults import KINDS, STATES, Fault, FaultPlan
from sim.testing.rigs import RIG
from sim.world.plan import ROUTER, Action, Plan, Workload
from sim.world.probe import BAD_MESSAGES

PROBES = ("Probe-1", "Probe-2")
MANAGERS = (
    "CameraManager", "VideoProcessorManager", "RecordingManager", "BeadLockManager", "ZLutManager",
    "ScriptManager",
)  # fmt: skip
# Where a process can be struck: operations that every run comes to.
SITES = ("pipe.write", "pipe.read", "lock.acquire", "lock.release", "value.set", "wait")
# What a process does, as kinds of fault that a system must go through without a word.
DEATHS = ("crash", "hang", "delay")
_MOTORS = {
    "focus": "sim.focus",
    "magnet_height": "sim.magnet-height",
    "magnet_rotation": "sim.magnet-rotation",
}


def times(until_s: float) -> st.SearchStrategy[float]:
    """Virtual seconds from 0, in whole ms."""
    return st.integers(0, round(until_s * 1000)).map(lambda ms: ms / 1000)


@st.composite
def rigs(draw: st.DrawFn, *, motors: bool = True) -> str:
    """Draw the text of a small rig file: a camera that sends the truth, few workers, no big frames.

    Args:
        draw: Hypothesis' own.
        motors: Whether there may be any.
    """
    names = draw(st.lists(st.sampled_from(sorted(_MOTORS)), unique=True, max_size=2 * motors))
    return RIG.format(
        framerate_hz=draw(st.sampled_from((50, 100, 200))),
        motors="".join(f'[motors.{name}]\ndriver = "{_MOTORS[name]}"\n' for name in sorted(names)),
        on="true" if draw(st.integers(0, 7)) < 7 else "false",
        workers=draw(st.integers(1, 3)),
        n_images=draw(st.sampled_from((5, 10, 20))),
        n_stacks=draw(st.sampled_from((3, 2, 5))),
    )


def processes_of(rig: str) -> tuple[str, ...]:
    """Return the names of the processes of one of `rigs`, without probes: the router first."""
    workers = int(rig.partition('"video processors n" = ')[2].partition("\n")[0])
    motors = [name for name in sorted(_MOTORS) if f"[motors.{name}]" in rig]
    return (ROUTER, *MANAGERS, *motors, *(f"VideoWorker-{n + 1}" for n in range(workers)))


def messages(probes: Sequence[str] = PROBES, *, until_s: float = 1.0) -> st.SearchStrategy[Action]:
    """Messages that are as they should be: to a probe, to all, to the managers."""
    who, when = st.sampled_from(probes), times(until_s)
    send = st.just("send")
    hear = st.sampled_from((*probes, "Probe"))
    payload = st.tuples(st.one_of(st.integers(), st.text(max_size=20), st.binary(max_size=20)
                                  .map(bytes.hex)))  # fmt: skip
    every = st.just("ManagerProcessBase")
    modes = st.sampled_from([str(mode) for mode in AcquisitionMode])
    return st.one_of(
        st.builds(Action, when, who, send, hear, st.just("hear"), payload),
        st.builds(
            Action, when, who, st.just("flood"), hear, st.just("hear"),
            st.tuples(st.sampled_from((10, 100, 300)), st.sampled_from(("", "x" * 1000))),
        ),
        st.builds(Action, when, who, send, every, st.just("set_acquisition_on"),
                  st.tuples(st.booleans())),
        st.builds(Action, when, who, send, every, st.just("set_acquisition_mode"),
                  st.tuples(modes)),
        st.builds(Action, when, who, st.just("stall"),
                  args=st.tuples(st.sampled_from((0.05, 0.5, 1.5)))),
    )  # fmt: skip


def hostile_bytes() -> st.SearchStrategy[bytes]:
    """Frames that are none: noise, and every beginning of a frame without its rest."""
    kinds = st.sampled_from([b"M", b"S", b"L", b"D", b"W", b"F", b"Z", b"\xff"])
    header = st.sampled_from([b"", b"\t", b"x", b"a\tb\tc\tx\t0", b"\xff\xfe", b"-1\tx"])
    tail = st.sampled_from([b"\n", b"", b"\n\x80", b"\n{}", b"\n" + b"\x00" * 40])
    torn = st.tuples(kinds, header, tail).map(b"".join)
    return st.one_of(torn, st.binary(max_size=40)).filter(lambda raw: not _is_message(raw))


def _is_message(raw: bytes) -> bool:
    """Whether it could be taken for a message: then it is not hostile, but forged."""
    fields_ = raw.partition(b"\n")[0][1:].split(b"\t")
    return raw[:1] == b"M" and len(fields_) == 5 and fields_[3].strip(b"-").isdigit()


def hostile(probes: Sequence[str] = PROBES, *, until_s: float = 1.0) -> st.SearchStrategy[Action]:
    """What a manager with a mistake does: bad messages, noise in the pipe, wrong arguments."""
    who, when = st.sampled_from(probes), times(until_s)
    to = st.sampled_from((*probes, "CameraManager", "Nobody", "ManagerProcessBase"))
    return st.one_of(
        st.builds(Action, when, who, st.just("send_bad"), to, st.sampled_from(BAD_MESSAGES)),
        st.builds(Action, when, who, st.just("post"),
                  args=hostile_bytes().map(lambda raw: (raw.hex(),))),
        st.builds(lambda at_s, by, call: Action(at_s, by, "send", *call), when, who,
                  st.sampled_from(WRONG_CALLS)),
    )  # fmt: skip


WRONG_CALLS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("Nobody", "hear", ()),
    ("Probe-2", "no_such_method", ()),
    ("Probe-2", "terminate", ()),
    ("Probe-2", "_wait", ()),
    ("Probe-2", "fail", ()),
    ("CameraManager", "set_acquisition_on", ()),
    ("CameraManager", "set_camera_setting", ("framerate_hz", "fast")),
    ("VideoProcessorManager", "set_acquisition_mode", ("no mode",)),
    ("VideoProcessorManager", "set_zlut", ("no such file.txt",)),
    ("ManagerProcessBase", "set_bead_rois", ([[0, 16, 0]],)),
    ("ScriptManager", "start_script", ()),
    ("MagScope", "set_settings", ({"magnification": "large"},)),
    ("MagScope", "fly", ()),
)


def ends(probes: Sequence[str] = PROBES, *, until_s: float = 1.0) -> st.SearchStrategy[Action]:
    """Ways to end a session: somebody quits, is told to, all are told to, Ctrl-C."""
    who, when = st.sampled_from(probes), times(until_s)
    to = st.sampled_from((*MANAGERS, *probes, ROUTER, "ManagerProcessBase"))
    return st.one_of(
        st.builds(Action, when, who, st.just("quit")),
        st.builds(Action, when, st.just(ROUTER), st.just("interrupt")),
        st.builds(Action, when, who, st.just("send"), to, st.just("quit")),
    )


def faults(
    processes: Sequence[str], kinds: Sequence[str] = DEATHS, *, until_s: float = 1.0
) -> st.SearchStrategy[Fault]:
    """Faults of some kinds, each at a time, at a site, or in a state.

    Args:
        processes: Whom they strike.
        kinds: Names of kinds, as `sim.faults.KINDS` has them.
        until_s: When the last one strikes, of those that have a time.
    """
    return _faults(tuple(processes), tuple(kinds), until_s)


@lru_cache(maxsize=256)  # each is made of dozens of others
def _faults(
    processes: tuple[str, ...], kinds: tuple[str, ...], until_s: float
) -> st.SearchStrategy[Fault]:
    return st.one_of([_fault(KINDS[kind], processes, until_s) for kind in kinds])


def _fault(cls: type[Fault], processes: Sequence[str], until_s: float) -> st.SearchStrategy[Fault]:
    at_time = st.fixed_dictionaries({"at_s": times(until_s)})
    at_site = st.fixed_dictionaries({"site": st.sampled_from(SITES), "hit": st.integers(1, 60)})
    in_state = st.fixed_dictionaries({"state": st.sampled_from(sorted(STATES)),
                                      "hit": st.integers(1, 4)})  # fmt: skip
    at_own = st.fixed_dictionaries({"hit": st.integers(1, 60)})
    triggers = [at_time, in_state, at_own if cls.default_site else at_site]
    if any(f.name == "at_s" and f.default is not None for f in fields(cls)):
        triggers = [st.just({})]  # it has a time of its own
    more = {f.name: _values(f) for f in fields(cls) if f.name not in _TRIGGER}
    return st.builds(
        lambda process, when, rest: cls(process, **when, **rest),
        st.sampled_from(processes), st.one_of(triggers), st.fixed_dictionaries(more),
    )  # fmt: skip


_TRIGGER = ("process", "at_s", "site", "hit", "state")


def _values(field: Any) -> st.SearchStrategy[Any]:
    """Values that a fault's own field may have, its default first."""
    if choices := field.metadata.get("choices"):
        return st.sampled_from(choices)
    if field.type in (int, "int"):
        return st.sampled_from((field.default, 1, 3, 10))
    if field.name == "for_s":
        return st.sampled_from((0.3, 0.05, 1.0, 3.0))
    return st.just(field.default)


def fault_plans(
    processes: Sequence[str],
    kinds: Sequence[str] = DEATHS,
    *,
    until_s: float = 1.0,
    most: int = 3,
) -> st.SearchStrategy[FaultPlan]:
    """Sparse plans: nothing, or a few faults of some kinds."""
    few = st.lists(faults(processes, kinds, until_s=until_s), max_size=most, unique=True)
    return few.map(lambda drawn: FaultPlan(tuple(drawn)))


@st.composite
def scripts(draw: st.DrawFn, *, motors: Sequence[str] = ()) -> str:
    """Draw the text of a script: a few steps that every rig, or one with these motors, can do."""
    waits = st.integers(1, 300).map(lambda ms: f'script("sleep", {ms / 1000})')
    modes = st.sampled_from([str(mode) for mode in AcquisitionMode])
    steps = [
        waits,
        st.booleans().map(lambda on: f'script("set_acquisition_on", {on})'),
        modes.map(lambda mode: f'script("set_acquisition_mode", "{mode}")'),
        st.booleans().map(lambda on: f'script("set_xy_lock_on", {on})'),
        st.integers(1, 20).map(lambda px: f'script("set_xy_lock_max", {px})'),
    ]
    if motors:
        moves = st.tuples(st.sampled_from(motors), st.integers(-200, 200))
        steps.append(moves.map(lambda m: f'script("move_motor_by", "{m[0]}", {m[1]}, wait=True)'))
    lines = draw(st.lists(st.one_of(steps), min_size=1, max_size=6))
    return "\n".join(["from magscope.scripting import Script", "script = Script()", *lines, ""])


@st.composite
def plans(
    draw: st.DrawFn, *, kinds: Sequence[str] = DEATHS, for_s: float = 1.0, most: int = 3
) -> Plan:
    """Draw a whole run: a rig, what is done in it, what goes wrong.

    Args:
        draw: Hypothesis' own.
        kinds: The kinds of fault that there may be.
        for_s: When the session ends, in virtual seconds.
        most: How many faults at most, and twice as many actions.
    """
    rig = draw(rigs())
    one = st.one_of(messages(until_s=for_s), hostile(until_s=for_s), ends(until_s=for_s))
    actions = draw(st.lists(one, max_size=2 * most))
    struck = (*processes_of(rig), "Probe-1")
    workload = Workload(
        rig=rig,
        seed=draw(st.integers(0, 2**16)),
        for_s=for_s,
        actions=tuple(sorted(actions, key=lambda action: action.at_s)),
        start_method=draw(st.sampled_from(("fork", "spawn"))),
    )
    return Plan(workload, draw(fault_plans(struck, kinds, until_s=for_s, most=most)))
