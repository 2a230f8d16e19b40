"""Devices that are broken in one way each, and the right ones that they derive from."""
