import subprocess
import sys
from pathlib import Path

import pytest


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_f1_s6_nothing_acknowledged_is_lost_when_the_writer_is_killed_at_any_time(tmp_path):
    assert "12 kills" in run("kill_writer.py", tmp_path, 12, 7)


@pytest.mark.system
def test_f1_s6_nothing_is_lost_or_unreadable_at_any_system_call_of_the_writer(
    tmp_path,
):
    moments = int(run("step_writer.py", tmp_path, 3).split()[0])
    assert moments > 50
