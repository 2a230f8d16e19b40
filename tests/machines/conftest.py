import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def failures(tmp_path, monkeypatch):
    """Let failure files go into the test's own directory."""
    from sim.machines import base

    monkeypatch.setenv(base.OUT, str(tmp_path / "failures"))
    monkeypatch.setattr(base, "MOST_RUNS", 25)
    base.finds_of.cache_clear()
    return tmp_path / "failures"
