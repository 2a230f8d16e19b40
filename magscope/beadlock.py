"""Bead locks: regions follow their beads, and the focus follows one bead."""

from typing import Any

import numpy as np

from hal.clock import NS_PER_S
from magscope.focus import FOCUS, Focus
from magscope.processes import HEARTBEAT_S, ManagerProcessBase
from magscope.runtime import current
from magscope.utils import Message, registerwithscript

NEWEST_ROWS = 20_000
AVERAGED_FRAMES = 40


class BeadLockManager(ManagerProcessBase):
    """Keeps beads in the middle of their regions (XY) and one bead at its height (Z)."""

    def __init__(self) -> None:
        super().__init__()
        self._xy_on = False
        self._xy_interval_s = 10.0
        self._xy_max_px = 10.0
        self._xy_next_ns = 0
        self._z_on = False
        self._z_bead = 0
        self._z_target_nm: float | None = None
        self._z_interval_s = 10.0
        self._z_max_nm = 1000.0
        self._z_next_ns = 0
        self._z_moved_ns = 0
        self._focus: Focus

    def setup(self) -> None:
        """Take the intervals and limits from the settings."""
        self.set_settings(self.settings)
        self._focus = Focus(self)

    def set_settings(self, settings: Any) -> None:
        """Replace the settings, and with them the locks' intervals and limits."""
        super().set_settings(settings)
        self._xy_interval_s = float(self.settings["xy-lock default interval"])
        self._xy_max_px = float(self.settings["xy-lock default max"])
        self._z_interval_s = float(self.settings["z-lock default interval"])
        self._z_max_nm = float(self.settings["z-lock default max"])

    def seconds_to_next_loop(self) -> float:
        """Wake when a lock is due."""
        due = [self._xy_next_ns] if self._xy_on else []
        due += [self._z_next_ns] if self._z_on else []
        if not due:
            return HEARTBEAT_S
        return (min(due) - current().clock.monotonic_ns()) / NS_PER_S

    def do_main_loop(self) -> None:
        """Do the locks that are due."""
        now_ns = current().clock.monotonic_ns()
        if self._xy_on and now_ns >= self._xy_next_ns:
            self._xy_next_ns = now_ns + int(self._xy_interval_s * NS_PER_S)
            self.do_xy_lock()
        if self._z_on and now_ns >= self._z_next_ns:
            self._z_next_ns = now_ns + int(self._z_interval_s * NS_PER_S)
            self.do_z_lock()

    @registerwithscript("do_xy_lock")
    def do_xy_lock(self) -> None:
        """Centre each region on its bead once, by whole pixels, `xy-lock max` at most."""
        newest = self._newest()
        buffer = self.video_buffer
        if buffer is None or not len(newest):
            return
        width, height = buffer.image_shape
        nm_per_px = self.resources.nm_per_px
        moved = dict(self.bead_rois)
        for bead, (x0, x1, y0, y1) in self.bead_rois.items():
            rows = newest[(newest[:, 4] == bead) & (newest[:, 5] == x0) & (newest[:, 6] == y0)]
            rows = rows[np.isfinite(rows[:, 1]) & np.isfinite(rows[:, 2])][-AVERAGED_FRAMES:]
            if not len(rows):
                continue
            x_px, y_px = rows[:, 1:3].mean(axis=0) / nm_per_px
            dx = self._step(x_px - (x0 + x1 - 1) / 2, -x0, width - x1)
            dy = self._step(y_px - (y0 + y1 - 1) / 2, -y0, height - y1)
            moved[bead] = (x0 + dx, x1 + dx, y0 + dy, y1 + dy)
        if moved != self.bead_rois:
            self.set_bead_rois(moved)
            self.send_ipc(Message(ManagerProcessBase, "set_bead_rois", moved))

    def _step(self, offset_px: float, lowest: int, highest: int) -> int:
        limit = self._xy_max_px
        return int(np.clip(np.clip(round(offset_px), -limit, limit), lowest, highest))

    @registerwithscript("set_xy_lock_on")
    def set_xy_lock_on(self, value: bool) -> None:
        """Switch the XY lock on or off."""
        self._xy_on = bool(value)
        self._xy_next_ns = 0

    @registerwithscript("set_xy_lock_interval")
    def set_xy_lock_interval(self, value: float) -> None:
        """Set the seconds between two corrections."""
        self._xy_interval_s = _positive("xy-lock interval", value, "s")

    @registerwithscript("set_xy_lock_max")
    def set_xy_lock_max(self, value: float) -> None:
        """Set the largest correction in px."""
        self._xy_max_px = _positive("xy-lock max", value, "px")

    @registerwithscript("do_z_lock")
    def do_z_lock(self) -> None:
        """Move the focus once so that the lock's bead comes to its target height.

        Heights are relative to the focus: raising it lowers every z. Frames from before the last
        correction had settled are not looked at.
        """
        newest = self._newest()
        rows = newest[(newest[:, 4] == self._z_bead) & np.isfinite(newest[:, 3])]
        rows = rows[rows[:, 0] * NS_PER_S > self._z_moved_ns][-AVERAGED_FRAMES:]
        if not len(rows):
            return
        z_nm = float(np.median(rows[:, 3]))
        if self._z_target_nm is None:
            self._z_target_nm = z_nm
            return
        step_nm = float(np.clip(z_nm - self._z_target_nm, -self._z_max_nm, self._z_max_nm))
        state = self._focus.state()
        if not self._focus.name:
            self.log("warning", f"z lock: no motor is named {FOCUS!r}; the lock is off")
            self._z_on = False
        elif state is not None and state.is_at_target:
            self.send_ipc(self._focus.move(state.position_nm + step_nm))
            self._z_moved_ns = current().clock.now_ns()

    @registerwithscript("set_z_lock_on")
    def set_z_lock_on(self, value: bool) -> None:
        """Switch the Z lock on or off."""
        self._z_on = bool(value)
        self._z_next_ns = 0

    @registerwithscript("set_z_lock_bead")
    def set_z_lock_bead(self, value: int) -> None:
        """Choose the bead whose height is held."""
        self._z_bead = int(value)

    @registerwithscript("set_z_lock_target")
    def set_z_lock_target(self, value: float | None) -> None:
        """Set the height in nm at which the bead is held; None: where it is next found."""
        self._z_target_nm = None if value is None else float(value)

    @registerwithscript("set_z_lock_interval")
    def set_z_lock_interval(self, value: float) -> None:
        """Set the seconds between two corrections."""
        self._z_interval_s = _positive("z-lock interval", value, "s")

    @registerwithscript("set_z_lock_max")
    def set_z_lock_max(self, value: float) -> None:
        """Set the largest correction in nm."""
        self._z_max_nm = _positive("z-lock max", value, "nm")

    def _newest(self) -> np.ndarray:
        assert self.tracks_buffer is not None
        return self.tracks_buffer.newest(NEWEST_ROWS)

    def shutdown(self) -> None:
        """Let go of the focus motor's telemetry."""
        if hasattr(self, "_focus"):
            self._focus.close()


def _positive(name: str, value: float, unit: str) -> float:
    if not value > 0:
        raise ValueError(f"{name} = {value!r} {unit}: expected more than 0")
    return float(value)
