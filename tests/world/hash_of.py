"""Runs a rig file's world and prints its hash and its steps, for a test in another interpreter."""

import json
import sys
from pathlib import Path

import sim

if __name__ == "__main__":
    outcome = sim.run(Path(sys.argv[1]), seed=1, for_s=0.3)
    steps = [str(step) for step in outcome.trace.steps]
    print(json.dumps([outcome.trace_hash, steps, outcome.violations]))
