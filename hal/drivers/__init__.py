"""Drivers of real devices, one module a family; none is imported before a rig file names it."""
