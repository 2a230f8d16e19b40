"""Faults drawn at random, where a fault matters: each run has its own few kinds of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol

from sim.faults.base import EVERYBODY, Fault
from sim.faults.errors import ERRORS
from sim.faults.kinds import KINDS
from sim.faults.plan import FaultPlan

ROUTER, CAMERA, POOL, RECORDER = (
    "MagScope", "CameraManager", "VideoProcessorManager", "RecordingManager",
)  # fmt: skip
NO_MOTORS = (ROUTER, CAMERA, POOL, RECORDER, "BeadLockManager", "ZLutManager", "ScriptManager")

# Kinds that go together, each with how often it is drawn beside the others.
GROUPS: tuple[dict[str, int], ...] = (
    {"crash": 8},
    {"hang": 6, "delay": 3},
    {"raise": 6},
    {"drop": 1, "delay-message": 2, "duplicate": 1, "reorder": 1, "corrupt": 2, "oversize": 1},
    {"pipe-full": 3, "pipe-closed": 2, "slow-reader": 2},
    {"clock-jump": 1, "coarse-clock": 1, "late-timers": 2},
    {"memory-missing": 1, "stale-memory": 1},
    {
        "camera-drop": 2, "camera-late": 1, "camera-duplicate": 1, "camera-torn": 1,
        "camera-burst": 2, "camera-disconnect": 1, "camera-refuse": 1, "camera-timeout": 1,
        "camera-blocks": 1,
    },
    {
        "motor-stall": 1, "motor-overshoot": 1, "motor-limit": 1, "motor-lost-steps": 1,
        "motor-disconnect": 1, "motor-slow": 1, "motor-blocks": 1, "motor-stuck": 1,
    },
    {"disk-full": 2, "disk-read-only": 1, "slow-disk": 1, "fsync-fails": 1, "file-gone": 1,
     "torn-write": 3},
)  # fmt: skip
# What the pool has to get over again and again, each kind with how often it is drawn.
STORM: dict[str, int] = {
    "crash": 8, "hang": 6, "delay": 4, "raise": 5, "corrupt": 3, "pipe-closed": 1, "pipe-full": 2,
    "slow-reader": 1, "delay-message": 1,
}  # fmt: skip
# Where a death leaves something half done; the first ones are drawn more often.
WORKER_SITES = (
    "note.stack", "lock.acquire", "lock.release", "pipe.write", "wait", "memory.set",
    "pipe.read", "bell.ring", "value.get", "process.enter", "memory.attach",
)  # fmt: skip
SITES = (
    "lock.acquire", "value.set", "memory.set", "pipe.write", "lock.release", "bell.ring",
    "pipe.read", "wait", "value.get", "process.enter", "memory.attach", "pipe.close",
)  # fmt: skip
WORKER_CALLS = ("call.task", "call.task", "note.stack", "lock.acquire")
CALLS = ("call.setup", "call.do_main_loop", "call.shutdown", "call.quit")
MANAGER_STATES = ("RUNNING", "QUITTING", "DRAINING", "LEAVING", "STARTING")
FOR_S = (0.02, 0.1, 0.3, 1.0, 2.5)
STORM_S = 0.8
_COUNTS = (0, 1, 1, 1, 2, 2, 3, 4)
_NEVER_RAISES = ("lock.release", "pipe.close")  # nothing on a machine does that
_CHOICES: dict[str, tuple[Any, ...]] = {
    "error": tuple(ERRORS),
    "part": ("payload", "payload", "header", "length"),
    "bytes_per_s": (100.0, 1000.0, 20_000.0),
    "by_s": (-3600.0, -0.5, 0.5, 3600.0),
    "tick_s": (0.001, 0.016, 0.1),
    "late_s": (0.005, 0.05, 0.3),
    "lingers_s": (0.0, 0.0, 0.001, 0.02, 0.1),
    "frames": (1, 2, 20),
    "by": (-50.0, 100.0, 1000.0),
    "blocks": (1, 3),
    "owner": ("dead", "alive"),
}


class Chance(Protocol):
    """Where whole numbers come from."""

    def below(self, n: int) -> int:
        """Return a number from 0 to n - 1."""


def draw_faults(
    bits: Chance,
    processes: Sequence[str],
    sites: Mapping[str, Sequence[str]] | None,
    for_s: float,
    *,
    kinds: Collection[str] = tuple(KINDS),
) -> FaultPlan:
    """Return 0 to 4 faults of a few kinds.

    Args:
        bits: Chance.
        processes: The names of those that there are: managers, motors, workers, the router.
        sites: The sites that each process is known to come to; a few that matter if None.
        for_s: How long the system runs, in virtual seconds.
        kinds: What may be drawn at all.
    """
    weights: dict[str, int] = {}
    for group in GROUPS:
        if bits.below(2):
            weights |= {kind: n for kind, n in group.items() if kind in kinds and bits.below(4)}
    return _some(bits, _one_of(bits, _COUNTS) if weights else 0, weights, processes, sites, for_s)


def draw_storm(bits: Chance, processes: Sequence[str]) -> FaultPlan:
    """Return 1 to 5 faults of a few kinds, all soon, and all in the pool and those who come after.

    The session goes on after each of them, and so several are looked at in one run.
    """
    weights = {kind: n for kind, n in STORM.items() if bits.below(2)} or STORM
    workers = [name for name in processes if _is_worker(name)]
    later = [f"VideoWorker-{len(workers) + 1 + n}" for n in range(2)]
    pool = [*workers, *workers, *later, POOL, POOL]
    return _some(bits, 1 + bits.below(5), weights, pool, None, STORM_S)


def _some(
    bits: Chance,
    count: int,
    weights: Mapping[str, int],
    processes: Sequence[str],
    sites: Mapping[str, Sequence[str]] | None,
    for_s: float,
) -> FaultPlan:
    faults: dict[Fault, None] = {}
    for _ in range(count):
        kind = _weighted(bits, weights)
        if (fault := _fault(bits, kind, processes, sites or {}, for_s)) is not None:
            faults[fault] = None
    return FaultPlan(tuple(faults))


def _fault(
    bits: Chance,
    kind: str,
    processes: Sequence[str],
    sites: Mapping[str, Sequence[str]],
    for_s: float,
) -> Fault | None:
    cls = KINDS[kind]
    if kind == "stale-memory":
        return cls(**_values(bits, cls, ROUTER))
    suited = _suited(kind, processes)
    if not suited:
        return None
    process = _one_of(bits, suited)
    if cls.may_be_everybody and bits.below(2):
        return cls(EVERYBODY, at_s=_time(bits, for_s), **_values(bits, cls, EVERYBODY))
    usual = WORKER_SITES if _is_worker(process) else SITES
    trigger = _trigger(bits, cls, process, sites.get(process, usual), for_s)
    return cls(process, **trigger, **_values(bits, cls, process))


def _suited(kind: str, processes: Sequence[str]) -> list[str]:
    """Return the processes that this may happen to, some of them more than once."""
    if kind.startswith("camera-"):
        return [name for name in processes if name == CAMERA]
    if kind.startswith("motor-"):
        return [
            n for n in processes if n not in NO_MOTORS and not _is_worker(n) and n[:6] != "Probe-"
        ]
    if KINDS[kind].default_site.startswith("file."):
        return [name for name in processes if name in (RECORDER, ROUTER) or _is_worker(name)]
    pool = [name for name in processes if name == POOL or _is_worker(name)]
    return [*processes, CAMERA, *pool, *pool]


def _is_worker(name: str) -> bool:
    return name.startswith("VideoWorker-")


def _trigger(
    bits: Chance, cls: type[Fault], process: str, sites: Sequence[str], for_s: float
) -> dict[str, Any]:
    """Return a time, a site or a state."""
    if cls.kind == "raise" and _is_worker(process) and bits.below(2):
        return {"site": _one_of(bits, WORKER_CALLS), "hit": _count(bits, 3)}
    what = bits.below(8)
    if what < (1 if _is_worker(process) else 3):  # a worker mostly waits
        return {"at_s": _time(bits, for_s)}
    if cls.default_site:
        return {"site": cls.default_site, "hit": _count(bits, 7)}
    if what < 6:
        return _site(bits, cls, process, sites)
    return _state(bits, process)


def _site(bits: Chance, cls: type[Fault], process: str, sites: Sequence[str]) -> dict[str, Any]:
    if cls.kind == "raise" and bits.below(2):
        call = "call.task" if _is_worker(process) else _one_of(bits, CALLS)
        return {"site": call, "hit": 1 if call != "call.do_main_loop" else _count(bits, 6)}
    is_workers = _is_worker(process)
    if cls.kind in ("hang", "delay") and is_workers and "note.stack" in sites and not bits.below(3):
        return {"site": "note.stack", "hit": _count(bits, 3)}  # all else goes on meanwhile
    if cls.kind == "crash" and is_workers and "wait" in sites and bits.below(3) == 0:
        return {"site": "wait", "hit": 1 + _count(bits, 3)}  # its result is on its way
    likely = list(sites[:6])
    choices = [*sites, *likely, *likely]
    if cls.kind in ("hang", "delay") and not _is_worker(process) and bits.below(4) == 0:
        return {"site": "call.setup", "hit": 1}
    if cls.kind == "raise":
        choices = [site for site in choices if site not in _NEVER_RAISES] or ["wait"]
    return {"site": _one_of(bits, choices), "hit": _count(bits, 4 if _is_worker(process) else 7)}


def _state(bits: Chance, process: str) -> dict[str, Any]:
    states = [("flag RUNNING", 5), ("flag FINISHED", 5), ("flag READY", 5), ("holds lock", 6)]
    if _is_worker(process):
        states += [("worker busy", 4), ("worker tracking", 4)] * 2
    else:
        states.append(("session QUITTING", 0))
        if process != ROUTER:
            states += [(f"manager {state}", 0) for state in MANAGER_STATES]
    state, most = _one_of(bits, states)
    return {"state": state, "hit": _count(bits, most)}


def _time(bits: Chance, for_s: float) -> float:
    share = bits.below(1050) / 1000
    return 0.0 if bits.below(8) == 0 else round(share * share * for_s, 3)


def _count(bits: Chance, doublings: int) -> int:
    """Return a number from 1 up to a power of 2, small ones more often."""
    return 1 + bits.below(1 << bits.below(doublings + 1))


def _values(bits: Chance, cls: type[Fault], process: str) -> dict[str, Any]:
    """Return what else there is to say of a fault."""
    values = {
        each.name: _one_of(bits, _CHOICES[each.name])
        for each in fields(cls)
        if each.name in _CHOICES
    }
    for each in fields(cls):
        if each.name == "for_s":
            # A router that never runs again, and does not die, keeps everybody for ever.
            may_be_for_good = each.default is None and process != ROUTER
            # A worker that hangs for good is replaced, and the session goes on.
            one_in = 2 if _is_worker(process) else 5
            for_good = may_be_for_good and bits.below(one_in) == 0
            values["for_s"] = None if for_good else _one_of(bits, FOR_S)
    return values


def _one_of(bits: Chance, choices: Sequence[Any]) -> Any:
    return choices[bits.below(len(choices))]


def _weighted(bits: Chance, weights: Mapping[str, int]) -> str:
    left = bits.below(sum(weights.values()))
    for kind, weight in weights.items():
        left -= weight
        if left < 0:
            return kind
    raise AssertionError
