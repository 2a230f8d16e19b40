"""pytest's plugin for laboratories: their own managers and scripts in worlds, and in processes.

Nothing of the world is loaded before a test asks for it.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sim.faults import FaultPlan
    from sim.testing.systems import System
    from sim.testing.worlds import Worlds
    from sim.world.world import World

_WORLDS = pytest.StashKey["Worlds"]()
_MARKS = (
    "sim_seeds: run the test with many seeds, one after the other (--sim-seed, --sim-budget)",
    "in_both_worlds: run the test with its `system` in a world, and in processes",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("magscope-sim", "virtual worlds of magscope")
    options: dict[str, dict[str, Any]] = {
        "--sim-seed": {
            "type": int, "default": 0, "metavar": "N",
            "help": "the seed of worlds; of tests with many seeds, the first one (default: 0)",
        },
        "--sim-budget": {
            "type": _budget, "default": (20, None), "metavar": "N",
            "help": "how many seeds such a test has; or for how long, as in 30s (default: 20)",
        },
        "--sim-faults": {
            "type": Path, "metavar": "PLAN.json", "help": "what goes wrong in the tests' worlds",
        },
        "--sim-out": {
            "type": Path, "metavar": "DIR",
            "help": "where failure files go (default: pytest's cache)",
        },
        "--sim-hypothesis": {
            "metavar": "PROFILE",
            "help": "hypothesis' settings: dev, ci or nightly; else the environment's "
                    "MAGSCOPE_HYPOTHESIS",
        },
    }  # fmt: skip
    for name, option in options.items():
        group.addoption(name, **option)


def _budget(text: str) -> tuple[int | None, float | None]:
    """Return the number of seeds, or the seconds, of `--sim-budget`; raises ValueError."""
    if text.endswith("s"):
        return None, float(text[:-1])
    return int(text), None


def pytest_configure(config: pytest.Config) -> None:
    """Describe the marks, and load hypothesis' profile if one is asked for."""
    for mark in _MARKS:
        config.addinivalue_line("markers", mark)
    if config.getoption("--sim-out") is not None:
        os.environ["MAGSCOPE_SIM_OUT"] = str(config.getoption("--sim-out").absolute())
    profile = config.getoption("--sim-hypothesis") or os.environ.get("MAGSCOPE_HYPOTHESIS")
    if profile:
        try:
            from sim.machines.profiles import load

            load(profile)
        except (ImportError, ValueError) as error:
            raise pytest.UsageError(f"--sim-hypothesis {profile}: {error}") from error


@pytest.fixture
def rig() -> Any:
    """Return the rig of the test's worlds; override it with a rig file's text or path."""
    from sim.testing.rigs import SMALL_RIG

    return SMALL_RIG


@pytest.fixture
def fault_plan(request: pytest.FixtureRequest) -> "FaultPlan":
    """Return what goes wrong in the test's worlds: the file of `--sim-faults`, or nothing."""
    from sim.faults import FaultPlan

    path = request.config.getoption("--sim-faults")
    return FaultPlan() if path is None else FaultPlan.load(path)


@pytest.fixture
def sim_seed(request: pytest.FixtureRequest) -> int:
    """Return the seed of the test's worlds."""
    return int(request.config.getoption("--sim-seed"))


@pytest.fixture
def world(
    request: pytest.FixtureRequest, rig: Any, fault_plan: "FaultPlan", sim_seed: int
) -> "Callable[..., World]":
    """Return a function that makes a world: `world(rig=None, **options)`, options of `World`.

    A test in one of whose worlds a property does not hold fails, whatever else it asserts.
    """
    return _worlds(request, rig, fault_plan, sim_seed).make


def _worlds(request: pytest.FixtureRequest, rig: Any, faults: Any, seed: int) -> "Worlds":
    from sim.testing.worlds import Worlds

    item = request.node
    if _WORLDS not in item.stash:
        directory = request.config.getoption("--sim-out")
        if directory is None:
            directory = request.config.cache.mkdir("magscope-sim")
        directory.mkdir(parents=True, exist_ok=True)
        is_many = item.get_closest_marker("sim_seeds") is not None
        command = f"python -m pytest '{item.nodeid}'{' --sim-budget 1' * is_many}"
        item.stash[_WORLDS] = Worlds(rig, faults, seed, directory, item.nodeid, command)
    return item.stash[_WORLDS]


@pytest.fixture
def system(
    request: pytest.FixtureRequest, rig: Any, fault_plan: "FaultPlan", sim_seed: int
) -> "Iterator[System]":
    """Return a system: `start`, `wait_for` a condition, `send` a message, `stop`.

    It is in a world; with the mark `in_both_worlds` the test is run twice, the second time with a
    system in processes.
    """
    from sim.testing.systems import ProcessSystem, WorldSystem

    if getattr(request, "param", "world") == "world":
        yield WorldSystem(_worlds(request, rig, fault_plan, sim_seed).make)
        return
    from magscope.rig import RigFile, load_rig, read_rig

    read = read_rig(rig, Path.cwd() / "rig.toml") if isinstance(rig, str) else rig
    in_processes = ProcessSystem(read if isinstance(read, RigFile) else load_rig(read), sim_seed)
    yield in_processes
    in_processes.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that are marked so in both worlds."""
    is_marked = metafunc.definition.get_closest_marker("in_both_worlds") is not None
    if is_marked and "system" in metafunc.fixturenames:
        metafunc.parametrize("system", ["world", "processes"], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run a test, with many seeds if it is marked so, and look at its worlds at its end."""
    __tracebackhide__ = True
    is_many = pyfuncitem.get_closest_marker("sim_seeds") is not None
    worlds = pyfuncitem.stash.get(_WORLDS, None)
    if worlds is None:
        if is_many:
            pytest.fail("a test with the mark sim_seeds needs the fixture `world` or `system`")
        return None
    names = [name for name in signature(pyfuncitem.obj).parameters if name in pyfuncitem.funcargs]
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    if not is_many:
        pyfuncitem.obj(**arguments)
        worlds.check()
        return True
    for seed in _seeds(pyfuncitem.config):
        worlds.forget()
        worlds.seed = seed
        if "sim_seed" in arguments:
            arguments["sim_seed"] = seed
        try:
            pyfuncitem.obj(**arguments)
            worlds.check()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    return True


def _seeds(config: pytest.Config) -> Iterator[int]:
    count, seconds = config.getoption("--sim-budget")
    first = int(config.getoption("--sim-seed"))
    if count is not None:
        yield from range(first, first + count)
        return
    deadline_s = time.monotonic() + seconds
    seed = first
    while seed == first or time.monotonic() < deadline_s:
        yield seed
        seed += 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the story, and the command that runs it again, to the report of a test that failed."""
    report = yield
    worlds = item.stash.get(_WORLDS, None)
    if worlds is not None and call.when == "call" and report.failed:
        try:
            text = worlds.tell()
        except Exception as error:  # the test's own failure is what must be seen
            text = f"there is no story: {error!r}"
        if text:
            report.sections.append(("virtual world", text))
    return report
