import multiprocessing
import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
sys.path.append(HERE)


@pytest.fixture(autouse=True)
def standins_everywhere(monkeypatch, tmp_path):
    """Let the processes that a test starts find its stand-ins."""
    paths = [HERE, *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("STANDIN_DIR", str(tmp_path))


@pytest.fixture(autouse=True)
def code_that_does_not_change(monkeypatch):
    """Let somebody edit the code while the tests run."""
    for module in ("book", "cluster"):
        monkeypatch.setattr(f"sim.campaign.{module}.code_fingerprint", lambda: "")


@pytest.fixture(autouse=True)
def nothing_runs_on():
    """End the processes of an engine that a test has made fail on purpose."""
    yield
    for process in multiprocessing.active_children():
        process.kill()
        process.join(20)
