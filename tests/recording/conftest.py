"""Batches and their reader for the tests; the scripts beside them import the same module."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def batches() -> ModuleType:
    """Return the module `batches` of this folder."""
    spec = importlib.util.spec_from_file_location(
        "recording_batches", Path(__file__).with_name("batches.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
