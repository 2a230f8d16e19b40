"""Hypothesis' rule-based state machines of the system and its parts, each with a plain model."""

from sim.machines.pool import PoolVideoFlagMachine
from sim.machines.router import RouterMachine
from sim.machines.shutdown import ShutdownMachine
from sim.machines.system import SystemMachine

__all__ = ["PoolVideoFlagMachine", "RouterMachine", "ShutdownMachine", "SystemMachine"]
