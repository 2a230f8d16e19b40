"""Recordings in worlds: a kill, or a full disk, at operations on files of each kind.

`step_world.py` beside this tries every single operation.
"""

import gc
from pathlib import Path

import h5py
import pytest

from magscope.recording import names
from magscope.recording.manifest import read_manifest


def one_of_each_kind(operations):
    """Return the middle one of the operations of each process and kind."""
    kinds = {}
    for operation in operations:
        kinds.setdefault((operation.process, operation.site), []).append(operation)
    return [of_a_kind[len(of_a_kind) // 2] for of_a_kind in kinds.values()]


def open_descriptors():
    gc.collect()  # what earlier tests have left is closed only when it is collected
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_recording_in_a_world_is_whole_and_what_was_reported(usual):
    assert usual.outcome.violations == ()
    assert usual.problems == ()
    assert usual.rows > 0
    kinds = {name.split(" ")[0] for name in usual.names}
    assert kinds == {"Tracking", "Video", "Truth", "Motor", "manifest.json"}


def test_every_operation_on_a_file_is_a_step_whose_text_is_the_same_everywhere(
    usual, world_recording, monkeypatch
):
    steps = world_recording.operations(usual)
    assert {step.process for step in steps} == {"MagScope", "RecordingManager", "VideoWorker-1"}
    here = names._local_time
    monkeypatch.setattr(names, "_local_time", lambda us: here(us + 9 * 3600 * 1_000_000))
    elsewhere = world_recording.record()
    assert elsewhere.names != usual.names
    assert elsewhere.outcome.trace_hash == usual.outcome.trace_hash


def test_f3_the_manifest_has_the_rows_of_each_file_of_a_recording_that_takes_several(
    world_recording, tmp_path, monkeypatch
):
    monkeypatch.setitem(world_recording.RIG.settings, "tracks file max bytes", 1)
    outcome = world_recording.world(tmp_path).finish()
    assert outcome.violations == ()
    stated = {f.name: f.rows for f in read_manifest(tmp_path).files if f.kind == "tracks"}
    found = {}
    for path in tmp_path.glob("Tracking Data *.h5"):
        with h5py.File(path) as file:
            found[path.name] = len(file["tracking/bead_ids"])
    assert len(found) > 2
    assert stated == found


@pytest.mark.parametrize("process", ["RecordingManager", "VideoWorker-1", "MagScope"])
def test_f1_f3_a_kill_at_an_operation_on_a_file_leaves_what_was_reported(
    usual, world_recording, process
):
    chosen = [
        operation
        for operation in one_of_each_kind(world_recording.operations(usual))
        if operation.process == process
    ]
    assert len(chosen) >= 5
    before = open_descriptors()
    wrong = {
        f"{operation}: {line}"
        for operation in chosen
        for line in world_recording.wrong_after_kill(operation)
    }
    assert wrong == set()
    assert open_descriptors() <= before, "a killed process keeps files open"


@pytest.mark.parametrize("process", ["RecordingManager", "VideoWorker-1", "MagScope"])
def test_f2_a_full_disk_stops_the_recording_alone_and_it_can_be_switched_on_again(
    usual, world_recording, process
):
    chosen = [
        operation
        for operation in one_of_each_kind(world_recording.operations(usual))
        if operation.process == process and operation.site not in ("file.remove", "file.patch")
    ]
    wrong = {
        f"{operation}: {line}"
        for operation in chosen
        for line in world_recording.wrong_after_full_disk(operation, usual)
    }
    assert wrong == set()


@pytest.mark.parametrize(
    ("process", "site", "hit"),
    [
        ("RecordingManager", "file.flush", 2),
        ("RecordingManager", "file.patch", 1),
        ("VideoWorker-1", "file.close", 1),
        ("MagScope", "file.fsync", 2),
    ],
)
def test_a_killed_process_never_writes_another_byte(world_recording, tmp_path, process, site, hit):
    crash = world_recording.Crash(process, site=site, hit=hit)
    run = world_recording.world(tmp_path, faults=[crash])

    def content():
        return {path.name: path.read_bytes() for path in Path(tmp_path).iterdir()}

    at_its_end, end = {}, run.machine.end

    def overheard(process, code, **how):
        at_its_end.setdefault(process.name, content())
        end(process, code, **how)

    run.machine.end = overheard
    assert run.run_until(lambda: process in at_its_end)
    before = open_descriptors()
    with run.watch:
        run.machine.close()
    assert content() == at_its_end[process]
    assert open_descriptors() <= before
