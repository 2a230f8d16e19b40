"""`python -m sim.machines`: run the machines for a while, and say how it went.

Each machine is run in rounds: round n draws the same examples on every computer, so a round that
failed is run again with `--only MACHINE --first n`.
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import sim.machines
from sim.machines.profiles import PROFILES
from sim.machines.rounds import run


def main() -> int:
    """Run the machines; the exit code is 0 if none failed."""
    parser = argparse.ArgumentParser(prog="python -m sim.machines", description=__doc__)
    parser.add_argument("--profile", choices=tuple(PROFILES), default="ci")
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS",
                        help="for each machine (default: %(default)s)")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at a time")
    parser.add_argument("--only", choices=sim.machines.__all__, help="one machine")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first round")
    given = parser.parse_args()
    names = [given.only] if given.only else list(sim.machines.__all__)
    context = multiprocessing.get_context("spawn")
    failed = False
    with ProcessPoolExecutor(given.jobs, context) as pool:
        each = [pool.submit(run, name, given.profile, given.first, given.budget) for name in names]
        for future in each:
            ran = future.result()
            failed = failed or bool(ran.failure)
            sys.stdout.write(
                f"{ran.machine:22} {ran.rounds:4} rounds {ran.examples:6} examples "
                f"{ran.seconds:6.1f} s  {'FAILED' if ran.failure else 'ok'}\n{ran.failure}"
            )
            sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
