"""Time a message from manager A by way of the router to manager B and back, in the running system.

The whole default system runs meanwhile (camera at 100 frames/s, ten beads tracked). In the same run
a bare pipe is timed between two bare processes, and the ratio is what counts.

Run `python benchmarks/round_trip.py [--trips N] [--quick]`.
"""

import argparse
import json
import multiprocessing
import time

import numpy as np

from magscope.hardware import HardwareManagerBase
from magscope.scope import MagScope
from magscope.utils import Message

WARM_UP_S = 3.0


class Idle(HardwareManagerBase):
    """Has nothing to do but for messages."""

    def connect(self):
        """Be there."""

    def disconnect(self):
        """Be gone."""

    def fetch(self):
        """Have nothing to read."""

    def seconds_to_next_loop(self):
        """Do nothing without a message."""
        return 1.0


class Pong(Idle):
    """Sends back what it gets."""

    def serve(self, number):
        """Answer."""
        self.send_ipc(Message("Ping", "back", number))


class Ping(Idle):
    """Sends a message, waits for its return, sends the next."""

    def __init__(self, trips):
        super().__init__()
        self.trips = trips
        self.times = []

    def connect(self):
        """Begin when the system has settled."""
        self.begin = time.perf_counter() + WARM_UP_S

    def fetch(self):
        """Send the first message."""
        if not self.times and time.perf_counter() >= self.begin:
            self.times.append(0.0)
            self.go()

    def seconds_to_next_loop(self):
        """Wake to send the first message."""
        return 0.1 if not self.times else 1.0

    def go(self):
        """Send one."""
        self.sent = time.perf_counter()
        self.send_ipc(Message("Pong", "serve", len(self.times)))

    def back(self, number):
        """Note the time, and go on or quit."""
        self.times.append(time.perf_counter() - self.sent)
        if number <= self.trips:
            self.go()
        else:
            self.log("info", "times " + json.dumps(self.times[1:]))
            self.quit()


def echo(end):
    """Send back what comes through a bare pipe."""
    while (data := end.recv_bytes()) != b"end":
        end.send_bytes(data)


def bare_pipe(trips):
    """Time a bare pipe between two processes."""
    mine, its = multiprocessing.Pipe()
    child = multiprocessing.Process(target=echo, args=(its,))
    child.start()
    times = []
    for _ in range(trips):
        sent = time.perf_counter()
        mine.send_bytes(b"x" * 64)
        mine.recv_bytes()
        times.append(time.perf_counter() - sent)
    mine.send_bytes(b"end")
    child.join()
    return np.array(times) * 1e6


def in_the_system(trips):
    """Time round trips in the running system."""
    scope = MagScope()
    scope.add_hardware(Ping(trips))
    scope.add_hardware(Pong())
    scope.start()
    line = next(entry.text for entry in scope.report.log if entry.text.startswith("times "))
    return np.array(json.loads(line.removeprefix("times "))) * 1e6


def main():
    """Print both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trips", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="few trips, as a smoke test")
    arguments = parser.parse_args()
    trips = 100 if arguments.quick else arguments.trips
    before, system, after = bare_pipe(trips), in_the_system(trips), bare_pipe(trips)
    bare = np.concatenate((before, after))
    print(f"{'':24}{'p50':>10}{'p99':>10}")
    for name, times in (("bare pipe", bare), ("A-router-B-router-A", system)):
        print(f"{name:24}{np.percentile(times, 50):8.0f} us{np.percentile(times, 99):8.0f} us")
    ratio = [np.percentile(system, p) / np.percentile(bare, p) for p in (50, 99)]
    print(f"{'ratio':24}{ratio[0]:10.1f}{ratio[1]:10.1f}")


if __name__ == "__main__":
    main()
