import json
import subprocess
import sys

import h5py
import pytest

import sim
from magscope.recording.manifest import read_manifest
from magscope.scripting import Script, ScriptError
from sim.faults import CameraDrop, Crash, Delay, Drop, FaultPlan, FileGone, Hang
from sim.properties.ring import Ring
from sim.world.plan import Action, Failure, Plan
from sim.world.world import minimised, run_plan

MANAGERS = [
    "CameraManager", "VideoProcessorManager", "RecordingManager", "magnet_height", "focus",
    "BeadLockManager", "ZLutManager", "ScriptManager",
]  # fmt: skip


def test_a_session_runs_to_its_end_in_virtual_time(small):
    outcome = sim.run(small, seed=1, for_s=2.0)
    assert outcome.violations == ()
    assert outcome.report.is_clean
    assert outcome.virtual_s == pytest.approx(2.0, abs=0.1)
    assert outcome.account.delivered > 180
    assert outcome.account.processed >= 160
    assert outcome.report.tracks_rows == outcome.account.processed
    assert outcome.account.balances
    assert outcome.report.fps == pytest.approx(100, abs=1)


@pytest.mark.parametrize("schedule", ["fifo", "random", "pos", "jitter", "pct", "pct(5)"])
def test_the_same_seed_gives_the_same_trace_and_another_one_another(small, schedule):
    first, second = (sim.run(small, seed=3, for_s=0.6, schedule=schedule) for _ in range(2))
    other = sim.run(small, seed=4, for_s=0.6, schedule=schedule)
    assert first.trace_hash == second.trace_hash
    assert first.steps == second.steps
    assert first.violations == second.violations == other.violations == ()
    if schedule != "fifo":
        assert other.trace_hash != first.trace_hash
        assert first.plan.deviations


def test_a_run_without_deviations_is_first_in_first_out(small):
    outcome = sim.run(small, seed=1, for_s=0.3)
    assert outcome.plan.deviations == ()
    assert outcome.plan.causes == []


@pytest.mark.parametrize("name", [*MANAGERS, "VideoWorker-1", "MagScope"])
@pytest.mark.parametrize("at_s", [0.05, 0.7])
def test_s1_s3_whoever_is_killed_everything_ends_and_nothing_is_left(small, name, at_s):
    outcome = sim.run(small, seed=2, for_s=1.0, faults=[Crash(name, at_s=at_s)])
    assert outcome.violations == ()
    assert outcome.struck == (Crash(name, at_s=at_s),)
    if name != "MagScope":
        ended = {p.name: p for p in outcome.report.processes}
        assert ended[name].outcome == "crashed"
        assert ended[name].exit_code == -9
        assert outcome.account.balances


@pytest.mark.parametrize("hit", range(1, 12))
def test_p2_wherever_a_worker_dies_in_its_task_tracking_goes_on(small, hit):
    fault = Crash("VideoWorker-1", site="lock.acquire", hit=hit)
    outcome = sim.run(small, seed=2, for_s=3.0, faults=[fault])
    assert outcome.violations == ()
    assert outcome.account.lost <= 20
    if outcome.struck:
        assert outcome.account.processed > 200, "P2"


@pytest.mark.parametrize("name", [*MANAGERS, "VideoWorker-1"])
def test_s1_whoever_hangs_for_good_is_killed_within_the_bound(small, name):
    outcome = sim.run(small, seed=2, for_s=1.0, faults=[Hang(name, at_s=0.7)])
    assert outcome.violations == ()
    if name != "VideoWorker-1":
        assert outcome.report.shutdown_s <= 10.0
        ended = {p.name: p.outcome for p in outcome.report.processes}
        assert ended[name] == "killed"


def test_what_hangs_for_a_while_goes_on_afterwards(small):
    outcome = sim.run(small, seed=2, for_s=3.0, faults=[Hang("CameraManager", 0.5, for_s=1.0)])
    assert outcome.violations == ()
    assert outcome.report.is_clean
    assert outcome.account.device_lost > 0
    assert outcome.account.processed > 100


SLOW = """
[camera]
driver = "sim.devices.truth:TruthCamera"
options = { framerate_hz = 200, n_tethered = 1, queue_frames = 8 }
[motors]
[beads]
rois = [[0, 16, 0, 16]]
roi_px = 16
tracker = "sim.truth_tracker:read_truth_slowly"
[settings]
"video processors n" = 1
"video buffer n images" = 5
"video buffer n stacks" = 2
"""


@pytest.mark.parametrize(
    ("text", "faults", "why"),
    [
        (SLOW, (), "the video buffer was full, as the workers are too slow"),
        (SLOW.replace("_slowly", ""), (CameraDrop("CameraManager", at_s=0.3, frames=3),),
         "the connection to the camera did not keep up"),
    ],
    ids=["slow-workers", "dropped"],
)  # fmt: skip
def test_b1_frames_that_the_camera_loses_are_told_with_the_reason(text, faults, why, tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(text)
    outcome = sim.run(path, for_s=2.0, faults=faults)
    assert outcome.violations == ()
    assert outcome.account.device_lost > 0
    told = [line for line in outcome.report.warnings if "frames lost by the camera" in line]
    assert any(why in line for line in told), outcome.report.warnings


@pytest.mark.parametrize("hit", [1, 2, 5])
def test_s1_a_lost_message_does_not_keep_a_session_from_ending(small, hit):
    outcome = sim.run(small, seed=2, for_s=1.0, faults=[Drop("CameraManager", hit=hit)])
    assert outcome.violations == ()


def test_who_is_held_up_is_only_late(small):
    fault = Delay("MagScope", site="wait", hit=8, for_s=0.3)
    outcome = sim.run(small, seed=2, for_s=1.0, faults=[fault])
    assert outcome.violations == ()
    assert outcome.report.is_clean
    assert outcome.struck == (fault,)


def test_a_fault_whose_moment_does_not_come_is_reported(small):
    fault = Crash("focus", site="no.such.site", hit=3)
    outcome = sim.run(small, seed=2, for_s=0.2, faults=[fault])
    assert outcome.unreached == (fault,)


def test_a_world_is_run_step_by_step(small):
    world = sim.World(small, seed=1)
    assert world.run_until(lambda: world.scope is not None)
    names = {"VideoWorker-1", "focus"}
    assert world.run_until(
        lambda: names <= {p.name for p in world.machine.processes.values() if p.has_entered}
    )
    world.run_for(0.5)
    assert world.now_s == pytest.approx(0.5, abs=0.01)
    world.inject(Hang("focus", at_s=0.6))
    world.run_for(1.0)
    world.heal()
    world.run_for(1.0)
    world.stop()
    outcome = world.finish()
    assert outcome.violations == ()
    assert outcome.report.is_clean


def test_thousands_of_worlds_live_in_one_process_one_after_the_other(small):
    hashes = {sim.run(small, seed=1, for_s=0.01, keep_trace=False).trace_hash for _ in range(10)}
    assert len(hashes) == 1


def test_a_world_records_what_a_real_run_records_and_says_where_it_ran(small, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    outcome = sim.run(small, seed=1, for_s=1.5, record=out)
    assert outcome.violations == ()
    manifest = read_manifest(out)
    assert manifest.runtime == "virtual world"
    assert manifest.outcome == "clean"
    assert not any(device.identity["is_real"] for device in manifest.devices)
    with h5py.File(next(out.glob("Tracking Data *.h5")), "r") as file:
        assert len(file["tracking/bead_ids"]) == outcome.report.tracks_rows


def test_a_script_runs_in_a_world(small, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from magscope.scripting import Script\n"
        "script = Script()\n"
        "script('move_motor', 'magnet_height', 1.5e6, wait=True)\n"
        "script('sleep', 1.0)\n"
        "script('move_motor', 'focus', 1000.0, wait=True)\n"
    )
    outcome = sim.run(small, seed=1, for_s=6.0, script=script, keep_trace=True)
    assert outcome.violations == ()
    assert any("script finished" in step.detail for step in outcome.trace.steps)
    assert run_plan(outcome.plan).trace_hash == outcome.trace_hash


def test_a_wrong_script_is_a_violation_that_names_its_mistake(small, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from magscope.scripting import Script\nScript()\n")
    outcome = sim.run(small, for_s=0.1, script=script)
    assert ScriptError.__name__ in outcome.violations[0]


def test_a_script_that_is_no_file_is_refused(small):
    with pytest.raises(ScriptError, match=r"the path of a file that makes one, got a Script"):
        sim.run(small, for_s=0.1, script=Script())


def test_an_error_that_no_fault_explains_fails_the_run_and_replays(fragile, tmp_path):
    outcome = sim.run(fragile, seed=5, for_s=1.0, schedule="random")
    assert "the fragile device is broken" in outcome.violations[0]
    smaller, runs = minimised(outcome)
    assert smaller.plan.causes == [], "no deviation is needed for it"
    assert runs == 1
    smaller.failure().save(tmp_path / "failure.json")
    again = run_plan(Failure.load(tmp_path / "failure.json").plan, stop_at_violation=True)
    assert again.trace_hash == smaller.trace_hash
    assert again.violations == smaller.violations


def command(*words, cwd):
    program = [sys.executable, "-m", "magscope", *map(str, words)]
    return subprocess.run(program, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_run_replay_and_tell_a_failure(fragile, tmp_path):
    ended = command("sim", fragile, "--for", 1, "--seed", 5, "--json", cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    facts = json.loads(ended.stdout)
    assert facts["violations"]
    assert facts["report"]["frames"]["delivered"] > 0
    told = command("trace", "failure.json", cwd=tmp_path)
    assert told.returncode == 0
    assert "the fragile device is broken" in told.stdout
    assert len(told.stdout.splitlines()) <= 20
    again = command("replay", "failure.json", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["same_hash"]


def test_a_run_with_faults_tells_what_became_of_them(small, tmp_path):
    (tmp_path / "record").mkdir()
    gone = FileGone("RecordingManager", site="file.flush", hit=4)
    plan = FaultPlan((gone, Crash("VideoWorker-1", state="flag RUNNING")))
    plan.save(tmp_path / "plan.json")
    ended = command(
        "sim", small, "--for", 1, "--faults", "plan.json", "--record", "record", cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert f"fault: {gone}" in lines
    assert "ended: VideoWorker-1 crashed" in lines
    assert any("VideoWorker-1 died: killed by SIGKILL" in line for line in lines)
    assert any("error: RecordingManager: recording stopped: " in line for line in lines)
    assert lines[-1] == "nothing was violated"


def test_the_commands_refuse_bad_input_in_one_line(small, tmp_path):
    (tmp_path / "old.json").write_text('{"version": 0}')
    (tmp_path / "plan.json").write_text('{"version": 1, "faults": [{"kind": "melt"}]}')
    for words, said in (
        (("replay", "old.json"), "this program reads version 1"),
        (("trace", "missing.json"), "missing.json"),
        (("sim", small, "--faults", "plan.json"), "choose one of crash"),
        (("sim", small, "--schedule", "luck"), "choose fifo, random"),
        (("sim", small, "--for", "0"), "above 0"),
        (("sim", "none.toml"), "no such rig file"),
    ):
        ended = command(*words, cwd=tmp_path)
        assert ended.returncode == 2, words
        assert said in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr


def test_a_stack_that_was_given_back_is_scribbled_over_but_for_the_newest_frame(small):
    world = sim.World(small, seed=1)
    finished = []
    world.trace.observe("note.flag", lambda step: finished.append(step.detail))
    world.run_until(lambda: any(detail.startswith("FINISHED") for detail in finished), 2.0)
    (memory,) = [
        block for (_, name), block in world.machine.memory.items() if name == "VideoBuffer"
    ]
    numbers = Ring(memory, tells_truth=True)
    looks = [numbers.look(index) for index in range(numbers.written)]
    assert looks[0].number == looks[0].time_ns == -1
    assert looks[-1].number == numbers.written - 1
    world.stop()
    assert world.finish().violations == ()


def test_who_watches_a_session_and_who_reads_its_rows_is_told_the_truth(small):
    actions = [
        Action(0.0, "MagScope", "look", args=(0.1,)),
        Action(0.1, "Probe-1", "read", "TracksBuffer", "read", (0.2, 3)),
        Action(0.2, "Probe-1", "read", "TracksBuffer", "newest", (0.2, 3)),
    ]
    outcome = sim.run(small, seed=2, for_s=1.0, actions=actions)
    assert outcome.violations == ()
    looks = [step for step in outcome.trace.steps if step.site == "note.snapshot"]
    reads = [step for step in outcome.trace.steps if step.site == "note.rows"]
    assert len(looks) > 5
    assert len(reads) == 12
    assert Plan.from_json(outcome.plan.to_json()) == outcome.plan


@pytest.mark.parametrize(("who", "do"), [("Probe-1", "look"), ("MagScope", "read")])
def test_only_the_router_is_looked_at_and_only_probes_read(who, do):
    with pytest.raises(ValueError, match=f"{who} can not {do}"):
        Action(0.0, who, do)
