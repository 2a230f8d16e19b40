"""Short runs of a small rig, whole or with a mistake in it."""

from sim.faults import FaultPlan
from sim.properties import ALL
from sim.world.plan import Action, Plan, Workload
from sim.world.world import run_plan

RIG = """[camera]
driver = "sim.devices.truth:TruthCamera"
{camera}
options = {{ n_tethered = 1, framerate_hz = {framerate_hz} }}
[motors]
{motors}
[beads]
rois = [[0, 16, 0, 16]]
roi_px = 16
tracker = "sim.truth_tracker:{tracker}"
[acquisition]
on = {on}
mode = "{mode}"
[settings]
"video processors n" = {workers}
"video buffer n images" = 5
"video buffer n stacks" = 3
"tracks max datapoints" = 100
"""
PINGS = tuple(
    Action(0.02 * n, f"Probe-{1 + n % 2}", "send", f"Probe-{2 - n % 2}", "hear", (n,))
    for n in range(1, 10)
)


def run(
    faults=(),
    actions=(),
    for_s=0.4,
    *,
    workers=2,
    motors="",
    on=True,
    records=False,
    framerate_hz=100,
    script="",
    mode="track",
    tracker="read_truth",
    camera="",
    **options,
):
    """Run the rig for so long, and return the outcome."""
    rig = RIG.format(
        framerate_hz=framerate_hz, motors=motors, on=str(on).lower(), workers=workers, mode=mode,
        tracker=tracker, camera=camera,
    )  # fmt: skip
    workload = Workload(
        rig=rig, for_s=for_s, actions=tuple(actions), records=records, script=script
    )
    return run_plan(
        Plan(workload, FaultPlan(tuple(faults))),
        **{"schedule": "fifo", "stop_at_violation": True, **options},
    )


def found(outcome):
    """Return the ids of what was violated."""
    return {violation.partition(":")[0] for violation in outcome.violations}


def property_class(name):
    """Return the property of this class name."""
    return next(cls for cls in ALL if cls.__name__ == name)
