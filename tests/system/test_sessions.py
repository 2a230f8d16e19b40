"""Several systems: side by side, one after the other, and never two in one process."""

import sys
from pathlib import Path

import psutil
import pytest
from systemtools import as_toml, built, session_names, small_rig, small_rois

from magscope.rig import RigFile
from magscope.scope import MagScope

RIG = small_rig(rois=as_toml(small_rois()), workers=1)
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_two_systems_run_side_by_side(live, magscope_run):
    running = magscope_run("--json", rig=RIG)
    running.until_up()

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        assert session_names(running.pid)
        assert running.process.poll() is None

    assert live(RIG, story).is_clean
    assert session_names(running.pid), "the other's shared memory was taken"
    assert running.process.poll() is None
    running.process.terminate()
    ended = running.end()
    assert ended.code == 0, ended.errors
    assert ended.report["frames"]["delivered"] > 0


def test_a_second_system_in_one_process_is_refused(live, tmp_path):
    scope = built(RIG, tmp_path)
    with pytest.raises(TypeError, match="MagScope is a singleton"):
        MagScope()

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0

    assert live(scope, story).is_clean


def test_two_sessions_run_one_after_the_other_in_one_process(live):
    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0

    first = live(RIG, story)
    second = live(RIG, story)
    assert first.is_clean
    assert second.is_clean


def test_a_system_that_could_not_be_built_can_be_built_again(live, tmp_path):
    wrong = RigFile.model_validate({"camera": {"driver": "nowhere:Camera"}, "motors": {
        "focus": {"driver": "nowhere:Focus"}}})  # fmt: skip
    with pytest.raises(Exception, match="nowhere"):
        MagScope(rig=wrong)

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0

    assert live(RIG, story).is_clean


@pytest.mark.skipif(sys.platform != "linux", reason="CPU times of processes, as Linux counts them")
def test_an_idle_system_uses_next_to_no_cpu(live):
    spent = {}

    def cpu_s(system):
        found = {}
        for process in system.now.processes:
            times = psutil.Process(process.pid).cpu_times()
            found[process.name] = times.user + times.system
        for worker in system.now.workers:
            times = psutil.Process(system.pid(worker.name)).cpu_times()
            found[worker.name] = times.user + times.system
        return found

    def story(system):
        yield "all up", lambda now: {p.state for p in now.processes} == {"running"}
        yield "an idle worker", lambda now: {w.state for w in now.workers} == {"idle"}
        before, at = cpu_s(system), system.now.t_s
        yield "two seconds", lambda now: now.t_s > at + 2.0
        spent.update({name: used - before[name] for name, used in cpu_s(system).items()})

    report = live(small_rig(on=False, workers=1), story)
    assert report.is_clean
    del spent["CameraManager"]
    assert len(spent) == 9
    assert {name: used for name, used in spent.items() if used > 0.1} == {}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_emulated_genicam_camera_shows_frames(magscope_run, method):
    how = ("--for", 1, "--json", "--start-method", method)
    ended = magscope_run(EXAMPLES / "genicam.toml", *how).end()
    assert ended.code == 0, ended.errors
    assert ended.report["frames"]["delivered"] > 0


def test_micro_manager_s_demonstration_camera_shows_frames(magscope_run):
    ended = magscope_run(EXAMPLES / "micromanager.toml", "--for", 1, "--json").end()
    assert ended.code == 0, ended.errors
    assert ended.report["frames"]["delivered"] > 0
