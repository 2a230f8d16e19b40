import json

import pytest

from hal import Identity
from magscope.recording.errors import RecordingError
from magscope.recording.manifest import (
    FileRecord,
    Manifest,
    device_record,
    installed_versions,
    mark_ended,
    read_manifest,
    write_manifest,
)


@pytest.fixture
def manifest():
    identity = Identity("maker", "model", "42", "some.driver", is_real=True)
    return Manifest(
        session_id="s1",
        started_ns=10,
        seed=7,
        rig_file='[camera]\ndriver = "some.driver"  # µ\n',
        versions=installed_versions(),
        devices=(device_record("camera", identity, settings={"exposure_us": 5000}),),
        files=(FileRecord("tracks", "a.h5"),),
    )


def test_a_manifest_comes_back_as_it_was_written(tmp_path, manifest):
    path = write_manifest(tmp_path, manifest)
    assert path.name == "manifest.json"
    assert read_manifest(tmp_path) == manifest
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["outcome"] == "running"
    assert data["devices"][0]["identity"]["is_real"] is True
    assert data["versions"]["magtrack"].startswith("1.0")


def test_the_end_is_written_with_what_is_known_then(tmp_path, manifest):
    write_manifest(tmp_path, manifest)
    mark_ended(tmp_path, "clean", ended_ns=99, frames={"delivered": 3}, errors=("one",))
    ended = read_manifest(tmp_path)
    assert (ended.outcome, ended.ended_ns) == ("clean", 99)
    assert ended.frames == {"delivered": 3}
    assert ended.errors == ("one",)
    assert ended.rig_file == manifest.rig_file


def test_a_survivor_never_overwrites_a_final_outcome(tmp_path, manifest):
    write_manifest(tmp_path, manifest)
    mark_ended(tmp_path, "clean", ended_ns=99)
    assert mark_ended(tmp_path, "router died", ended_ns=100).outcome == "clean"
    assert read_manifest(tmp_path).ended_ns == 99


def test_several_survivors_may_mark_the_routers_death_and_the_first_stands(tmp_path, manifest):
    write_manifest(tmp_path, manifest)
    mark_ended(tmp_path, "router died", ended_ns=50)
    mark_ended(tmp_path, "router died", ended_ns=60)
    assert read_manifest(tmp_path).ended_ns == 50
    assert mark_ended(tmp_path, "failed", ended_ns=70).outcome == "failed"


def test_running_is_no_end(tmp_path, manifest):
    write_manifest(tmp_path, manifest)
    with pytest.raises(ValueError, match="outcome = 'running'"):
        mark_ended(tmp_path, "running", ended_ns=1)


def test_a_write_that_fails_leaves_the_old_manifest_and_nothing_else(
    tmp_path, manifest, monkeypatch
):
    write_manifest(tmp_path, manifest)

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(RecordingError, match=r"can not write .*manifest\.json"):
        mark_ended(tmp_path, "clean", ended_ns=1)
    assert read_manifest(tmp_path) == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_what_is_no_manifest_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="is no recording: it has no manifest"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"session_id": ')
    with pytest.raises(RecordingError, match="is not a manifest"):
        read_manifest(tmp_path)


def test_a_manifest_of_a_later_version_with_more_fields_is_read(tmp_path, manifest):
    path = write_manifest(tmp_path, manifest)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"later": 1}))
    assert read_manifest(tmp_path).session_id == "s1"


def test_a_missing_directory_is_refused_with_one_clear_line(tmp_path, manifest):
    with pytest.raises(RecordingError, match="does not exist: make it"):
        write_manifest(tmp_path / "missing", manifest)
