"""What the tests of the whole system share: small rigs, stories, and `magscope run` under way."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import tifffile

from hal.clock import NS_PER_S, Clock
from hal.device import DeviceContext
from magscope.report import SessionReport, Snapshot
from magscope.rig import load_rig
from magscope.scope import MagScope
from magscope.shutdown import Bounds
from magscope.utils import Message
from sim.devices.camera import BeadCamera

SHM = Path("/dev/shm")
ZLUT = Path(__file__).parents[2] / "sim" / "data" / "zlut_64px_100nm.txt"
MAGSCOPE = Path(sys.executable).with_name("magscope")
DEADLINE_S = 15.0
# What the bounds of properties.md get on top on a machine that others use as well.
SLACK_S = 3.0
# Long enough for what is healthy, short enough for a suite that stops processes on purpose.
HASTY = Bounds(phase_ends_s=(0.4, 0.8, 1.2), terminate_s=1.2, kill_s=1.8)

SMALL_RIG = """
seed = {seed}
[settings]
"video buffer n images" = {n_images}
"video buffer n stacks" = 5
"video processors n" = {workers}
"tracks max datapoints" = 10000
[camera]
driver = "sim.bead-camera"
settings = {{ exposure_us = 1000 }}
[camera.options]
width_px = 320
height_px = 256
framerate_hz = {framerate_hz}
n_tethered = {tethered}
n_stuck = {stuck}
[beads]
roi_px = 64
max_beads = {max_beads}
rois = {rois}
{zlut}
[acquisition]
mode = "{mode}"
on = {on}
"""

Condition = Callable[[Snapshot], Any]
Story = Callable[["System"], Generator[tuple[str, Condition], None, None]]


def small_rig(
    *,
    seed: int = 1,
    n_images: int = 20,
    workers: int = 2,
    framerate_hz: int = 200,
    tethered: int = 1,
    stuck: int = 1,
    max_beads: int = 4,
    rois: str = '"auto"',
    zlut: Path | None = ZLUT,
    mode: str = "track",
    on: bool = True,
    more: str = "",
) -> str:
    """Return a rig file's text with small frames and few beads."""
    return (
        SMALL_RIG.format(
            seed=seed, n_images=n_images, workers=workers, framerate_hz=framerate_hz,
            tethered=tethered, stuck=stuck, max_beads=max_beads, rois=rois, mode=mode,
            zlut="" if zlut is None else f'zlut = "{zlut}"', on=str(on).lower(),
        )
        + more
    )  # fmt: skip


def wait_until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Return what `condition` does as soon as it is true."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {deadline_s:g} s"
        time.sleep(0.01)
    return value


def session_names(pid: int) -> set[str]:
    """Return what the sessions that a process began have in /dev/shm."""
    return {path.name for path in SHM.glob(f"mgs-{pid:x}-*")}


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def outcome(report: SessionReport, name: str) -> tuple[str, int | None]:
    """Return how a process ended."""
    (found,) = [p for p in report.processes if p.name == name]
    return found.outcome, found.exit_code


def has_nothing_to_do(now: Snapshot) -> bool:
    """Return whether the pool has heard that acquisition is off, and has nothing left in hand."""
    return not now.acquisition_on and now.flag == "READY" and now.busy_count == 0


def not_clean(report: SessionReport) -> dict[str, tuple[str, int | None]]:
    """Return every process that did not end cleanly."""
    return {
        p.name: (p.outcome, p.exit_code) for p in report.processes if p.outcome != "clean"
    }  # fmt: skip


@dataclass
class System:
    """A system in this process, and the story of what is done to it."""

    scope: MagScope
    now: Snapshot | None = None
    failure: BaseException | None = None
    sessions: list[Any] = field(default_factory=list)

    @property
    def session(self) -> Any:
        return self.sessions[-1]

    def send(self, to: str, meth: str, *args: Any, **kwargs: Any) -> None:
        """Send a message as the router."""
        self.session.router.send(Message(to, meth, *args, **kwargs))

    def pid(self, name: str) -> int:
        """Return the process id of a manager or a worker."""
        assert self.now is not None
        pids = {p.name: p.pid for p in self.now.processes}
        pids |= {n: w.pid for n, w in self.session.workers._workers.items()}
        pid = pids[name]
        assert pid is not None, f"{name} was not started"
        return pid

    def signal(self, name: str, number: int) -> int:
        """Send a signal to a manager or a worker; return its process id."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def logged(self, text: str) -> bool:
        """Whether a line of the log holds this text."""
        return any(text in line.text for line in self.session.log)


def scripted(path: Path, *steps: str) -> Path:
    """Write a script file in the style that scripts have always had."""
    lines = ["from magscope.scripting import Script", "", "script = Script()"]
    path.write_text("\n".join([*lines, *(f"script({step})" for step in steps), ""]))
    return path


def built(rig: str, directory: Path) -> MagScope:
    """Return a system from a rig file's text."""
    path = directory / "rig.toml"
    path.write_text(rig)
    return MagScope(rig=load_rig(path))


class Running:
    """`magscope run` under way."""

    def __init__(self, words: tuple[str, ...], cwd: Path, program: tuple[str, ...]) -> None:
        self.errors_path = cwd / f"stderr-{len(list(cwd.glob('stderr-*')))}"
        with self.errors_path.open("w") as errors:
            self.process = psutil.Popen(
                [*program, *words], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=cwd
            )
        self.pid = self.process.pid
        self._said = ""

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        return self.errors_path.read_text()

    def children(self) -> list[psutil.Process]:
        """Return its processes."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return self.process.children(recursive=True)
        return []

    def until_up(self) -> list[psutil.Process]:
        """Wait until frames are there; return the processes."""
        wait_until(lambda: f"mgs-{self.pid:x}-1-VideoBuffer" in session_names(self.pid), "frames")
        return self.children()

    def until_said(self, text: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until it has printed something."""
        descriptor, end = self.process.stdout.fileno(), time.monotonic() + deadline_s
        while text not in self._said:
            left_s = max(end - time.monotonic(), 0.0)
            assert select.select([descriptor], [], [], left_s)[0], f"{text}: not in {self._said}"
            chunk = os.read(descriptor, 65_536)
            assert chunk, f"it ended without {text}: {self._said}"
            self._said += chunk.decode()

    def end(self, deadline_s: float = 2 * DEADLINE_S) -> "Ended":
        """Wait for its end."""
        output, _ = self.process.communicate(timeout=deadline_s)
        return Ended(self.process.returncode, self._said + output, self.errors)


@dataclass(frozen=True)
class Ended:
    """`magscope run` after its end."""

    code: int
    output: str
    errors: str

    @property
    def report(self) -> dict[str, Any]:
        """The report that --json printed."""
        report = json.loads(self.output)
        frames = report["frames"]
        kept = ("processed", "purged", "discarded", "lost", "in_buffer")
        assert frames["delivered"] == sum(frames[key] for key in kept), f"B1: {frames}"
        return report


class _FarFuture(Clock):
    """A clock by which every frame that is asked for is over."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        return self.ns

    def monotonic_ns(self) -> int:
        return self.ns

    def sleep_s(self, seconds: float) -> None:
        self.ns += round(seconds * NS_PER_S)


def expected_frames(count: int, *, seed: int = 1, **options: Any) -> np.ndarray:
    """Return the first frames of the small rig's camera, `(count, height, width)`.

    They are drawn in this process by a camera of their own, with motors that stand still.
    """
    return _filmed(count, seed, options)[0]


def true_positions_nm(count: int, *, seed: int = 1, **options: Any) -> np.ndarray:
    """Return where the beads are in the first frames of the small rig, `(count, n_beads, 3)`."""
    return _filmed(count, seed, options)[1]


def _filmed(count: int, seed: int, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    given = {"width_px": 320, "height_px": 256, "framerate_hz": 200, "n_tethered": 1, "n_stuck": 1}
    camera = BeadCamera(**{**given, "queue_frames": 1_000_000, **options})
    clock = _FarFuture()
    camera.context = DeviceContext.standalone(BeadCamera, clock=clock, seed=seed)
    with camera:
        camera.set("exposure_us", 1000)
        camera.start()
        clock.sleep_s(count)
        frames = np.empty((count, *camera.frame_format.shape), np.uint8)
        positions_nm = np.empty((count, len(camera.beads), 3))
        for number in range(count):
            info = camera.fetch_into(frames[number])
            assert info is not None
            assert info.frame_number == number
            assert info.annotation is not None
            positions_nm[number] = info.annotation[:, 1:4]
        camera.stop()
    return frames, positions_nm


def small_rois(
    *, shift: tuple[int, int] = (0, 0), seed: int = 1, **options: Any
) -> list[tuple[int, int, int, int]]:
    """Return the regions of the small rig's beads, in the order of the truth, moved by `shift`."""
    given = {"width_px": 320, "height_px": 256, "n_tethered": 1, "n_stuck": 1}
    camera = BeadCamera(**{**given, **options})
    camera.context = DeviceContext.standalone(BeadCamera, seed=seed)
    with camera:
        corners = [
            (round(bead.x_nm / 100) - 32 + shift[0], round(bead.y_nm / 100) - 32 + shift[1])
            for bead in camera.beads
        ]
    return [(x, x + 64, y, y + 64) for x, y in corners]


def stuck_bead(*, seed: int = 1, **options: Any) -> int:
    """Return the place of the first stuck bead among those of the small rig."""
    given = {"width_px": 320, "height_px": 256, "n_tethered": 1, "n_stuck": 1}
    camera = BeadCamera(**{**given, **options})
    camera.context = DeviceContext.standalone(BeadCamera, seed=seed)
    with camera:
        return [bead.is_tethered for bead in camera.beads].index(False)


def as_toml(rois: list[tuple[int, int, int, int]]) -> str:
    """Return regions as a rig file has them."""
    return str([list(roi) for roi in rois])


def read_hdf5(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the attributes and datasets of a file's one group, opened without any help."""
    with h5py.File(path, "r") as file:
        (group,) = file.values()
        return dict(group.attrs), {name: data[()] for name, data in group.items()}


def only(directory: Path, pattern: str) -> Path:
    """Return the one file of this pattern."""
    found = sorted(directory.glob(pattern))
    assert len(found) == 1, f"{pattern}: {found}, beside {sorted(directory.iterdir())}"
    return found[0]


def rows_saved(directory: Path) -> int:
    """Return how many rows of tracks are on disk, while they are being written."""
    for path in directory.glob("Tracking Data *.h5"):
        with contextlib.suppress(OSError), h5py.File(path, "r") as file:
            return len(file["tracking/bead_ids"])
    return 0


def read_video(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """Return a video's axes, frames, and the times of its pages in s."""
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        labels = file.imagej_metadata["Labels"]
        return series.axes, series.asarray(), np.array([float(label) for label in labels])


def frame_numbers(directory: Path, times_s: np.ndarray) -> np.ndarray:
    """Return the numbers of frames by their times, as the truth beside them has both."""
    _, truth = read_hdf5(only(directory, "Truth *.h5"))
    by_time = dict(zip(truth["timestamp_ns"], truth["frame_number"], strict=True))
    known = np.array(sorted(by_time))
    nearest = known[np.abs(known[None, :] / 1e9 - times_s[:, None]).argmin(axis=1)]
    assert np.abs(nearest / 1e9 - times_s).max() < 1e-6
    return np.array([by_time[time] for time in nearest], int)
