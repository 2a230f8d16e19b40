"""Rig files: which driver each device has, and how the system is set up, in TOML."""

from magscope.rig.model import (
    Acquisition,
    Beads,
    CameraEntry,
    MotorEntry,
    Recording,
    RigFile,
)
from magscope.rig.problems import RigError
from magscope.rig.reading import load_rig, read_rig
from magscope.rig.writing import to_toml

__all__ = [
    "Acquisition",
    "Beads",
    "CameraEntry",
    "MotorEntry",
    "Recording",
    "RigError",
    "RigFile",
    "load_rig",
    "read_rig",
    "to_toml",
]
