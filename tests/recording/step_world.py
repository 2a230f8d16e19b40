"""Kill every process at each of its operations on files, and fill the disk at each of them.

A short recording in a world, once for each operation. Run
`python tests/recording/step_world.py [kill] [full]`: about half a minute.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from world_recording import operations, record, wrong_after_full_disk, wrong_after_kill


def open_descriptors() -> int:
    directory = Path("/proc/self/fd")
    return len(list(directory.iterdir())) if directory.is_dir() else 0


def main() -> None:
    wanted = sys.argv[1:] or ["kill", "full"]
    usual = record()
    assert not usual.outcome.violations, usual.outcome.violations
    assert not usual.problems, usual.problems
    n_open = open_descriptors()
    begin, n_wrong, every = time.perf_counter(), 0, operations(usual)
    for what in wanted:
        for operation in every:
            wrong = (
                wrong_after_kill(operation)
                if what == "kill"
                else wrong_after_full_disk(operation, usual)
            )
            n_wrong += bool(wrong)
            for line in wrong:
                print(f"{what} at {operation}, {operation.t_s:g} s: {line[:400]}", flush=True)
    if (n_left := open_descriptors() - n_open) > 0:
        print(f"{n_left} descriptors are left open")
        n_wrong += 1
    seconds = time.perf_counter() - begin
    print(f"{len(every)} operations, {len(wanted)} ways, {n_wrong} went wrong, {seconds:.0f} s")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
