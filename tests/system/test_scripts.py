"""Scripts run against the whole system: every step, its wait, and what stops them."""

import numpy as np
import pytest
from systemtools import as_toml, scripted, small_rig, small_rois

RIG = small_rig(rois=as_toml(small_rois()), workers=1)


def step_times(system):
    """Return when each note of a script was written, by its text."""
    return {
        line.text.removeprefix("note: "): line.t_s
        for line in system.session.log
        if line.text.startswith("note: ")
    }


def motor(now, name):
    return next(m for m in now.motors if m.name == name)


def test_a_script_waits_for_moves_setters_and_sleeps(live, tmp_path):
    script = scripted(
        tmp_path / "script.py",
        "'note', 'a'",
        "'move_motor', 'magnet_height', 3e6, wait=True",
        "'note', 'moved', wait=True",
        "'set_acquisition_on', False, wait=True",
        "'note', 'off', wait=True",
        "'sleep', 0.3, wait=True",
        "'note', 'slept'",
        "'move_motor_by', 'magnet_rotation', 2.0, wait=True",
        "'set_acquisition_on', True, wait=True",
        "'note', 'end'",
    )
    seen = {}

    def look(system, now):
        for name in step_times(system):
            seen.setdefault(name, now)
        return "end" in seen

    def story(system):
        yield "the last note", lambda now: look(system, now)
        yield "the script's end", lambda now: system.logged("script finished")
        yield "acquisition on", lambda now: now.acquisition_on
        times = step_times(system)
        # 2 mm at 5 mm/s and 50 mm/s2.
        assert times["moved"] - times["a"] >= 0.45
        assert motor(seen["moved"], "magnet_height").position == 3e6
        assert not seen["off"].acquisition_on
        assert times["slept"] - times["off"] >= 0.3
        assert motor(system.now, "magnet_rotation").position == 2.0

    assert live(RIG, story, script=script).is_clean


def test_a_script_in_the_existing_style_runs_every_registered_name(live, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    script = scripted(
        tmp_path / "script.py",
        f"'set_acquisition_dir', {str(out)!r}",
        "'set_acquisition_dir_on', True",
        "'set_acquisition_mode', 'track'",
        "'set_acquisition_on', True",
        "'set_xy_lock_interval', 5",
        "'set_xy_lock_max', 3",
        "'set_xy_lock_on', False",
        "'do_xy_lock'",
        "'set_z_lock_interval', 5",
        "'set_z_lock_max', 100",
        "'set_z_lock_bead', 0",
        "'set_z_lock_target', 0.0",
        "'set_z_lock_on', False",
        "'do_z_lock'",
        "'sleep', 0.1",
        "'set_acquisition_dir_on', False, wait=True",
    )

    def story(system):
        yield "the script's end", lambda now: system.logged("script finished")

    report = live(RIG, story, script=script)
    assert report.is_clean
    slow = ("the workers are too slow", "did not keep up")  # as a busy machine may be
    assert not [line for line in report.warnings if not any(words in line for words in slow)]
    assert list(out.glob("Tracking Data *.h5"))


def test_a_step_that_fails_stops_the_script_and_is_named(live, tmp_path):
    script = scripted(
        tmp_path / "script.py",
        "'sleep', 0.01",
        "'move_motor', 'focus', 1e9, wait=True",
        "'note', 'never'",
    )

    def story(system):
        yield "an error", lambda now: system.logged("script stopped at step 2")
        assert motor(system.now, "focus").position == 0.0
        yield "life goes on", lambda now: now.frames.processed > 60

    report = live(RIG, story, script=script)
    assert not report.is_clean
    (told,) = [line for line in report.errors if "script stopped" in line]
    assert "move_absolute" not in told
    assert "move_motor" in told
    assert "1e+09" in told
    assert not any("never" in line.text for line in report.log)


def test_a_step_that_fails_without_wait_is_reported_too(live, tmp_path):
    script = scripted(tmp_path / "script.py", "'move_motor', 'focus', 1e9", "'sleep', 0.1")

    def story(system):
        yield "the error", lambda now: system.logged("move_motor failed")

    report = live(RIG, story, script=script)
    assert not report.is_clean


def test_a_paused_script_goes_on_where_it_was(live, tmp_path):
    script = scripted(
        tmp_path / "script.py", "'note', 'a'", "'sleep', 0.4", "'note', 'b'", "'note', 'c'"
    )

    def story(system):
        yield "the sleep", lambda now: "a" in step_times(system)
        system.send("ScriptManager", "pause_script")
        at = system.now.t_s
        yield "longer than the sleep", lambda now: now.t_s > at + 0.6
        assert "b" not in step_times(system)
        system.send("ScriptManager", "resume_script")
        yield "the rest", lambda now: "c" in step_times(system)
        times = step_times(system)
        assert times["b"] - times["a"] >= 0.9
        yield "the script's end", lambda now: system.logged("script finished")

    assert live(RIG, story, script=script).is_clean


def test_a_script_is_loaded_and_started_while_running(live, tmp_path):
    script = scripted(tmp_path / "script.py", "'note', 'a', wait=True")

    def story(system):
        yield "frames", lambda now: now.frames.delivered > 0
        system.send("ScriptManager", "load_script", str(script))
        system.send("ScriptManager", "start_script")
        yield "its end", lambda now: system.logged("script finished")
        assert "a" in step_times(system)
        system.send("ScriptManager", "start_script")
        yield (
            "its second end",
            lambda now: sum(x.text == "note: a" for x in system.session.log) == 2,
        )

    assert live(RIG, story).is_clean


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (["'set_aquisition_on', True"], "set_aquisition_on"),
        (["'sleep', 0.1", "'sleep'"], "step 2"),
        (["'move_motor', 'magnets', 1.0"], "magnets"),
        (["'sleep', 1, 2"], "step 1"),
        (["undefined"], "NameError"),
    ],
)
def test_a_script_that_can_not_run_is_one_line_and_exit_code_2(magscope_run, tmp_path, steps, told):
    script = scripted(tmp_path / "script.py", *steps)
    ended = magscope_run("--for", 5, "--script", script, "--json").end()
    assert ended.code == 2
    assert not ended.output
    assert len(ended.errors.splitlines()) == 1
    assert told in ended.errors
    assert "--script" in ended.errors


def test_the_magnets_pull_the_tethered_bead_as_a_script_says(live, tmp_path):
    script = scripted(tmp_path / "script.py", "'move_motor', 'magnet_height', 1e7, wait=True")

    def z_nm(system):
        rows = system.session.parts.matrices["TracksBuffer"].newest(80)
        return [np.nanmean(rows[rows[:, 4] == bead, 3]) for bead in (0, 1)]

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 80
        before = z_nm(system)
        yield "the script's end", lambda now: system.logged("script finished")
        yield (
            "a shorter tether",
            lambda now: max(a - b for a, b in zip(before, z_nm(system), strict=True)) > 100.0,
        )

    rig = small_rig(rois=as_toml(small_rois()), more=FAST_MAGNETS)
    assert live(rig, story, script=script).is_clean


FAST_MAGNETS = """
[motors.magnet_height]
driver = "sim.magnet-height"
options = { speed_nm_per_s = 2e7, acceleration_nm_per_s2 = 1e9 }
[motors.focus]
driver = "sim.focus"
"""
