"""The virtual world: the system's own processes, unchanged, in virtual time."""
