"""What `sim.pytest_plugin` gives a laboratory's own tests: worlds, and systems in both worlds."""
