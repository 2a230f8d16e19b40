"""The Z-LUT sweep: the focus is stepped, profiles are gathered, and a Z-LUT file comes out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hal.clock import NS_PER_S
from magscope.focus import Focus
from magscope.processes import HEARTBEAT_S, LATER, ManagerProcessBase
from magscope.recording.disk import cannot_write
from magscope.recording.names import date_timestamp_str
from magscope.runtime import current
from magscope.utils import AcquisitionMode, Message, registerwithscript
from magscope.zlut import build_zlut, save_zlut

LOOK_EVERY_S = 0.02
STEP_LIMIT_S = 30.0
SETTLE_S = 0.05
STEADY = 2.0


@dataclass
class Sweep:
    """A sweep under way.

    Attributes:
        positions_nm: Where the focus is to go, one after another.
        n_frames: Frames at each position.
        beads: Whose profiles are averaged; None: those that move least.
        start_nm: Where the focus was, and goes back to.
        index: Which position it is at.
        sent_s: Unix time at which it was sent there.
        arrived_s: Unix time at which it had settled; None while it moves.
        planes: The profiles gathered so far, `(n, n_bins)` for each position.
    """

    positions_nm: np.ndarray
    n_frames: int
    beads: list[int] | None
    start_nm: float
    token: int
    caller: str
    index: int = 0
    sent_s: float = 0.0
    arrived_s: float | None = None
    planes: list[np.ndarray] = field(default_factory=list)


class ZLutManager(ManagerProcessBase):
    """Makes a Z-LUT by sweeping the focus over beads that are stuck to the surface.

    A plane's z is minus the focus position, so that z is a bead's height above the focal plane.
    Setting the acquisition mode ZLUT starts a sweep with the defaults.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sweep: Sweep | None = None
        self._moves = 0
        self._early: tuple[int, str, tuple] | None = None
        self._focus: Focus
        self._previous_mode = AcquisitionMode.TRACK

    def setup(self) -> None:
        """Find the focus motor; begin, if this is what the rig file asks for."""
        self._focus = Focus(self)
        self._previous_mode = AcquisitionMode.TRACK
        self._is_due = self._acquisition_mode is AcquisitionMode.ZLUT

    def seconds_to_next_loop(self) -> float:
        """Look often while a sweep is under way."""
        is_at_work = self._sweep is not None or self._early is not None or self._is_due
        return LOOK_EVERY_S if is_at_work else HEARTBEAT_S

    def set_acquisition_mode(self, mode: AcquisitionMode | str) -> None:
        """Choose what becomes of the frames; ZLUT starts a sweep."""
        if self._acquisition_mode is not AcquisitionMode.ZLUT:
            self._previous_mode = self._acquisition_mode
        super().set_acquisition_mode(mode)
        self._is_due = self._acquisition_mode is AcquisitionMode.ZLUT and self._sweep is None

    def do_main_loop(self) -> None:
        """Take the sweep a step further."""
        if self._is_due and self.bead_rois and self._focus.state() is not None:
            self.make_zlut()
        if self._early is not None and self._focus.state() is not None:
            self.token, self.caller, asked = self._early
            self._early = None
            self.make_zlut(*asked)
        sweep = self._sweep
        if sweep is None:
            return
        now_s = current().clock.now_ns() / NS_PER_S
        if now_s - sweep.sent_s > STEP_LIMIT_S:
            self._end(sweep, f"nothing came of {sweep.positions_nm[sweep.index]:g} nm in "
                      f"{STEP_LIMIT_S:g} s: does the focus move, is acquisition on?")  # fmt: skip
        elif sweep.arrived_s is None:
            self._see_arrival(sweep)
        else:
            self._gather(sweep)

    @registerwithscript("make_zlut")
    def make_zlut(
        self,
        below_nm: float = 2500.0,
        above_nm: float = 2500.0,
        step_nm: float = 50.0,
        n_frames: int = 20,
        beads: list[int] | None = None,
    ) -> Any:
        """Sweep the focus about where it is; done when the Z-LUT is in use.

        Args:
            below_nm: How far below the present focus the sweep begins.
            above_nm: How far above it ends.
            step_nm: From one plane to the next.
            n_frames: Frames that are averaged for a plane.
            beads: The beads that are averaged, which must be stuck; None: those that move least.
        """
        self._is_due = False
        if self._sweep is not None or self._early is not None:
            raise ValueError("a Z-LUT sweep is under way: wait for its end")
        if not (step_nm > 0 and below_nm + above_nm >= 3 * step_nm and n_frames > 0):
            raise ValueError(
                f"below_nm = {below_nm}, above_nm = {above_nm}, step_nm = {step_nm}, n_frames = "
                f"{n_frames}: expected a range of three steps at least, and one frame"
            )
        if not self._focus.name:
            raise ValueError("no motor is named 'focus': a Z-LUT sweep needs one")
        state = self._focus.state()
        if state is None:  # the motor is only just being opened
            self._early = (self.token, self.caller, (below_nm, above_nm, step_nm, n_frames, beads))
            return LATER
        start = state.position_nm
        count = round((below_nm + above_nm) / step_nm) + 1
        positions = start - below_nm + step_nm * np.arange(count)
        self._sweep = Sweep(positions, n_frames, beads, start, self.token, self.caller)
        self.log("info", f"Z-LUT sweep: {count} planes from {positions[0]:g} nm")
        if self._acquisition_mode is not AcquisitionMode.ZLUT:
            self._choose(AcquisitionMode.ZLUT)
        self._go(self._sweep)
        return LATER

    def _go(self, sweep: Sweep) -> None:
        sweep.sent_s = current().clock.now_ns() / NS_PER_S
        sweep.arrived_s = None
        self._moves += 1
        self._send(self._focus.move(float(sweep.positions_nm[sweep.index])), token=self._moves)

    def message_done(self, token: int, name: str, problem: str = "") -> None:
        """Hear from the focus motor that its last movement is done, or why it is not."""
        if problem and self._sweep is not None and token == self._moves:
            self._end(self._sweep, problem)

    def _see_arrival(self, sweep: Sweep) -> None:
        state = self._focus.state()
        target = sweep.positions_nm[sweep.index]
        if (
            state is not None
            and state.is_at_target
            and state.timestamp_s >= sweep.sent_s
            and abs(state.target_nm - target) < 1.0
        ):
            sweep.arrived_s = state.timestamp_s + SETTLE_S

    def _gather(self, sweep: Sweep) -> None:
        buffer = self.profiles_buffer
        assert buffer is not None
        rows = buffer.newest(buffer.shape[0])
        rows = rows[rows[:, 0] > (sweep.arrived_s or 0.0)]
        if len(np.unique(rows[:, 0])) < sweep.n_frames:
            return
        if sweep.beads is None:
            sweep.beads = self._steady_beads(sweep.arrived_s or 0.0)
            self.log("info", f"Z-LUT from the beads {sweep.beads}")
        profiles = rows[np.isin(rows[:, 1], sweep.beads), 2:]
        profiles = profiles[np.isfinite(profiles).all(axis=1)]
        if not len(profiles):
            self._end(sweep, f"no profile of the beads {sweep.beads} could be measured")
            return
        sweep.planes.append(profiles)
        sweep.index += 1
        if sweep.index < len(sweep.positions_nm):
            self._go(sweep)
        else:
            self._finish_file(sweep)

    def _steady_beads(self, since_s: float) -> list[int]:
        assert self.tracks_buffer is not None
        rows = self.tracks_buffer.newest(20_000)
        rows = rows[rows[:, 0] > since_s]
        spread = {}
        for bead in self.bead_rois:
            xy = rows[rows[:, 4] == bead, 1:3]
            spread[bead] = float(np.std(xy, axis=0).max()) if len(xy) > 1 else np.inf
        smallest = min(spread.values(), default=np.inf)
        return [bead for bead, value in spread.items() if value <= STEADY * smallest]

    def _finish_file(self, sweep: Sweep) -> None:
        means = np.array([plane.mean(axis=0) for plane in sweep.planes])
        directory = self._acquisition_dir or Path.cwd()
        moment = date_timestamp_str(current().clock.now_ns() / NS_PER_S)
        path = directory / f"Z-LUT {moment}.txt"
        order = np.argsort(-sweep.positions_nm)
        try:
            save_zlut(path, build_zlut(-sweep.positions_nm[order], means[order][:, None, :]))
        except ValueError as error:
            self._end(sweep, str(error))
            return
        except OSError as error:
            self._end(sweep, str(cannot_write(path, error)))
            return
        self.send_ipc(Message("VideoProcessorManager", "set_zlut", path))
        self.log("info", f"Z-LUT saved: {path}")
        self._end(sweep)

    def _end(self, sweep: Sweep, problem: str = "") -> None:
        self._sweep = None
        self.send_ipc(self._focus.move(sweep.start_nm))
        self._choose(self._previous_mode)
        if problem:
            self.log("error", f"Z-LUT sweep failed: {problem}")
        self.done(sweep.token, problem, to=sweep.caller)

    def _choose(self, mode: AcquisitionMode) -> None:
        self.send_ipc(Message(ManagerProcessBase, "set_acquisition_mode", mode))

    def shutdown(self) -> None:
        """Let go of the focus motor's telemetry."""
        if hasattr(self, "_focus"):
            self._focus.close()
