"""Trials drawn from a seed: a small rig, what is done with it, what goes wrong, and a schedule.

Each trial has its own subset of all that can be drawn, so that features that hide one another's
mistakes are apart in some trials (swarm testing: Groce et al., 2012).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sim.faults import KINDS, FaultPlan, Raise
from sim.faults.instruments import DeviceFault
from sim.faults.swarm import draw_faults, draw_storm
from sim.scenes import Scene, Stage, draw_scene, draw_script
from sim.world.plan import Action, Plan, Workload
from sim.world.probe import BAD_MESSAGES
from sim.world.schedules import Bits
from sim.world.world import Outcome, run_plan

STRATEGIES = ("fifo", "random", "pos", "pct(3)", "jitter")
# Most mistakes need no schedule of their own: a fault alone brings them out.
_PORTFOLIO = ("fifo", "fifo", "random", "random", "pos", "pct(3)", "jitter")
_MANAGERS = (
    "CameraManager", "VideoProcessorManager", "RecordingManager", "BeadLockManager",
    "ZLutManager", "ScriptManager",
)  # fmt: skip
_LENGTHS_S = (0.3, 0.3, 0.6, 1.0, 1.0, 2.0, 3.0, 4.0)
_RECORDED_S = (0.3, 0.6, 1.0, 2.0)  # a batch on disk costs more than its frames
_ROI = [0, 16, 0, 16]  # all that a frame has
_AFTER_STORM_S = (1.0, 3.0, 3.5)  # who is left in the lurch by then is found
_POLICIES = ("never", "auto", "ask")  # for a device that goes away
_DRIVERS = {"focus": "sim.focus", "magnet_height": "sim.magnet-height"}


@dataclass(frozen=True)
class Trial:
    """A run to be done.

    Attributes:
        seed: What it was drawn from.
        workload: The rig, and what is done with it.
        faults: What goes wrong.
        schedule: One of `STRATEGIES`.
    """

    seed: int
    workload: Workload
    faults: FaultPlan = field(default_factory=FaultPlan)
    schedule: str = "fifo"

    @property
    def plan(self) -> Plan:
        """The run without what its schedule will deviate."""
        return Plan(self.workload, self.faults)


def draw(seed: int, strategy: str = "portfolio") -> Trial:
    """Return the trial of a seed.

    Args:
        seed: Any whole number from 0.
        strategy: `portfolio`, one schedule's name, `happy` (nothing unusual is done or goes wrong),
            or `plain` (first-in-first-out, and faults alone).
    """
    bits = Bits(seed)
    rig, processes = _rig(bits)
    schedule = _one_of(bits, _PORTFOLIO)
    records = bits.below(4) == 0
    weather = bits.below(6)
    is_storm = weather > 3
    lengths_s = _RECORDED_S if records else _LENGTHS_S
    for_s = _one_of(bits, _AFTER_STORM_S if is_storm else lengths_s)
    left_out = (() if records else (_record,)) + ((_quit,) if is_storm else ())
    kinds = tuple(kind for kind in _KINDS if kind not in left_out)
    actions = _actions(bits, for_s, kinds)
    faults = FaultPlan()
    if is_storm:
        faults = draw_storm(bits, processes)
    elif weather:
        faults = draw_faults(bits, processes, None, for_s, kinds=_that_matter(processes, records))
    motors = tuple(name for name in processes if name in _DRIVERS)
    workers = tuple(name for name in processes if name.startswith("VideoWorker-"))
    stage = Stage(for_s, motors, workers, records)
    script = draw_script(bits, stage) if bits.below(6) == 0 else ""
    has_scene = not is_storm and bits.below(4) > 0
    scene = draw_scene(bits, stage) if has_scene else Scene()
    if strategy != "portfolio":
        schedule = strategy if strategy in STRATEGIES else "fifo"
    if strategy in ("happy", "plain"):
        actions, script, scene = (), "", Scene()
    if strategy == "happy":
        faults = FaultPlan()
    start_method = "spawn" if bits.below(4) == 0 else "fork"
    if any(isinstance(fault, (DeviceFault, Raise)) for fault in (*faults, *scene.faults)):
        policy = _one_of(bits, _POLICIES)
        rig = rig.replace("driver = ", f'reconnect = "{policy}"\ndriver = ')
        if policy == "ask":
            actions += _questions(bits, for_s, motors)
    workload = Workload(
        rig=rig,
        seed=seed,
        for_s=for_s,
        script=scene.script or script,
        actions=(*actions, *scene.actions),
        start_method=start_method,
        records=records,
    )
    return Trial(seed, workload, FaultPlan((*faults, *scene.faults)), schedule)


def run_trial(trial: Trial, *, keep_trace: bool = False, **options: Any) -> Outcome:
    """Run a trial; the options are those of `run_plan`."""
    return run_plan(trial.plan, schedule=trial.schedule, keep_trace=keep_trace, **options)


def _one_of(bits: Bits, choices: Sequence[Any]) -> Any:
    return choices[bits.below(len(choices))]


def _that_matter(processes: Sequence[str], records: bool) -> tuple[str, ...]:
    """Return the kinds of fault that can be felt by a system of these processes."""
    has_motors = any(name in _DRIVERS for name in processes)
    return tuple(
        kind
        for kind, cls in KINDS.items()
        if (records or not cls.default_site.startswith("file."))
        and (has_motors or not kind.startswith("motor-"))
    )


def _rig(bits: Bits) -> tuple[str, tuple[str, ...]]:
    """Return a rig file's text, and the names of the processes of its system."""
    workers = 1 + bits.below(3)
    motors = _one_of(bits, ((), (), ("focus",), ("focus", "magnet_height")))
    text = _rig_text(
        framerate_hz=_one_of(bits, (50, 100, 200)),
        n_images=_one_of(bits, (5, 5, 10, 20)),
        n_stacks=_one_of(bits, (2, 3, 5)),
        workers=workers,
        motors=motors,
        is_on=bits.below(16) > 0,
        offset_px=_one_of(bits, (0.0, 0.0, 5.0, -3.0)),
        mode=_one_of(bits, ("track", "track", "track-and-full-video", "full-video")),
        rows=_one_of(bits, (100, 100, 150, 1000)),
        file_bytes=_one_of(bits, (256_000_000, 256_000_000, 600_000, 1)),
        beads=_one_of(bits, (1, 1, 1, 1, 1, 2, 7)),
        tracker=_one_of(bits, ("read_truth", "read_truth", "read_truth_slowly")),
    )
    names = [f"VideoWorker-{n + 1}" for n in range(workers)]
    return text, ("MagScope", *_MANAGERS, *motors, *names, "Probe-1")


@lru_cache(maxsize=1024)
def _rig_text(
    *,
    framerate_hz: int,
    n_images: int,
    n_stacks: int,
    workers: int,
    motors: tuple[str, ...],
    is_on: bool,
    offset_px: float,
    mode: str,
    rows: int,
    file_bytes: int,
    beads: int,
    tracker: str,
) -> str:
    tables = "".join(f'[motors.{name}]\ndriver = "{_DRIVERS[name]}"\n' for name in motors)
    return f"""[camera]
driver = "sim.devices.truth:CountingCamera"
options = {{ framerate_hz = {framerate_hz}, offset_px = {offset_px} }}
[motors]
{tables}[beads]
rois = {[_ROI] * beads}
roi_px = 16
tracker = "sim.truth_tracker:{tracker}"
[acquisition]
on = {str(is_on).lower()}
mode = "{mode}"
[settings]
"video processors n" = {workers}
"video buffer n images" = {n_images}
"video buffer n stacks" = {n_stacks}
"tracks max datapoints" = {rows}
"tracks file max bytes" = {file_bytes}
"""


def _actions(bits: Bits, for_s: float, kinds: "Sequence[Draw]") -> tuple[Action, ...]:
    """Return what probes do: 0 to 6 things, of a few of these kinds; seldom a jam."""
    if bits.below(4) == 0:
        return ()
    if bits.below(100) == 0:
        return _jam(round(bits.below(1000) / 1000 * for_s, 3))
    kinds = [kind for kind in kinds if bits.below(2)] or [_one_of(bits, kinds)]
    actions = []
    for _ in range(1 + bits.below(6)):
        at_s = 0.0 if bits.below(6) == 0 else round(bits.below(1000) / 1000 * for_s * 1.2, 3)
        actions.append(_one_of(bits, kinds)(bits, at_s, f"Probe-{1 + bits.below(2)}"))
    return tuple(actions)


def _ping(bits: Bits, at_s: float, who: str) -> Action:
    to = _one_of(bits, ("Probe-1", "Probe-2", "Probe", "ManagerProcessBase"))
    meth = "set_acquisition_mode" if to == "ManagerProcessBase" else "hear"
    return Action(at_s, who, "send", to, meth, ("track",))


def _flood(bits: Bits, at_s: float, who: str) -> Action:
    count, size = _one_of(bits, ((10, 1), (300, 1), (100, 100), (30, 10_000), (12, 60_000)))
    to = _one_of(bits, ("Probe-1", "Probe-2"))
    return Action(at_s, who, "flood", to, "hear", (count, "x" * size))


def _jam(at_s: float) -> tuple[Action, ...]:
    """Somebody gets more messages than its queue holds while it reads none."""
    return (
        Action(at_s, "Probe-2", "stall", args=(2.5,)),
        Action(at_s, "Probe-1", "flood", "Probe-2", "hear", (11_000,)),
        Action(at_s, "Probe-1", "talk", "Probe-1", "hear", (0.25, 8)),
    )


def _talk(bits: Bits, at_s: float, who: str) -> Action:
    to = _one_of(bits, ("Probe-1", "Probe-2"))
    return Action(at_s, who, "talk", to, "hear", (_one_of(bits, (0.05, 0.2)), 10))


def _record(bits: Bits, at_s: float, who: str) -> Action:
    is_on = bool(bits.below(2))
    return Action(at_s, who, "send", "ManagerProcessBase", "set_acquisition_dir_on", (is_on,))


def _read(bits: Bits, at_s: float, who: str) -> Action:
    how = _one_of(bits, ("read", "read", "newest"))
    every_s = _one_of(bits, (0.1, 0.25, 0.5, 1.0))
    return Action(at_s, who, "read", "TracksBuffer", how, (every_s, 10))


def _look(bits: Bits, at_s: float, who: str) -> Action:  # noqa: ARG001 - as all draws
    return Action(at_s, "MagScope", "look", args=(_one_of(bits, (0.05, 0.25)),))


def _rois(bits: Bits, at_s: float, who: str) -> Action:
    rois = [_ROI] * _one_of(bits, (0, 1, 2, 7))
    return Action(at_s, who, "send", "ManagerProcessBase", "set_bead_rois", (rois,))


def _move(bits: Bits, at_s: float, who: str) -> Action:
    position = _one_of(bits, (0.0, 500.0, 20_000.0, 1e9))
    return Action(at_s, who, "send", "focus", "move_motor", ("focus", position))


def _order(bits: Bits, at_s: float, who: str) -> Action:
    motor = _one_of(bits, ("focus", "focus", "magnet_height"))
    meth, *args = _one_of(bits, _ORDERS)
    return Action(at_s, who, "send", motor, meth, (motor, *args))


def _questions(bits: Bits, for_s: float, motors: Sequence[str]) -> tuple[Action, ...]:
    """Return requests to look for devices that have gone."""
    at_s = [round(bits.below(1000) / 1000 * for_s, 3) for _ in range(2)]
    camera = (Action(s, "Probe-1", "send", "CameraManager", "reconnect_camera") for s in at_s)
    if not motors:
        return tuple(camera)
    asked = [_one_of(bits, motors) for _ in at_s]
    each = zip(at_s, asked, strict=True)
    return (*camera, *(Action(s, "Probe-1", "send", m, "reconnect_motor", (m,)) for s, m in each))


def _settings(bits: Bits, at_s: float, who: str) -> Action:
    settings = {"xy-lock default interval": _one_of(bits, (0.1, 1.0)), "magnification": 50}
    return Action(at_s, who, "send", "MagScope", "set_settings", (settings,))


def _lock(bits: Bits, at_s: float, who: str) -> Action:
    meth, *args = _one_of(bits, _LOCKS)
    return Action(at_s, who, "send", "BeadLockManager", meth, tuple(args))


def _switch(bits: Bits, at_s: float, who: str) -> Action:
    is_on = bool(bits.below(2))
    return Action(at_s, who, "send", "ManagerProcessBase", "set_acquisition_on", (is_on,))


def _mode(bits: Bits, at_s: float, who: str) -> Action:
    mode = _one_of(bits, ("track", "crop-video", "full-video", "track-and-crop-video"))
    return Action(at_s, who, "send", "ManagerProcessBase", "set_acquisition_mode", (mode,))


def _bad(bits: Bits, at_s: float, who: str) -> Action:
    if bits.below(3) == 0:
        return Action(at_s, who, "post", args=(_one_of(bits, _BAD_BYTES),))
    to = _one_of(bits, ("Probe-1", "Probe-2", "CameraManager", "Nobody", "ManagerProcessBase"))
    return Action(at_s, who, "send_bad", to, _one_of(bits, BAD_MESSAGES))


def _wrong(bits: Bits, at_s: float, who: str) -> Action:
    to, meth, args = _one_of(bits, _WRONG_CALLS)
    return Action(at_s, who, "send", to, meth, args)


def _stall(bits: Bits, at_s: float, who: str) -> Action:
    return Action(at_s, who, "stall", args=(_one_of(bits, (0.05, 0.5, 1.5)),))


def _quit(bits: Bits, at_s: float, who: str) -> Action:
    how = bits.below(4)
    if how == 0:
        return Action(at_s, who, "quit")
    if how == 1:
        return Action(at_s, "MagScope", "interrupt")
    to = "ManagerProcessBase" if how == 2 else _one_of(bits, (*_MANAGERS, "Probe-2", "MagScope"))
    return Action(at_s, who, "send", to, "quit")


Draw = Callable[[Bits, float, str], Action]
_KINDS: tuple[Draw, ...] = (
    _ping, _flood, _talk, _switch, _mode, _record, _move, _order, _settings, _lock, _bad, _wrong,
    _stall, _quit, _read, _look, _rois,
)  # fmt: skip
_ORDERS: tuple[tuple[Any, ...], ...] = (
    ("stop_motor",), ("home_motor",), ("move_motor_by", 100.0), ("move_motor_by", -5_000.0),
)  # fmt: skip
_LOCKS: tuple[tuple[Any, ...], ...] = (
    ("set_xy_lock_interval", 0.1), ("set_xy_lock_on", True), ("do_xy_lock",),
    ("set_z_lock_interval", 0.1), ("set_z_lock_on", True), ("set_z_lock_target", 50.0),
)  # fmt: skip
_BAD_BYTES = ("00", "ff" * 40, "4d61626309", "4d0a", "530a", "4c0a", "570a7b7d", "460a", "440a")
_WRONG_CALLS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("CameraManager", "set_acquisition_on", ()),
    ("CameraManager", "set_camera_setting", ("framerate_hz", "fast")),
    ("VideoProcessorManager", "set_acquisition_mode", ("no mode",)),
    ("VideoProcessorManager", "set_zlut", ("no such file.txt",)),
    ("ManagerProcessBase", "set_bead_rois", ([[0, 16, 0]],)),
    ("ScriptManager", "start_script", ()),
    ("ScriptManager", "terminate", ()),
    ("Probe-2", "fail", ()),
    ("MagScope", "set_settings", ({"magnification": "large"},)),
    ("MagScope", "fly", ()),
    ("Nobody", "hear", ()),
)
