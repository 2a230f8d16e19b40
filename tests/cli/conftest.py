"""Drivers and a default rig of this folder's own, so that nothing here depends on a real one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DRIVERS = '''
from hal import Axis, Camera, FrameFormat, Identity, LinearMotor


class Cam(Camera):
    """A camera of a test."""

    frame_format = FrameFormat(64, 64, 8)
    identity = Identity("", "", "", "test", False)
    is_open = False

    def __init__(self, height, width=64):
        if width < 0:
            raise ValueError("width must be positive")

    def open(self): ...
    def close(self): ...
    def start(self): ...
    def stop(self): ...
    def fetch_into(self, out): ...


class Stage(LinearMotor):
    """A motor of a test."""

    axis = Axis("nm", 0, 1, 1, 1)
    identity = Identity("", "", "", "test", False)
    is_open = is_moving = False

    def __init__(self, speed=1): ...
    def open(self): ...
    def close(self): ...
    def read_position(self): return 0.0
    def begin_move(self, target): ...
    def halt(self): ...


class Meta(type):
    def __call__(cls, *args, **kwargs):
        return super().__call__(*args, **kwargs)


class HardwareManagerBase(metaclass=Meta):
    pass


class OldMotor(HardwareManagerBase):
    def __init__(self, port="COM1"): ...


class Other:
    pass
'''
DEFAULT = """
nm_per_px = 50.0
[camera]
driver = "labdrivers:Cam"
options = { height = 8 }
[motors.focus]
driver = "labdrivers:Stage"
[motors.magnet_height]
driver = "labdrivers:Stage"
[beads]
max_beads = 7
roi_px = 64
zlut = "lut.txt"
"""
ENTRY_POINTS = """
[magscope.rigs]
default = labrig

[magscope.drivers]
lab.camera = labdrivers:Cam
lab.broken = labdrivers:Nothing

[magscope.commands]
hello = labcommands:hello
broken = labcommands:missing
"""
COMMANDS = '''
import typer


def hello(name: str = "you") -> None:
    """Greet somebody."""
    typer.echo(f"hello {name}")
'''


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a distribution with drivers, a default rig and commands."""
    site = tmp_path / "site"
    (site / "labrig").mkdir(parents=True)
    (site / "labrig" / "__init__.py").touch()
    (site / "labrig" / "default.toml").write_text(DEFAULT)
    (site / "labrig" / "lut.txt").touch()
    (site / "labdrivers.py").write_text(DRIVERS)
    (site / "labcommands.py").write_text(COMMANDS)
    info = site / "lab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    yield site
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
