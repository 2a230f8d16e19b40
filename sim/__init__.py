"""Simulated devices: a whole rig in software."""
