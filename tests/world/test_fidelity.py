"""The same scenario over OS processes and in a world: what must be the same is the same."""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np
import pytest

import magscope.session
from hal.device import DeviceContext
from magscope.flag import PoolFlag
from magscope.processes import ManagerProcessBase
from magscope.protocol import Kind
from magscope.report import SessionReport
from magscope.rig import load_rig
from magscope.router import Router
from magscope.runtime import machine
from magscope.scope import MagScope
from magscope.tracking import load_magtrack
from sim.devices.camera import BeadCamera
from sim.world.world import World

# pytest-xdist's workers have threads, and Python 3.12 on warns of a fork beside them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")

FOR_S = 2.6
ZLUT = Path(__file__).parents[2] / "sim" / "data" / "zlut_64px_100nm.txt"
RIG = """
seed = 5
[settings]
"video buffer n images" = 10
"video buffer n stacks" = 20
"video processors n" = 1
[camera]
driver = "sim.bead-camera"
options = {{ width_px = 256, height_px = 128, n_tethered = 1, n_stuck = 1 }}
settings = {{ exposure_us = 2000 }}
[motors.magnet_height]
driver = "sim.magnet-height"
[motors.focus]
driver = "sim.focus"
[beads]
rois = {rois}
zlut = "{zlut}"
"""
SCRIPT = """
from magscope.scripting import Script

script = Script()
script("sleep", 1.2)
script("note", "the magnets are lowered")
script("move_motor", "magnet_height", 900_000.0, wait=True)
script("set_xy_lock_max", 5)
script("move_motor_by", "focus", 200.0, wait=True)
script("set_acquisition_mode", "track")
script("note", "the motors stand")
"""


@dataclass
class Observed:
    """What was seen of one run.

    Attributes:
        messages: Methods and arguments, in order, for each sender and receiver.
        control: What else each manager told the router, in order.
        asked: Whom the router told to quit, in order.
        left: Who said that it quits, in order.
        flags: Each state of the flag, with its epoch.
    """

    directory: Path
    flags_path: Path
    report: SessionReport | None = None
    messages: dict[tuple[str, str], list[tuple[str, bytes]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    control: dict[str, list[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(list))
    asked: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    phases: dict[str, int] = field(default_factory=dict)

    @property
    def flags(self) -> list[tuple[str, int]]:
        """Every state that the flag came to, with its epoch."""
        lines = self.flags_path.read_text().splitlines()
        return [(state, int(epoch)) for state, epoch in map(str.split, lines)]

    def of(self, pattern: str) -> dict[str, np.ndarray]:
        """Return the datasets of the one file of this pattern."""
        (path,) = self.directory.glob(pattern)
        with h5py.File(path) as file:
            (group,) = file.values()
            return {name: data[()] for name, data in group.items()}

    def methods(self) -> dict[tuple[str, str], list[str]]:
        """Return the methods for each pair; how often one follows itself is a matter of time."""
        return {
            pair: [meth for meth, _ in groupby(meth for meth, _ in messages)]
            for pair, messages in self.messages.items()
        }


class Tap:
    """Listens to one run: to its router, and, in whatever process, to its flag."""

    def __init__(self, directory: Path, name: str, patch: pytest.MonkeyPatch) -> None:
        self.seen = seen = Observed(directory / name, directory / f"{name}.flags")
        seen.directory.mkdir()
        descriptor = os.open(seen.flags_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.descriptor = descriptor
        change = PoolFlag._change

        def noted(flag, state, owner, epoch):
            change(flag, state, owner, epoch)  # under its lock: the lines are in its order
            os.write(descriptor, f"{state.name} {epoch}\n".encode())

        class TappedRouter(Router):
            def forward(self, head, raw, frame):
                if head.sender == "MagScope" and head.meth == "quit":
                    seen.asked.append(head.to)
                seen.messages[head.sender, head.to].append((head.meth, frame.payload))
                super().forward(head, raw, frame)

            def add(self, peer):
                seen.phases[peer.name] = peer.manager.quit_phase
                control = self._on_control

                def heard(peer, frame):
                    if frame.kind is Kind.STATE:
                        seen.control[peer.name].append(frame.fields)
                        if frame.fields != ("running",):
                            seen.left.append(peer.name)
                    elif frame.kind in (Kind.DEVICE, Kind.FILE):
                        seen.control[peer.name].append(frame.fields[:1])
                    control(peer, frame)

                if not self.peers:
                    self._on_control = heard
                super().add(peer)

        patch.setattr(PoolFlag, "_change", noted)
        patch.setattr(magscope.session, "Router", TappedRouter)


def rois():
    """Return the regions around the beads, which stand where the seed puts them."""
    camera = BeadCamera(width_px=256, height_px=128, n_tethered=1, n_stuck=1)
    camera.context = DeviceContext.standalone(BeadCamera, seed=5)
    with camera:
        corners = [(int(b.x_nm / 100) - 32, int(b.y_nm / 100) - 32) for b in camera.beads]
    return [[x, x + 64, y, y + 64] for x, y in corners]


def run_both(directory):
    """Run the scenario on both sides; return what was seen of each."""
    rig, script = directory / "rig.toml", directory / "script.py"
    rig.write_text(RIG.format(rois=rois(), zlut=ZLUT))
    script.write_text(SCRIPT)
    load_magtrack()  # or else the first stack of the first run comes late
    observed = []
    for name, live in (("os", live_over_os_processes), ("world", live_in_a_world)):
        with pytest.MonkeyPatch.context() as patch:
            tap = Tap(directory, name, patch)
            tap.seen.report = live(rig, script, tap.seen.directory)
            os.close(tap.descriptor)
            observed.append(tap.seen)
    return observed


def live_over_os_processes(rig, script, record):
    scope = MagScope(load_rig(rig))
    scope.run_for_s, scope.script_path, scope.record_dir = FOR_S, script, record
    scope.start()
    machine().singletons().clear()
    return scope.report


def live_in_a_world(rig, script, record):
    outcome = World(rig, seed=5, for_s=FOR_S, script=script, record=record).finish()
    assert outcome.violations == ()
    return outcome.report


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What was seen over OS processes, and in a world."""
    return run_both(tmp_path_factory.mktemp("fidelity"))


def test_both_sides_end_clean_with_the_same_processes(both):
    for seen in both:
        assert seen.report.is_clean
        assert seen.report.undelivered == 0
        assert seen.report.frames.balances
        assert seen.report.frames.processed >= 200
    names = [[(p.name, p.outcome, p.exit_code) for p in seen.report.processes] for seen in both]
    assert names[0] == names[1]


def test_r1_each_pair_of_sender_and_receiver_exchanges_the_same_messages(both):
    real, virtual = both
    assert real.methods() == virtual.methods()
    assert ("ScriptManager", "magnet_height") in real.messages
    assert ("magnet_height", "ScriptManager") in real.messages
    assert ("VideoProcessorManager", "RecordingManager") in real.messages


def test_r1_the_messages_say_the_same(both):
    real, virtual = both
    for pair, messages in real.messages.items():
        said = [message for message in messages if message[0] != "save_tracks"]
        assert said == [m for m in virtual.messages[pair] if m[0] != "save_tracks"], pair


def test_each_manager_tells_the_router_of_the_same_states_devices_and_files(both):
    real, virtual = both
    for seen in both:  # which file of a recording is first written to is a matter of moments
        seen.control["RecordingManager"].sort()
    assert real.control == virtual.control
    assert set(real.control) == set(real.phases)


def test_p1_the_flag_goes_through_the_same_states_in_the_same_order(both):
    flags = [seen.flags for seen in both]
    common = min(map(len, flags))
    assert common >= 3 * 20
    assert flags[0][:common] == flags[1][:common]
    assert [state for state, _ in flags[0][:3]] == ["RUNNING", "FINISHED", "READY"]


def test_s2_managers_are_told_to_quit_and_leave_phase_by_phase(both):
    real, virtual = both
    assert real.asked == virtual.asked
    for seen in both:
        assert sorted(seen.left) == sorted(seen.phases)
        phases = [seen.phases[name] for name in seen.left]
        assert phases == sorted(phases)
        assert [seen.phases[name] for name in seen.asked] == sorted(seen.phases.values())
        quits = seen.messages
        assert all((name, ManagerProcessBase.__name__) in quits for name in seen.phases)


def test_f3_the_same_frames_have_the_same_tracks_bit_for_bit_until_a_motor_moves(both):
    truth, tracks = [truth_by_frame(seen) for seen in both], [by_frame(seen) for seen in both]
    moves_at = next(n for n in sorted(truth[0].keys() & truth[1].keys()) if differ(truth, n))
    assert moves_at >= 100
    compared = [n for n in range(moves_at) if n in tracks[0] and n in tracks[1]]
    assert len(compared) >= 100
    assert [n for n in compared if differ(tracks, n)] == []
    assert np.isfinite(both[0].of("Tracking Data *")["positions_nm"]).mean() > 0.9


def differ(sides: list[dict[int, bytes]], number: int) -> bool:
    return sides[0][number] != sides[1][number]


def by_frame(seen: Observed) -> dict[int, bytes]:
    """Return the beads' ids, positions and regions by the number of the frame."""
    tracks = seen.of("Tracking Data *")
    begins, ends = tracks["frame_offsets"][:-1], tracks["frame_offsets"][1:]
    names = ("bead_ids", "positions_nm", "roi_positions_px")
    return {
        int(number): b"".join(tracks[name][begin:end].tobytes() for name in names)
        for number, begin, end in zip(tracks["frame_numbers"], begins, ends, strict=True)
    }


def truth_by_frame(seen: Observed) -> dict[int, bytes]:
    """Return where the beads were, and the force on them, by the number of the frame."""
    truth = seen.of("Truth *")
    columns = [truth[name] for name in ("bead_id", "x_nm", "y_nm", "z_nm", "force_pn")]
    found: dict[int, bytes] = defaultdict(bytes)
    for number, *row in zip(truth["frame_number"], *columns, strict=True):
        found[int(number)] += np.array(row).tobytes()
    return found
