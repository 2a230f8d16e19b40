"""What the harness has found stays mended: each failure file's plan no longer violates anything."""

from pathlib import Path

import pytest

from sim.world.plan import Failure
from sim.world.world import run_plan

FILES = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_was_found_once_does_not_happen_again(path):
    failure = Failure.load(path)
    assert failure.violation.startswith(path.stem.partition("-")[0] + ":")
    assert run_plan(failure.plan, keep_trace=False).violations == ()
