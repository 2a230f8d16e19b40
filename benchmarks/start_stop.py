"""Seconds from the start to the first track and from the request to quit to the last exit.

The default rig, run some times as `magscope run --json` in a process of its own. The yardstick is
the time in which the camera fills the first stack: no track can come sooner.

Run `python benchmarks/start_stop.py [--runs N] [--start-method METHOD] [--quick]`.
"""

import argparse
import json
import subprocess
import sys

import numpy as np

RUN_S = 4.0
STACK_FRAMES = 40
MAGSCOPE = "import sys; from magscope.cli import main; sys.exit(main())"


def one_run(method: str | None) -> dict:
    """Run the system once and return its report."""
    words = ["--start-method", method] if method else []
    done = subprocess.run(
        [sys.executable, "-c", MAGSCOPE, "run", "--for", str(RUN_S), "--json", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    """Print medians and the worst of both times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--start-method", choices=("fork", "spawn", "forkserver"))
    parser.add_argument("--quick", action="store_true", help="one run, as a smoke test")
    arguments = parser.parse_args()
    reports = [
        one_run(arguments.start_method) for _ in range(1 if arguments.quick else arguments.runs)
    ]
    fill_s = float(np.median([STACK_FRAMES / report["fps"] for report in reports]))
    print(f"{len(reports)} runs{'':12}{'median':>10}{'worst':>10}{'ratio':>8}")
    print(f"{'filling a stack':18}{fill_s:8.2f} s")
    for label, key in (("first track", "start_to_first_track_s"), ("shutdown", "shutdown_s")):
        times = [report[key] for report in reports]
        middle = np.median(times)
        print(f"{label:18}{middle:8.2f} s{max(times):8.2f} s{middle / fill_s:8.2f}")


if __name__ == "__main__":
    main()
