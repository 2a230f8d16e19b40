"""The seam between managers and their world, operation by operation, on both of its sides."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # spawned children find their tasks by module name

PARTS = ("conformance_pipes", "conformance_sync", "conformance_processes", "conformance_helper")
for part in PARTS:
    pytest.register_assert_rewrite(part)
SCENARIOS = {
    name: scenario
    for part in PARTS
    for name, scenario in vars(import_module(part)).items()
    if name.startswith(("that_", "only_forked_that_"))
}
over_os_processes = import_module("conformance_tools").over_os_processes
in_a_world = import_module("conformance_tools").in_a_world

# pytest-xdist's workers have threads, and Python 3.12 on warns of a fork beside them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS)
for_any_start = pytest.mark.parametrize(
    "scenario", [name for name in SCENARIOS if name.startswith("that_")]
)


@every_scenario
def test_the_operating_system_conforms(scenario):
    over_os_processes(SCENARIOS[scenario])


@every_scenario
def test_the_world_conforms(scenario):
    in_a_world(SCENARIOS[scenario])


@for_any_start
def test_the_world_conforms_where_children_are_spawned(scenario):
    in_a_world(SCENARIOS[scenario], start_method="spawn")


@every_scenario
@pytest.mark.parametrize("schedule", ["random", "pos", "pct", "jitter"])
def test_the_world_conforms_whatever_its_schedule(scenario, schedule):
    for seed in range(3):
        in_a_world(SCENARIOS[scenario], schedule=schedule, seed=seed)


@pytest.mark.parametrize(
    "scenario",
    [
        "that_an_end_has_its_end_of_file_though_younger_siblings_inherited_it",
        "that_a_daemon_ends_with_its_parent",
        "that_a_lock_whose_holder_was_killed_is_to_be_had",
        "that_a_singleton_is_one_in_each_process",
    ],
)
def test_the_operating_system_conforms_where_children_are_spawned(scenario):
    over_os_processes(SCENARIOS[scenario], start_method="spawn")
