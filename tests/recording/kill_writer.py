"""Fork writers, SIGKILL each at a random moment, repair, and read everything back.

Run by a test: `python kill_writer.py DIRECTORY N_KILLS SEED`. A process of its own, so that a fork
copies no threads of pytest's.
"""

import os
import random
import select
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from batches import START_NS, check_tracks, make_batch

from magscope.recording.repair import repair_directory
from magscope.recording.tracks import TracksFile

SIZES = {"n_frames": 20, "n_beads": 30}


def write_for_ever(directory: Path, acknowledged: int) -> None:
    tracks = TracksFile(directory, started_ns=START_NS, recording_id="killed", max_bytes=1_500_000)
    for sequence in range(100_000):
        tracks.append(make_batch(sequence, **SIZES))
        os.write(acknowledged, b"+")


def kill_once(directory: Path, rng: random.Random) -> tuple[int, int]:
    directory.mkdir()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        write_for_ever(directory, writing)
    os.close(writing)
    select.select([reading], [], [], 10)
    select.select([], [], [], rng.uniform(0, 0.08))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    n_acknowledged = 0
    while part := os.read(reading, 65536):
        n_acknowledged += len(part)
    os.close(reading)

    repaired = repair_directory(directory)
    assert repair_directory(directory) == [type(r)(r.path, r.rows, 0) for r in repaired]
    n_read = 0
    for i, path in enumerate(sorted(directory.iterdir(), key=lambda p: p.stat().st_mtime_ns)):
        is_last = i == len(repaired) - 1
        needed = n_acknowledged - n_read if is_last else 0
        n_read += check_tracks(path, needed, needed + 1 if is_last else 1 << 30, n_read, **SIZES)
    assert n_acknowledged <= n_read <= n_acknowledged + 1
    return n_acknowledged, sum(r.rows_cut > 0 for r in repaired)


def main() -> None:
    directory, n_kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    results = [kill_once(directory / str(i), rng) for i in range(n_kills)]
    n_batches, n_cut = (sum(r[i] for r in results) for i in range(2))
    print(f"{n_kills} kills, {n_batches} batches acknowledged, {n_cut} files cut to a whole batch")


if __name__ == "__main__":
    main()
