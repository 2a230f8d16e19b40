import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def small(tmp_path):
    """The rig file of a small rig."""
    from world_rigs import SMALL

    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def fragile(tmp_path):
    """The rig file of a small rig with a device that fails after 0.6 s."""
    from world_rigs import FRAGILE

    shutil.copy(Path(__file__).with_name("world_rigs.py"), tmp_path)
    path = tmp_path / "fragile.toml"
    path.write_text(FRAGILE)
    return path
