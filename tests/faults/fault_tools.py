"""A small rig, faults of every kind, and what is asked of a run in which one strikes."""

import math
from dataclasses import fields

from hypothesis import strategies as st

import sim
from sim.faults import KINDS, STATES
from sim.faults.base import EVERYBODY

CAMERA, POOL, WORKER, RECORDER, ROUTER = (
    "CameraManager", "VideoProcessorManager", "VideoWorker-1", "RecordingManager", "MagScope",
)  # fmt: skip
RIG = """
[camera]
driver = "sim.devices.truth:TruthCamera"
options = { framerate_hz = 100 }
[motors.focus]
driver = "sim.focus"
[beads]
roi_px = 16
rois = [[0, 16, 0, 16]]
tracker = "sim.truth_tracker:read_truth"
[settings]
"video processors n" = 1
"video buffer n images" = 10
"tracks max datapoints" = 1000
"""


def run(rig, *faults, for_s=0.5, violates=False, **options):
    """Run a world in which these faults strike, and see that it ends as it should."""
    outcome = sim.run(rig, seed=1, for_s=for_s, faults=faults, **options)
    assert outcome.struck == faults
    sites = [step.site for step in outcome.trace.steps]
    assert all(f"fault.{fault.kind}" in sites for fault in faults)
    assert bool(outcome.violations) == violates, outcome.violations
    return outcome


def ended(outcome):
    """Return how each process ended."""
    return {process.name: process.outcome for process in outcome.report.processes}


def steps(outcome, site, process=None):
    """Return the steps at a site."""
    return [s for s in outcome.trace.steps if s.site == site and process in (None, s.process)]


def seconds_of(outcome, site, process=None):
    """Return when a site was come to."""
    return [step.t_ns / 1e9 for step in steps(outcome, site, process)]


@st.composite
def any_fault(draw, kinds=tuple(KINDS)):
    """Draw a fault of any kind, with any trigger and any values."""
    cls = KINDS[draw(st.sampled_from(kinds))]
    values = {
        each.name: draw(_value(each))
        for each in fields(cls)
        if each.name not in ("process", "at_s", "site", "hit", "state") and draw(st.booleans())
    }
    if cls.kind == "stale-memory":
        return cls(**values)
    triggers = [
        st.fixed_dictionaries({"at_s": st.floats(0, 1e5)}),
        st.fixed_dictionaries({"site": st.sampled_from(("wait", "a.b")), "hit": st.integers(1)}),
        st.fixed_dictionaries({"state": st.sampled_from(list(STATES)), "hit": st.integers(1)}),
    ]
    triggers += [st.fixed_dictionaries({"hit": st.integers(1)})] if cls.default_site else []
    values |= draw(st.one_of(triggers))
    is_all = cls.may_be_everybody and "at_s" in values and draw(st.booleans())
    return cls(EVERYBODY if is_all else draw(st.sampled_from((CAMERA, WORKER, "x"))), **values)


def _value(each):
    if choices := each.metadata.get("choices"):
        return st.sampled_from(choices)
    if each.type is int:
        return st.integers(each.metadata["least"], 10**5)
    least = max(each.metadata["least"], -1e5)
    above = each.metadata["above"]
    number = st.floats(max(least, above, -1e5), 1e5, exclude_min=math.isfinite(above))
    return number | st.none() if each.type == float | None else number
