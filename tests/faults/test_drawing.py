from collections import Counter

import pytest
from fault_tools import CAMERA, ROUTER

from sim.faults import KINDS, FaultPlan, Hang, Raise
from sim.faults.swarm import GROUPS, STORM, STORM_S, draw_faults, draw_storm
from sim.world.schedules import Bits

PROCESSES = (
    "MagScope", "CameraManager", "VideoProcessorManager", "RecordingManager", "BeadLockManager",
    "ZLutManager", "ScriptManager", "focus", "VideoWorker-1", "VideoWorker-2", "Probe-1",
)  # fmt: skip


@pytest.fixture(scope="module")
def plans():
    return [draw_faults(Bits(seed), PROCESSES, None, 2.0) for seed in range(800)]


def test_the_same_chance_gives_the_same_plan(plans):
    again = [draw_faults(Bits(seed), PROCESSES, None, 2.0) for seed in range(50)]
    assert again == plans[:50]
    assert len({str(plan) for plan in plans}) > 500


def test_a_plan_has_at_most_four_faults_of_a_few_kinds_and_survives_its_file(plans):
    assert {len(plan) for plan in plans} == {0, 1, 2, 3, 4}
    assert all(FaultPlan.from_json(plan.to_json()) == plan for plan in plans)


def test_every_kind_and_every_sort_of_trigger_is_drawn(plans):
    faults = [fault for plan in plans for fault in plan]
    assert {fault.kind for fault in faults} == set(KINDS)
    assert sorted(kind for group in GROUPS for kind in group) == sorted(KINDS)
    triggers = Counter(
        "time" if f.at_s is not None else "site" if f.site else f.state for f in faults
    )
    assert triggers["time"] > 150
    assert triggers["site"] > 150
    assert triggers["flag RUNNING"] > 4
    assert triggers["holds lock"] > 4
    assert triggers["manager DRAINING"] > 0


def test_devices_faults_are_those_of_a_device_that_there_is(plans):
    for fault in (fault for plan in plans for fault in plan):
        if fault.kind.startswith("camera-"):
            assert fault.process == CAMERA
        if fault.kind.startswith("motor-"):
            assert fault.process == "focus"
    none = [draw_faults(Bits(seed), ("MagScope", "ZLutManager"), None, 1.0) for seed in range(300)]
    assert not [f for plan in none for f in plan if f.kind.startswith(("camera-", "motor-"))]


def test_the_router_never_hangs_for_good_and_no_lock_fails_to_be_given_back(plans):
    for fault in (fault for plan in plans for fault in plan):
        assert not (isinstance(fault, Hang) and fault.process == ROUTER and fault.for_s is None)
        assert not (isinstance(fault, Raise) and fault.site == "lock.release")


def test_sites_and_kinds_may_be_given():
    sites = dict.fromkeys(PROCESSES, ("here", "there"))
    drawn = [draw_faults(Bits(n), PROCESSES, sites, 1.0, kinds=("crash",)) for n in range(200)]
    faults = [fault for plan in drawn for fault in plan]
    assert {fault.kind for fault in faults} == {"crash"}
    assert {fault.site for fault in faults} == {"", "here", "there"}


def test_a_storm_comes_soon_over_the_pool_and_those_who_replace_its_workers():
    storms = [draw_storm(Bits(seed), PROCESSES) for seed in range(400)]
    faults = [fault for storm in storms for fault in storm]
    assert {len(storm) for storm in storms} == {1, 2, 3, 4, 5}
    assert {fault.kind for fault in faults} == set(STORM)
    assert all(fault.at_s is None or fault.at_s < 1.2 * STORM_S for fault in faults)
    struck = Counter(fault.process for fault in faults)
    assert set(struck) == {
        "VideoWorker-1", "VideoWorker-2", "VideoWorker-3", "VideoWorker-4",
        "VideoProcessorManager", "CameraManager",
    }  # fmt: skip
    assert struck["VideoWorker-1"] > struck["CameraManager"]
    assert FaultPlan.from_json(storms[0].to_json()) == storms[0]
