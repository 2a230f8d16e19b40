"""The focus sweep that makes a Z-LUT, where something stands in its way."""

import numpy as np
import pytest

from magscope.zlutsweep import Sweep, ZLutManager


@pytest.fixture
def manager(monkeypatch):
    """Return a manager whose sweep has all its profiles, and what the sweep ended of."""
    found = ZLutManager()
    planes = [np.full((2, 8), 1.0 + height) for height in range(9)]
    found._sweep = Sweep(np.arange(9) * 100.0, 2, None, 0.0, 7, "ScriptManager")
    found._sweep.planes = planes
    found.ended = []
    monkeypatch.setattr(found, "_end", lambda _sweep, problem="": found.ended.append(problem))
    return found


def test_a_zlut_that_can_not_be_written_ends_the_sweep_and_not_its_manager(
    manager, tmp_path, clock
):
    manager._acquisition_dir = tmp_path / "gone"
    manager._finish_file(manager._sweep)
    (problem,) = manager.ended
    assert "gone" in problem
    assert "Z-LUT" in problem


def test_what_became_of_an_earlier_movement_does_not_end_a_sweep(manager, monkeypatch):
    tokens = []
    monkeypatch.setattr(manager, "_send", lambda _message, token: tokens.append(token))
    manager._focus = type("Focus", (), {"move": staticmethod(lambda nm: nm)})
    manager._go(manager._sweep)
    manager._go(manager._sweep)
    manager.message_done(tokens[0], "focus", "another movement took its place")
    assert manager.ended == []
    manager.message_done(tokens[1], "focus", "the motor has gone")
    assert manager.ended == ["the motor has gone"]
