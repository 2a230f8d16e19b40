"""Proves that a world hangs on its inputs alone: the same runs in separate interpreters.

    python ci/determinism.py
    python ci/determinism.py --python .venv/bin/python --python other/bin/python crash-worker

Each interpreter runs every scenario in two processes that put sets of strings in different orders
(`PYTHONHASHSEED`). All traces must be the same, and all recorded tracks; where two part, the first
operation that differs is shown.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path
from typing import Any

HASH_SEEDS = ("1", "31")

SMALL = """
[camera]
driver = "sim.bead-camera"
options = { width_px = 128, height_px = 128, n_tethered = 1, n_stuck = 0 }
[motors.focus]
driver = "sim.focus"
[motors.magnet_height]
driver = "sim.magnet-height"
[beads]
rois = [[32, 96, 32, 96]]
[settings]
"video buffer n images" = 20
"video processors n" = 2
"""
SCRIPT = """
from magscope.scripting import Script
script = Script()
script("set_xy_lock_on", True)
script("set_xy_lock_interval", 0.3)
script("sleep", 0.4)
script("set_acquisition_on", False)
script("sleep", 0.2)
script("set_acquisition_on", True)
"""
OUTSIDE = """
[camera]
driver = "drivers_from_outside:ClockCamera"
[motors.gauge]
driver = "drivers_from_outside:ClockGauge"
[beads]
rois = [[0, 32, 0, 32]]
roi_px = 32
[settings]
"video buffer n images" = 10
"video processors n" = 1
"""
DRIVERS = """
import time
from datetime import datetime

import numpy as np

from magscope.camera import CameraBase
from magscope.hardware import HardwareManagerBase


class ClockCamera(CameraBase):
    width, height, bits, dtype, nm_per_px = 48, 32, 8, np.uint8, 5000.0
    settings = ("framerate",)

    def connect(self, video_buffer):
        self.video_buffer, self.is_connected = video_buffer, True
        self.rng, self.next_s = np.random.default_rng(1), time.time()

    def fetch(self):
        if time.time() >= self.next_s:
            image = self.rng.integers(0, 255, (self.height, self.width), np.uint8)
            self.video_buffer.write_image_and_timestamp(image.tobytes(), time.time())
            self.next_s += 0.02

    def release(self):
        pass

    def get_setting(self, name):
        return "50"

    def set_setting(self, name, value):
        pass


class ClockGauge(HardwareManagerBase):
    def connect(self):
        self._is_connected = True

    def disconnect(self):
        time.sleep(0.01)

    def fetch(self):
        time.sleep(0.05)
        self._buffer.write(np.array([[time.time(), datetime.now().timestamp()]]))
"""


@dataclass(frozen=True)
class Scenario:
    """A run that is to be the same everywhere.

    Attributes:
        rig: The rig file's text; empty for the default rig.
        faults: As a plan's JSON has them.
        for_s: Virtual seconds.
    """

    rig: str = SMALL
    seed: int = 1
    for_s: float = 1.0
    schedule: str = "fifo"
    script: str = ""
    faults: tuple[dict[str, Any], ...] = ()
    start_method: str = "fork"
    records: bool = False
    patch_time: bool = False


def fault(kind: str, process: str, **fields: Any) -> dict[str, Any]:
    """Return a fault as a plan's JSON has it."""
    return {"kind": kind, "process": process, **fields}


SCENARIOS = {
    "default-rig": Scenario(rig="", for_s=0.8),
    "fifo": Scenario(records=True),
    "random": Scenario(schedule="random", seed=2),
    "pos": Scenario(schedule="pos", seed=3),
    "jitter": Scenario(schedule="jitter", seed=4, records=True),
    "pct": Scenario(schedule="pct(3)", seed=5),
    "spawn": Scenario(schedule="random", seed=6, start_method="spawn"),
    "script": Scenario(script=SCRIPT, schedule="random", seed=7, for_s=2.0),
    "crash-worker": Scenario(
        faults=(fault("crash", "VideoWorker-1", site="lock.acquire", hit=4),),
        seed=8, for_s=2.0, records=True,
    ),
    "crash-manager": Scenario(faults=(fault("crash", "CameraManager", at_s=0.5),), seed=9),
    "hang": Scenario(
        faults=(fault("hang", "BeadLockManager", at_s=0.4, for_s=0.5),), schedule="pos", seed=10
    ),
    "delay-and-drop": Scenario(
        faults=(
            fault("delay", "MagScope", site="wait", hit=20, for_s=0.2),
            fault("drop", "focus", hit=3),
        ),
        schedule="jitter", seed=11,
    ),
    "outside": Scenario(rig=OUTSIDE, patch_time=True, seed=12),
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What one interpreter made of a scenario."""

    who: str
    trace_hash: str
    steps: tuple[str, ...] = field(repr=False)
    tracks: str = ""
    violations: tuple[str, ...] = ()
    wall_s: float = 0.0


def play(scenario: Scenario, directory: Path, who: str = "this process") -> Found:
    """Run a scenario here."""
    from sim.faults import FaultPlan
    from sim.world.world import END_S, World

    (directory / "drivers_from_outside.py").write_text(DRIVERS)
    rig = directory / "rig.toml"
    rig.write_text(scenario.rig)
    script = directory / "script.py"
    script.write_text(scenario.script)
    record = directory / "recording"
    record.mkdir()
    world = World(
        rig if scenario.rig else None,
        seed=scenario.seed,
        for_s=scenario.for_s,
        schedule=scenario.schedule,
        faults=FaultPlan.from_json({"version": 1, "faults": list(scenario.faults)}),
        script=script if scenario.script else None,
        record=record if scenario.records else None,
        start_method=scenario.start_method,
        patch_time=scenario.patch_time,
    )
    outcome = world.finish(scenario.for_s + END_S)
    return Found(
        who,
        outcome.trace_hash,
        tuple(map(str, outcome.trace.steps)),
        tracks_digest(record) if scenario.records else "",
        tuple(violation.partition("\n")[0] for violation in outcome.violations),
        outcome.wall_s,
    )


def tracks_digest(directory: Path) -> str:
    """Return a digest of every recorded position, to a thousandth of a nm."""
    import h5py
    import numpy as np

    found = blake2b(digest_size=8)
    for path in sorted(directory.rglob("*.h5")):
        with h5py.File(path) as file:
            datasets: list[Any] = []
            file.visititems(lambda _, item, kept=datasets: kept.append(item))
            for item in datasets:
                if isinstance(item, h5py.Dataset):
                    values = np.asarray(item)
                    found.update(f"{item.name} {values.shape}".encode())
                    is_real = values.dtype.kind == "f"
                    found.update((values.round(3) + 0.0 if is_real else values).tobytes())
    return found.hexdigest()


def play_all(names: Sequence[str], results: Path) -> None:
    """Run scenarios here, for another process to read."""
    who = f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    for name in names:
        with tempfile.TemporaryDirectory() as directory:
            found = play(SCENARIOS[name], Path(directory), who)
        (results / f"{name}.json").write_text(json.dumps(vars(found)))


def run_in(python: str, hash_seed: str, names: Sequence[str], results: Path) -> subprocess.Popen:
    """Start another interpreter that runs scenarios."""
    results.mkdir()
    return subprocess.Popen(
        [python, __file__, *names, "--results", str(results)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def found_by(pythons: Sequence[str], names: Sequence[str], jobs: int) -> Iterator[dict[str, Found]]:
    """Yield what each interpreter made of the scenarios, by name."""
    with tempfile.TemporaryDirectory() as directory:
        waiting = [(python, seed) for python in pythons for seed in HASH_SEEDS]
        running: list[tuple[str, Path, subprocess.Popen]] = []
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    python, seed = waiting.pop(0)
                    results = Path(directory) / str(len(waiting))
                    running.append((seed, results, run_in(python, seed, names, results)))
                seed, results, process = running.pop(0)
                output, _ = process.communicate()
                if process.returncode:
                    raise SystemExit(f"{process.args}: exit code {process.returncode}\n{output}")
                yield {name: read_found(results / f"{name}.json", seed) for name in names}
        finally:
            for _, _, process in running:
                process.kill()
                process.communicate()


def read_found(path: Path, hash_seed: str) -> Found:
    """Return what another process wrote down."""
    data = {
        k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(path.read_text()).items()
    }
    data["who"] += f" PYTHONHASHSEED={hash_seed}"
    return Found(**data)


def difference(one: Found, other: Found) -> str:
    """Return what differs between two runs of a scenario, and where; "" if nothing does."""
    if one.trace_hash != other.trace_hash:
        for number, (a, b) in enumerate(zip_longest(one.steps, other.steps, fillvalue="(ended)")):
            if a != b:
                return (
                    f"operation {number + 1} is the first that differs\n"
                    f"  {one.who}: {a}\n  {other.who}: {b}"
                )
        return "the steps are the same, and their hashes differ"
    if one.tracks != other.tracks:
        return (
            "the traces are the same, and the recorded tracks differ\n"
            f"  {one.who}: {one.tracks}\n  {other.who}: {other.tracks}"
        )
    if len(one.violations) != len(other.violations):
        return f"{one.who}: {one.violations}\n  {other.who}: {other.violations}"
    return ""


def compare(runs: Sequence[dict[str, Found]]) -> bool:
    """Print what was found of each scenario; False if any differs, or violates something."""
    differing = violated = 0
    for name in runs[0]:
        found = [run[name] for run in runs]
        first = found[0]
        differences = [text for other in found[1:] if (text := difference(first, other))]
        differing += bool(differences)
        verdict = "DIFFERS" if differences else "same"
        slowest_s = max(f.wall_s for f in found)
        violated += bool(first.violations)
        print(
            f"{name:16} {first.trace_hash[:16]} {first.tracks[:8]:8} {len(first.steps):6} steps "
            f"{slowest_s:6.2f} s  {verdict}"
        )
        for violation in first.violations:
            print(f"    violates {violation}")
        for text in differences:
            print(f"  {text}")
    print("in", ", ".join(next(iter(run.values())).who for run in runs))
    print(f"{len(runs[0])} scenarios: {differing} differ, {violated} violate a property")
    return not differing and not violated


def main() -> None:
    """Run the scenarios in every interpreter, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--python", action="append", help="an interpreter; this one if none")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes at once")
    parser.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.scenarios or list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"no scenario {unknown[0]!r}: choose from {', '.join(SCENARIOS)}")
    if given.results:
        play_all(names, given.results)
        return
    began_s = time.perf_counter()
    runs = list(found_by(given.python or [sys.executable], names, given.jobs))
    is_well = compare(runs)
    print(f"{time.perf_counter() - began_s:.1f} s")
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
