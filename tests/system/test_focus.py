"""What moves the focus and the regions by what was tracked: Z-LUT sweeps and bead locks."""

import numpy as np
import pytest
from systemtools import ZLUT, as_toml, scripted, small_rig, small_rois, stuck_bead

from magscope.zlut import load_zlut

STUCK = stuck_bead()
ROIS = small_rois()
FAST = {"framerate_hz": 400, "n_images": 10}


def newest(system, count=40):
    """Return the newest rows of tracks."""
    return system.session.parts.matrices["TracksBuffer"].newest(count)


def z_of_stuck_nm(system, count=80):
    """Return the newest heights of the stuck bead."""
    rows = newest(system, count)
    return rows[(rows[:, 4] == STUCK) & np.isfinite(rows[:, 3]), 3]


def is_at_nm(system, z_nm, tolerance_nm, count=40):
    """Whether the newest heights of the stuck bead are there."""
    heights = z_of_stuck_nm(system, count)
    return len(heights) and abs(np.median(heights) - z_nm) < tolerance_nm


def focus_nm(now):
    return next((m.position for m in now.motors if m.name == "focus"), np.nan)


def test_a_sweep_by_script_makes_a_zlut_that_the_tracker_then_uses(live, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    script = scripted(
        tmp_path / "sweep.py",
        f"'make_zlut', 1400.0, 1400.0, 200.0, n_frames=10, beads=[{STUCK}], wait=True",
        "'move_motor', 'focus', 300.0, wait=True",
    )

    def story(system):
        yield "the sweep", lambda now: system.logged("Z-LUT sweep: 15 planes")
        yield "its mode", lambda now: now.acquisition_mode == "zlut"
        yield "the file", lambda now: system.logged("Z-LUT saved")
        yield "the script", lambda now: system.logged("script finished")
        assert focus_nm(system.now) == 300.0
        assert system.now.acquisition_mode == "track"
        yield (
            "heights of the new focus",
            lambda now: is_at_nm(system, -300.0, 30.0, 20),
        )

    report = live(
        small_rig(rois=as_toml(ROIS), zlut=None, **FAST), story, record=out, script=script
    )
    assert report.is_clean
    (path,) = out.glob("Z-LUT *.txt")
    zlut = load_zlut(path, roi_px=64)
    np.testing.assert_allclose(zlut[0], np.arange(-1400.0, 1401.0, 200.0))


@pytest.mark.parametrize("by", ["rig file", "message"])
def test_the_zlut_mode_starts_a_sweep_with_the_defaults(live, tmp_path, by):
    def story(system):
        yield "frames", lambda now: now.frames.processed > 0
        if by == "message":
            system.send("ManagerProcessBase", "set_acquisition_mode", "zlut")
        yield "the sweep", lambda now: system.logged("Z-LUT sweep: 101 planes from -2500 nm")
        yield "its first plane", lambda now: focus_nm(now) == -2500.0
        assert system.now.acquisition_mode == "zlut"
        yield "its second plane", lambda now: focus_nm(now) == -2450.0

    mode = "zlut" if by == "rig file" else "track"
    report = live(small_rig(rois=as_toml(ROIS), zlut=None, mode=mode, **FAST), story)
    assert report.is_clean
    assert not list(tmp_path.glob("Z-LUT*"))


def test_the_xy_lock_recentres_a_displaced_region_by_its_limit_at_a_time(live, tmp_path):
    displaced = small_rois(shift=(6, -6))
    script = scripted(
        tmp_path / "lock.py",
        "'set_xy_lock_max', 2",
        "'set_xy_lock_interval', 0.05",
        "'set_xy_lock_on', True",
    )
    seen = set()

    def corners(system):
        rows = newest(system, 1000)
        found = [tuple(row[4:7].astype(int)) for row in rows if np.isfinite(row[0])]
        seen.update(found)
        return set(found[-4:])

    def is_centred(system):
        return {
            (bead, *(round(edge) for edge in (x, y))) for bead, x, y in corners(system)
        } and all(
            abs(x - ROIS[bead][0]) <= 1 and abs(y - ROIS[bead][2]) <= 1
            for bead, x, y in corners(system)
        )

    def story(system):
        yield "centred regions", lambda now: is_centred(system)

    report = live(small_rig(rois=as_toml(displaced)), story, script=script)
    assert report.is_clean
    for bead in (0, 1):
        xs = sorted({x for found, x, _ in seen if found == bead})
        assert xs[-1] == displaced[bead][0]
        assert max(np.diff(xs)) <= 2


def test_one_xy_lock_recentres_a_displaced_region_at_once(live, tmp_path):
    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        system.send("BeadLockManager", "do_xy_lock")
        yield (
            "a centred region",
            lambda now: np.abs(newest(system, 2)[:, 5] - [r[0] for r in ROIS]).max() <= 1,
        )

    assert live(small_rig(rois=as_toml(small_rois(shift=(6, 6)))), story).is_clean


def test_the_z_lock_moves_the_focus_until_the_bead_is_at_its_target(live, tmp_path):
    script = scripted(
        tmp_path / "lock.py",
        f"'set_z_lock_bead', {STUCK}",
        "'set_z_lock_target', 500.0",
        "'set_z_lock_max', 300.0",
        "'set_z_lock_interval', 0.05",
        "'set_z_lock_on', True",
    )

    def story(system):
        yield "a focus below", lambda now: -560.0 < focus_nm(now) < -440.0
        yield (
            "the bead at its target",
            lambda now: is_at_nm(system, 500.0, 25.0),
        )
        system.send("BeadLockManager", "set_z_lock_on", False)

    report = live(small_rig(rois=as_toml(ROIS), zlut=ZLUT), story, script=script)
    assert report.is_clean


def test_the_z_lock_without_a_target_holds_the_bead_where_it_was_found(live, tmp_path):
    script = scripted(
        tmp_path / "lock.py",
        f"'set_z_lock_bead', {STUCK}",
        "'do_z_lock', wait=True",
        "'move_motor', 'focus', 400.0, wait=True",
    )

    def story(system):
        yield "heights", lambda now: len(z_of_stuck_nm(system)) > 20
        system.send("ScriptManager", "load_script", str(script))
        system.send("ScriptManager", "start_script")
        yield "a bead that has moved", lambda now: is_at_nm(system, -400.0, 40.0, 200)
        system.send("BeadLockManager", "do_z_lock")
        yield "the focus back", lambda now: abs(focus_nm(now)) < 60.0

    assert live(small_rig(rois=as_toml(ROIS), zlut=ZLUT), story).is_clean
