"""A recorded session: its tracks are true, its files are those that analysis scripts read."""

import csv
import json
import signal

import numpy as np
from systemtools import (
    SLACK_S,
    as_toml,
    expected_frames,
    frame_numbers,
    only,
    read_hdf5,
    read_video,
    rows_saved,
    small_rig,
    small_rois,
    wait_until,
)

LAYOUT = {
    "frame_timestamps_ns": "uint64",
    "frame_offsets": "uint64",
    "frame_batch_sequence": "uint64",
    "bead_ids": "uint16",
    "positions_nm": "float64",
    "roi_positions_px": "uint16",
    "batch_sequence": "uint64",
    "batch_frame_start": "uint64",
    "batch_frame_count": "uint64",
    "batch_record_start": "uint64",
    "batch_record_count": "uint64",
}
OUR_OWN = {"frame_numbers": "uint64"}


def errors_of_tracks_nm(directory):
    """Return tracked minus true positions, `(n, 3)`: the true bead is the nearest in x and y."""
    _, tracks = read_hdf5(only(directory, "Tracking Data *.h5"))
    _, truth = read_hdf5(only(directory, "Truth *.h5"))
    frame_of = np.repeat(
        tracks["frame_timestamps_ns"], np.diff(tracks["frame_offsets"]).astype(int)
    )
    rows_of = {}
    for row, time in enumerate(truth["timestamp_ns"]):
        rows_of.setdefault(time, []).append(row)
    true = np.stack([truth["x_nm"], truth["y_nm"], truth["z_nm"]], axis=1)
    errors = []
    for time, position in zip(frame_of, tracks["positions_nm"], strict=True):
        beads = true[rows_of[time]]
        distances = np.hypot(*(beads[:, :2] - position[:2]).T)
        errors.append(position - beads[distances.argmin()])
    return np.array(errors)


def test_the_default_rig_records_tracks_that_follow_the_truth(magscope_run, tmp_path):
    out = tmp_path / "out"
    running = magscope_run("--record", "out", "--json")
    wait_until(lambda: rows_saved(out) >= 800, "tracks on disk")
    running.process.send_signal(signal.SIGINT)
    ended = running.end()
    assert ended.code == 0, ended.errors
    report = ended.report
    assert report["shutdown_s"] < 1.0 + SLACK_S, "S1"
    errors = errors_of_tracks_nm(out)
    assert len(errors) == report["tracks_rows"], "F3"
    rms_nm = np.sqrt(np.nanmean(errors**2, axis=0))
    assert np.isfinite(errors).mean() > 0.99
    assert rms_nm[:2].max() <= 5.0, f"x, y, z: {rms_nm} nm"
    assert rms_nm[2] <= 40.0, f"x, y, z: {rms_nm} nm"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["outcome"] == "clean"
    assert manifest["frames"] == report["frames"]
    assert {d["role"]: d["identity"]["is_real"] for d in manifest["devices"]} == {
        "camera": False,
        "magnet_height": False,
        "magnet_rotation": False,
        "focus": False,
    }


def test_a_recording_has_the_layout_that_analysis_scripts_read(live, tmp_path):
    out = tmp_path / "out"
    out.mkdir()

    def story(system):
        yield "tracks", lambda now: now.frames.processed >= 60
        yield "all in files", lambda now: now.busy_count == 0

    report = live(small_rig(rois=as_toml(small_rois())), story, record=out)
    attributes, data = read_hdf5(only(out, "Tracking Data *.h5"))
    manifest = json.loads((out / "manifest.json").read_text())
    assert {name: str(values.dtype) for name, values in data.items()} == LAYOUT | OUR_OWN
    assert set(attributes) == {
        "schema_version",
        "include_roi_positions",
        "record_order",
        "batch_sequence_order",
        "recording_id",
        "recording_start_ns",
        "file_start_ns",
    }
    assert attributes["schema_version"] == 1
    assert bool(attributes["include_roi_positions"]) is True
    assert attributes["record_order"] == "writer_append_order"
    assert attributes["batch_sequence_order"] == "video_task_enqueue_order"
    assert attributes["recording_id"] == manifest["session_id"]
    assert attributes["recording_start_ns"] == manifest["started_ns"]
    assert attributes["file_start_ns"] >= attributes["recording_start_ns"]

    n_frames, n = len(data["frame_timestamps_ns"]), len(data["bead_ids"])
    n_batches = len(data["batch_sequence"])
    assert n_frames == report.frames.processed
    assert n == report.tracks_rows == 2 * n_frames
    assert data["positions_nm"].shape == (n, 3)
    assert data["roi_positions_px"].shape == (n, 2)
    assert data["frame_offsets"].tolist() == list(range(0, n + 1, 2))
    assert data["frame_batch_sequence"].tolist() == np.repeat(data["batch_sequence"], 20).tolist()
    assert data["batch_frame_start"].tolist() == list(range(0, n_frames, 20))
    assert data["batch_frame_count"].tolist() == [20] * n_batches
    assert data["batch_record_start"].tolist() == list(range(0, n, 40))
    assert data["batch_record_count"].tolist() == [40] * n_batches
    for start in data["batch_frame_start"].astype(int):
        times_ns = data["frame_timestamps_ns"][start : start + 20].astype(np.int64)
        numbers = data["frame_numbers"][start : start + 20].astype(np.int64)
        assert (np.diff(numbers) > 0).all(), "B3"
        np.testing.assert_array_equal(np.diff(times_ns), 5_000_000 * np.diff(numbers))


def test_the_manifest_names_every_file_device_and_process(live, tmp_path):
    out = tmp_path / "out"
    out.mkdir()

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        assert json.loads((out / "manifest.json").read_text())["outcome"] == "running"
        system.send("focus", "move_motor", "focus", 500.0)
        yield "telemetry", lambda now: [m for m in now.motors if m.position == 500.0]

    rig = small_rig(rois=as_toml(small_rois()), mode="track-and-full-video", seed=7)
    report = live(rig, story, record=out)
    manifest = json.loads((out / "manifest.json").read_text())
    assert {f["name"] for f in manifest["files"]} == {
        path.name for path in out.iterdir() if path.name != "manifest.json"
    }
    kinds = [f["kind"] for f in manifest["files"]]
    assert {kind: kinds.count(kind) for kind in set(kinds) - {"video"}} == {
        "tracks": 1,
        "telemetry": 3,
        "annotation": 1,
    }
    rows = {f["kind"]: f["rows"] for f in manifest["files"]}
    assert rows["tracks"] == report.tracks_rows
    _, truth = read_hdf5(only(out, "Truth *.h5"))
    assert rows["annotation"] == len(truth["frame_number"])
    assert len(truth["frame_number"]) == 2 * report.frames.delivered
    assert manifest["seed"] == 7
    assert {"python", "platform", "numpy", "h5py", "magtrack"} <= manifest["versions"].keys()
    camera = next(d for d in manifest["devices"] if d["role"] == "camera")
    assert camera["settings"] == {"framerate_hz": 200.0, "exposure_us": 1000.0}
    assert camera["options"]["width_px"] == 320
    assert [p["name"] for p in manifest["processes"]] == [p.name for p in report.processes]
    assert manifest["started_ns"] < manifest["ended_ns"]
    with only(out, "Motor focus *.csv").open() as file:
        telemetry = list(csv.DictReader(file))
    assert list(telemetry[0]) == ["timestamp_ns", "position_nm", "target_nm", "is_at_target"]
    assert float(telemetry[0]["position_nm"]) == 0.0
    assert float(telemetry[-1]["position_nm"]) == 500.0
    assert int(telemetry[0]["timestamp_ns"]) >= manifest["started_ns"]


def test_recording_begins_and_ends_while_the_system_runs(live, tmp_path):
    out = tmp_path / "later"
    out.mkdir()

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0
        system.send("ManagerProcessBase", "set_acquisition_dir", str(out))
        system.send("ManagerProcessBase", "set_acquisition_dir_on", True)
        rows = system.now.tracks_rows
        yield "more tracks", lambda now: now.tracks_rows > rows + 80
        system.send("ManagerProcessBase", "set_acquisition_dir_on", False)
        rows = system.now.tracks_rows
        yield "tracks that are not recorded", lambda now: now.tracks_rows > rows + 80

    report = live(small_rig(rois=as_toml(small_rois())), story)
    assert report.is_clean
    _, data = read_hdf5(only(out, "Tracking Data *.h5"))
    assert 0 < len(data["bead_ids"]) < report.tracks_rows
    assert data["batch_sequence"].min() == 0
    sequences = sorted(data["batch_sequence"].tolist())
    assert sequences == list(range(len(sequences))), "F3: a gap"


def recorded_frames(live, directory, seed):
    """Return frames of a run by their numbers."""
    directory.mkdir()

    def story(system):
        yield "two stacks", lambda now: now.frames.processed >= 40

    rig = small_rig(mode="full-video", seed=seed)
    live(rig, story, record=directory)
    frames = {}
    for path in directory.glob("Video *.tiff"):
        _, pixels, times_s = read_video(path)
        frames |= zip(frame_numbers(directory, times_s).tolist(), pixels, strict=True)
    return frames


def test_the_same_seed_gives_the_same_frames_in_every_session(live, tmp_path):
    first = recorded_frames(live, tmp_path / "first", 5)
    second = recorded_frames(live, tmp_path / "second", 5)
    other = recorded_frames(live, tmp_path / "other", 6)
    expected = expected_frames(max(*first, *second) + 1, seed=5)
    for frames in (first, second):
        assert len(frames) >= 40
        for number, pixels in frames.items():
            np.testing.assert_array_equal(pixels, expected[number], err_msg=f"frame {number}")
    assert all((other[n] != expected[n]).any() for n in other if n < len(expected))
