"""What the tests share with the scripts beside them: the same modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def beside(name: str) -> ModuleType:
    """Return a module of this folder."""
    spec = importlib.util.spec_from_file_location(
        f"recording_{name}", Path(__file__).with_name(f"{name}.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def batches() -> ModuleType:
    """Return the module `batches`: batches whose values follow from their sequence."""
    return beside("batches")


@pytest.fixture(scope="session")
def world_recording() -> ModuleType:
    """Return the module `world_recording`: short recordings in worlds."""
    return beside("world_recording")


@pytest.fixture(scope="session")
def usual(world_recording):
    """Return a recording in which nothing goes wrong."""
    return world_recording.record()
