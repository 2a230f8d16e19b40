import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def rig(tmp_path_factory):
    """The rig file of a small rig with a motor, whose camera sends the truth."""
    from fault_tools import RIG

    path = tmp_path_factory.mktemp("rig") / "rig.toml"
    path.write_text(RIG)
    return path


@pytest.fixture
def moving(tmp_path):
    """A script that moves the focus for half a second, from 0.1 s on."""
    path = tmp_path / "script.py"
    path.write_text(
        "from magscope.scripting import Script\n"
        "script = Script()\n"
        "script('sleep', 0.1)\n"
        "script('move_motor', 'focus', 30000.0, wait=True)\n"
    )
    return path
