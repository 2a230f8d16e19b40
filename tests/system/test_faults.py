"""Faults with signals: whatever dies or hangs, the session ends in order and says what it was."""

import json
import os
import signal
import time

import numpy as np
import psutil
import pytest
from probes import Failing, Sender
from systemtools import (
    HASTY,
    SHM,
    SLACK_S,
    as_toml,
    built,
    has_nothing_to_do,
    is_gone,
    not_clean,
    only,
    outcome,
    read_hdf5,
    session_names,
    small_rig,
    small_rois,
    wait_until,
)

import magscope.videoprocessing
from magscope.runtime import current
from magscope.shutdown import Bounds

RIG = small_rig(rois=as_toml(small_rois()))
ONE_WORKER = small_rig(rois=as_toml(small_rois()), workers=1)
MANAGERS = [
    "CameraManager",
    "VideoProcessorManager",
    "RecordingManager",
    "focus",
    "BeadLockManager",
    "ScriptManager",
]


def check_files(directory, rows):
    """See that every file opens as it is and that what was reported as saved is there (F1, S6)."""
    _, tracks = read_hdf5(only(directory, "Tracking Data *.h5"))
    assert len(tracks["bead_ids"]) == len(tracks["positions_nm"]) >= rows, "S6"
    assert tracks["frame_offsets"][-1] == len(tracks["bead_ids"])
    assert len(set(tracks["batch_sequence"])) == len(tracks["batch_sequence"]), "F3"
    _, truth = read_hdf5(only(directory, "Truth *.h5"))
    assert len(truth["frame_number"]) == len(truth["x_nm"])
    for path in directory.glob("Motor *.csv"):
        assert len({line.count(",") for line in path.read_text().splitlines()}) == 1, path
    return tracks


@pytest.mark.parametrize("name", MANAGERS)
def test_s1_s3_s5_f1_a_killed_manager_ends_the_session_in_order(live, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    saved = []

    def story(system):
        yield "saved tracks", lambda now: recorder(system)["rows_saved"] > 80
        yield "saved truth", lambda now: list(out.glob("Truth *.h5"))
        yield "all up", lambda now: {p.state for p in now.processes} == {"running"}
        system.signal(name, signal.SIGKILL)
        saved.append(recorder(system)["rows_saved"])
        while True:
            yield "the end", lambda now: False

    report = live(RIG, story, record=out, ends_by_itself=True)
    assert outcome(report, name) == ("crashed", -9), "S5"
    others = not_clean(report)
    del others[name]
    assert not others
    assert f"{name}: {name} died: killed by SIGKILL" in report.errors
    assert not report.is_clean
    assert report.shutdown_s < 1.0 + SLACK_S, "S1"
    check_files(out, saved[0])
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["outcome"] == "failed"


def recorder(system):
    return system.session.ledger.status("RecordingManager")


@pytest.mark.parametrize("name", MANAGERS)
def test_s1_s3_s5_a_stopped_manager_is_killed_within_the_bound(live, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()

    def story(system):
        yield "saved tracks", lambda now: recorder(system)["rows_saved"] > 0
        yield "saved truth", lambda now: list(out.glob("Truth *.h5"))
        yield "all up", lambda now: {p.state for p in now.processes} == {"running"}
        system.signal(name, signal.SIGSTOP)

    report = live(RIG, story, record=out, bounds=HASTY)
    assert outcome(report, name) == ("killed", -9), "S5"
    assert report.shutdown_s < HASTY.kill_s + SLACK_S, "S1"
    assert not report.is_clean
    check_files(out, 0)


def test_s1_a_stopped_manager_is_killed_within_ten_seconds_from_the_command_line(magscope_run):
    running = magscope_run("--for", 1, "--json", rig=RIG)
    running.until_up()
    managers = running.process.children
    wait_until(lambda: len(managers()) == 9, "six managers and those of three motors")
    started = running.children()
    managers()[-1].suspend()  # the script manager's, which has no lock that others wait for
    ended = running.end()
    assert ended.code == 1
    report = ended.report
    assert report["shutdown_s"] < 10.0, "S1"
    (found,) = [p for p in report["processes"] if p["outcome"] != "clean"]
    assert (found["name"], found["outcome"], found["exit_code"]) == ("ScriptManager", "killed", -9)
    assert all(is_gone(process.pid) for process in started), "S3"


def workers(system, state):
    return [w.name for w in system.now.workers if w.state == state]


def test_p2_p3_an_idle_worker_that_is_killed_is_replaced(live):
    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        system.send("ManagerProcessBase", "set_acquisition_on", False)
        yield "nothing under way", has_nothing_to_do
        yield "two idle workers", lambda now: len(workers(system, "idle")) == 2
        name = workers(system, "idle")[0]
        system.signal(name, signal.SIGKILL)
        yield (
            "its replacement",
            lambda now: (
                len(now.workers) == 2
                and "idle" in {w.state for w in now.workers if w.name == "VideoWorker-3"}
            ),
        )
        rows = system.now.tracks_rows
        system.send("ManagerProcessBase", "set_acquisition_on", True)
        yield "tracks again", lambda now: now.tracks_rows > rows
        assert system.now.frames.lost == 0

    report = live(small_rig(rois=as_toml(small_rois())), story)
    crashed = not_clean(report)
    assert list(crashed.values()) == [("crashed", -9)], "S5"
    assert report.frames.lost == 0


@pytest.mark.parametrize("deed", ["is killed", "hangs"])
def test_p2_p3_b1_a_worker_that_dies_with_a_stack_is_replaced(live, monkeypatch, deed):
    monkeypatch.setattr(magscope.videoprocessing, "HOLD_LIMIT_S", 0.5)
    since = []

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        system.send("ManagerProcessBase", "set_acquisition_on", False)
        yield "nothing under way", has_nothing_to_do
        yield "an idle worker", lambda now: workers(system, "idle")
        system.signal("VideoWorker-1", signal.SIGSTOP)
        system.send("ManagerProcessBase", "set_acquisition_on", True)
        yield "a stack in its hands", lambda now: now.flag == "RUNNING" and now.busy_count == 1
        if deed == "is killed":
            system.signal("VideoWorker-1", signal.SIGKILL)
        since.append(system.now.t_s)
        yield "its death", lambda now: system.logged("VideoWorker-1 died")
        since.append(system.now.t_s)
        rows = system.now.tracks_rows
        yield "tracks again", lambda now: now.tracks_rows > rows
        assert system.now.t_s - since[1] < 2.0 + SLACK_S, "P2"
        system.send("ManagerProcessBase", "set_acquisition_on", False)
        yield "an idle pool", has_nothing_to_do

    report = live(ONE_WORKER, story)
    assert report.frames.lost == 20, "B1"
    how = {"is killed": "crashed", "hangs": "killed"}[deed]
    assert not_clean(report) == {"VideoWorker-1": (how, -9)}, "S5"
    assert since[1] - since[0] < (0.5 if deed == "is killed" else 1.0) + SLACK_S


@pytest.mark.parametrize(("left", "how"), [(True, {}), (False, {"VideoWorker-1": "terminated"})])
def test_s5_a_worker_that_has_left_may_be_long_in_ending(live, monkeypatch, left, how):
    monkeypatch.setattr(magscope.videoprocessing, "LEAVE_S", 0.3)
    name = "run" if left else "_work"  # as an interpreter that has loaded much, on a busy computer
    work = getattr(magscope.videoprocessing.VideoWorker, name)

    def work_and_linger(self, *args):
        work(self, *args)
        current().wait([], timeout_s=30)

    monkeypatch.setattr(magscope.videoprocessing.VideoWorker, name, work_and_linger)

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0

    report = live(ONE_WORKER, story)
    assert {name: outcome for name, (outcome, _) in not_clean(report).items()} == how
    assert {p.exit_code for p in report.processes if p.name == "VideoWorker-1"} == {143}


@pytest.mark.parametrize("lock", ["VideoBuffer", "TracksBuffer", "flag"])
def test_b5_s1_death_in_a_critical_section_leaves_nobody_waiting(live, tmp_path, lock):
    scope = built(RIG, tmp_path)
    scope.add_hardware(Sender())

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        yield "all up", lambda now: {p.state for p in now.processes} == {"running"}
        system.send("Sender", "die_holding", lock)
        while True:
            yield "the end", lambda now: False

    report = live(scope, story, ends_by_itself=True)
    assert not_clean(report) == {"Sender": ("crashed", -9)}, "B5"
    assert report.shutdown_s < 1.0 + SLACK_S, "S1"


@pytest.mark.parametrize("where", ["setup", "do_main_loop"])
def test_s5_an_exception_ends_the_session_with_its_traceback_in_the_report(live, tmp_path, where):
    scope = built(RIG, tmp_path)
    scope.add_hardware(Failing(where))

    def story(system):
        while True:
            yield "the end", lambda now: False

    report = live(scope, story, ends_by_itself=True)
    assert not_clean(report) == {"Failing": ("crashed", 1)}
    (failed,) = [p for p in report.processes if p.name == "Failing"]
    assert f"it fails in {where}" in failed.traceback
    assert "Traceback" in failed.traceback
    assert any(f"it fails in {where}" in line for line in report.errors)


def test_s5_an_exception_while_closing_is_reported(live, tmp_path):
    scope = built(RIG, tmp_path)
    scope.add_hardware(Failing("shutdown"))

    def story(system):
        yield "all up", lambda now: {p.state for p in now.processes} == {"running"}

    report = live(scope, story)
    assert any("it fails in shutdown" in line for line in report.errors)
    assert not report.is_clean


def test_s4_s3_the_router_s_death_ends_every_child_and_leaves_a_truthful_manifest(
    magscope_run, tmp_path
):
    running = magscope_run("--record", "out", rig=RIG)
    running.until_up()
    wait_until(lambda: list((tmp_path / "out").glob("Tracking Data *.h5")), "a recording")
    children = wait_until(lambda: (c := running.children()) and len(c) == 11 and c, "everybody")
    running.process.kill()
    died = time.monotonic()
    wait_until(lambda: all(is_gone(child.pid) for child in children), "every child's end", 15.0)
    assert time.monotonic() - died < 5.0, "S4"
    running.end()
    assert not session_names(running.pid), "S3"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["outcome"] == "router died", "S5"
    check_files(tmp_path / "out", 0)


def test_s3_what_a_session_left_whose_every_process_was_killed_goes_at_the_next_start(
    magscope_run, live
):
    running = magscope_run(rig=RIG)
    running.until_up()
    everybody = [running.process, *running.children()]
    for process in everybody:
        process.suspend()
    assert session_names(running.pid)  # until anybody on this machine starts the next session
    for process in everybody:
        process.kill()
    running.end()
    wait_until(lambda: all(is_gone(process.pid) for process in everybody), "their end")

    def story(system):
        yield "frames", lambda now: now.frames.delivered > 0
        assert not session_names(running.pid), "S3"

    assert live(RIG, story).is_clean


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_s1_a_signal_to_the_router_is_an_orderly_end(magscope_run, number):
    running = magscope_run("--json", rig=RIG)
    children = running.until_up()
    os.kill(running.pid, number)
    ended = running.end()
    assert ended.code == 0, ended.errors
    report = ended.report
    assert report["shutdown_s"] < 1.0 + SLACK_S, "S1"
    assert all(p["outcome"] == "clean" for p in report["processes"])
    assert all(is_gone(child.pid) for child in children), "S3"
    assert "Traceback" not in ended.errors


def test_s1_ctrl_c_of_a_whole_terminal_is_an_orderly_end(magscope_run):
    running = magscope_run("--json", rig=RIG)
    for process in [*running.until_up(), running.process]:
        process.send_signal(signal.SIGINT)
    ended = running.end()
    assert ended.code == 0, ended.errors
    assert "Traceback" not in ended.errors


def test_s1_a_second_ctrl_c_does_not_wait_for_a_stopped_manager(live):
    slow = Bounds(phase_ends_s=(20.0, 25.0, 30.0), terminate_s=30.0, kill_s=30.5)

    def story(system):
        yield "all up", lambda now: {p.state for p in now.processes} == {"running"}
        system.signal("focus", signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    report = live(RIG, story, bounds=slow)
    assert outcome(report, "focus") == ("killed", -9)
    assert report.duration_s < 10.0


@pytest.mark.parametrize(
    ("moment", "reached"),
    [
        ("at once", lambda states: True),
        ("when the first is up", lambda states: "running" in states),
        ("when half are up", lambda states: states.count("running") >= 5),
        ("when all are up", lambda states: set(states) == {"running"}),
    ],
)
def test_s2_s1_quit_during_the_start_ends_in_order(live, moment, reached):
    def story(system):
        yield moment, lambda now: reached([p.state for p in now.processes])

    report = live(RIG, story)
    assert not not_clean(report)
    assert report.is_clean
    assert report.shutdown_s < 1.0 + SLACK_S, "S1"


def test_s2_many_managers_that_quit_at_once_are_one_quit(live):
    def story(system):
        yield "all up", lambda now: {p.state for p in now.processes} == {"running"}
        for name in ("CameraManager", "ScriptManager", "focus", "RecordingManager"):
            system.send(name, "quit")
        system.send("ManagerProcessBase", "quit")
        while True:
            yield "the end", lambda now: False

    report = live(RIG, story, ends_by_itself=True)
    assert report.is_clean
    told = [line.text for line in report.log if line.text.endswith("has quit")]
    assert len(told) == len(set(told)), "S2"
    assert np.sum([text.startswith("CameraManager") for text in told]) == 1


def test_s1_ctrl_c_while_the_first_processes_start_leaves_nothing(magscope_run):
    running = magscope_run("--json", rig=RIG)
    wait_until(running.children, "a first process")
    running.process.send_signal(signal.SIGINT)
    ended = running.end()
    assert ended.code in (0, 130), ended.errors
    assert "Traceback" not in ended.errors
    assert not session_names(running.pid), "S3"
    assert not [p for p in psutil.process_iter() if p.ppid() == running.pid]
    assert SHM.is_dir()
