"""CPU of the whole system while acquisition is off, all processes together, as a part of one core.

The default rig: camera at 100 frames/s, three motors, three workers. What the camera manager uses
is mostly the drawing of frames, which a real camera does itself.

Run `python benchmarks/idle_cpu.py [--for SECONDS] [--quick]`.
"""

import argparse
import time

import psutil

from magscope.report import Snapshot
from magscope.rig import RigFile, load_rig
from magscope.scope import MagScope

SETTLE_S = 6.0


def idle_rig() -> RigFile:
    """Return the default rig with acquisition off."""
    rig = load_rig(None)
    return rig.model_copy(update={"acquisition": rig.acquisition.model_copy(update={"on": False})})


def cpu_seconds() -> dict[int, float]:
    """Return the CPU time that each process of this system has used so far."""
    me = psutil.Process()
    used = {}
    for process in (me, *me.children(recursive=True)):
        times = process.cpu_times()
        used[process.pid] = times.user + times.system
    return used


class Meter:
    """Looks at the CPU times of a running system twice."""

    def __init__(self, scope: MagScope, length_s: float) -> None:
        self.scope, self.length_s = scope, length_s
        self.names: dict[int, str] = {}
        self.first: dict[int, float] = {}
        self.begin_s = self.elapsed_s = 0.0
        self.parts: dict[str, float] = {}

    def __call__(self, now: Snapshot) -> None:
        """Take a snapshot as the time to look."""
        if now.state != "running" or now.t_s < SETTLE_S or self.parts:
            return
        if not self.first:
            self.begin_s, self.first = time.monotonic(), cpu_seconds()
            return
        self.elapsed_s = time.monotonic() - self.begin_s
        if self.elapsed_s < self.length_s:
            return
        names = {process.pid: process.name for process in now.processes}
        last = cpu_seconds()
        for pid, used in last.items():
            name = names.get(pid, "router" if pid == psutil.Process().pid else "workers")
            part = (used - self.first.get(pid, used)) / self.elapsed_s
            self.parts[name] = self.parts.get(name, 0.0) + part
        self.scope.stop()


def main() -> None:
    """Print a line for each process, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--for", dest="length_s", type=float, default=20.0)
    parser.add_argument("--quick", action="store_true", help="two seconds, as a smoke test")
    arguments = parser.parse_args()
    scope = MagScope(idle_rig())
    meter = Meter(scope, 2.0 if arguments.quick else arguments.length_s)
    scope.observe(meter, 0.5)
    scope.start()
    assert meter.parts, "the system quit before it was measured"
    for name, part in sorted(meter.parts.items(), key=lambda item: -item[1]):
        print(f"{name:24}{part:8.1%}")
    print(f"{'all, of one core':24}{sum(meter.parts.values()):8.1%}")


if __name__ == "__main__":
    main()
