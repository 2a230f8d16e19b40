"""The whole system tracks beads that came through a real camera protocol."""

import signal
from pathlib import Path

import numpy as np
import pytest
from systemtools import (
    as_toml,
    only,
    read_hdf5,
    rows_saved,
    small_rig,
    small_rois,
    true_positions_nm,
    wait_until,
)

from hal.testing.fakes import FakeProcess
from hal.testing.fakes.network import own_network

pytestmark = pytest.mark.system
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_network" / "gigevision_on_bench.toml"
OPTIONS = {"width_px": 320, "height_px": 256, "framerate_hz": 100, "n_tethered": 1, "n_stuck": 1}
DIRECT = small_rig(framerate_hz=100, rois=as_toml(small_rois()))
GIGE = """
[camera]
driver = "gigevision"
options = { address = "127.0.0.1", packet_size = 9000 }
settings = { exposure_us = 1000 }
[beads]
"""


@pytest.fixture(autouse=True)
def _network():
    with own_network():
        yield


def through_the_protocol():
    """Return the small rig with its camera at the other end of a network."""
    before, _, rest = DIRECT.partition("[camera]")
    return before + GIGE + rest.partition("[beads]")[2]


def recorded(magscope_run, directory, rig, rows=800):
    """Run a rig until so many rows are saved; return its tracks by frame number and bead."""
    running = magscope_run("--record", directory, "--json", rig=rig)
    wait_until(lambda: rows_saved(directory) >= rows, "tracks on disk")
    running.process.send_signal(signal.SIGINT)
    ended = running.end()
    assert ended.code == 0, ended.errors
    report = ended.report
    assert report["errors"] == []
    _, tracks = read_hdf5(only(directory, "Tracking Data *.h5"))
    numbers = np.repeat(tracks["frame_numbers"], np.diff(tracks["frame_offsets"]).astype(int))
    rows = zip(numbers, tracks["bead_ids"], tracks["positions_nm"], strict=True)
    return {(int(number), int(bead)): position for number, bead, position in rows}, report


def rms_nm(tracks):
    """Return the root mean squares of tracked less true x, y and z."""
    true = true_positions_nm(max(number for number, _ in tracks) + 1, **OPTIONS)
    errors = []
    for (number, _), position in tracks.items():
        beads = true[number]
        nearest = np.hypot(*(beads[:, :2] - position[:2]).T).argmin()
        errors.append(position - beads[nearest])
    assert np.isfinite(errors).mean() > 0.99
    return np.sqrt(np.nanmean(np.square(errors), axis=0))


def test_beads_are_tracked_as_well_through_the_protocol_as_from_the_camera_itself(
    magscope_run, tmp_path
):
    direct, _ = recorded(magscope_run, tmp_path / "direct", DIRECT)
    sensor = OPTIONS | {"exposure_us": 1000, "seed_offset": 1}  # the rig's seed
    with FakeProcess("gigevision", camera="sim.bead-camera", options=sensor):
        tracks, report = recorded(magscope_run, tmp_path / "gige", through_the_protocol())
    assert report["frames"]["lost"] <= 0.05 * report["frames"]["delivered"]
    common = sorted(tracks.keys() & direct.keys())
    assert len(common) > 500
    # The same frames have come, each under its own number.
    np.testing.assert_allclose(
        [tracks[key] for key in common], [direct[key] for key in common], atol=1e-6
    )
    ours, theirs = rms_nm(tracks), rms_nm(direct)
    print(f"RMS of x, y, z: {ours} nm through the protocol, {theirs} nm from the camera itself")
    assert ours[:2].max() <= 5.0, f"x, y, z: {ours} nm"
    assert ours[2] <= 40.0, f"x, y, z: {ours} nm"
    np.testing.assert_allclose(ours, theirs, rtol=0.2)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_session_whose_camera_dies_or_freezes_ends_and_says_why(magscope_run, tmp_path, how):
    sensor = OPTIONS | {"exposure_us": 1000, "seed_offset": 1}
    out = tmp_path / "out"
    with FakeProcess("gigevision", camera="sim.bead-camera", options=sensor) as fake:
        running = magscope_run("--record", out, "--json", rig=through_the_protocol())
        wait_until(lambda: rows_saved(out) >= 80, "tracks on disk")
        getattr(fake, how)()
        ended = running.end()
    assert ended.code == 1
    assert any("did not answer for 2 s" in error for error in ended.report["errors"])
    assert rows_saved(out) >= 80


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_camera_that_comes_back_is_found_and_its_beads_are_tracked_on(
    magscope_run, tmp_path, how
):
    sensor = OPTIONS | {"exposure_us": 1000, "seed_offset": 1}
    rig = through_the_protocol().replace("[camera]", '[camera]\nreconnect = "auto"')
    out = tmp_path / "out"
    with FakeProcess("gigevision", camera="sim.bead-camera", options=sensor) as fake:
        running = magscope_run("--record", out, rig=rig)
        wait_until(lambda: rows_saved(out) >= 80, "tracks on disk")
        getattr(fake, how)()
        running.until_said("the camera has gone: ")
        if how == "stop":
            fake.resume()
            wait_until_tracked_on(running, out)
        else:
            with FakeProcess("gigevision", camera="sim.bead-camera", options=sensor):
                wait_until_tracked_on(running, out)
        running.process.send_signal(signal.SIGINT)
        ended = running.end()
    assert ended.code == 0, ended.output
    _, tracks = read_hdf5(only(out, "Tracking Data *.h5"))
    assert (np.diff(tracks["frame_numbers"]) > 0).all(), "the numbers of the frames go on"
    assert (np.diff(tracks["frame_timestamps_ns"]) > 0).all(), "B3"


def wait_until_tracked_on(running, out):
    running.until_said("the camera is there again, after ", 30.0)
    rows = rows_saved(out)
    wait_until(lambda: rows_saved(out) >= rows + 160, "more tracks on disk")


def test_the_example_films_the_bench_and_its_beads_follow_the_focus(magscope_run, tmp_path):
    script = tmp_path / "move.py"
    script.write_text(
        "from magscope.scripting import Script\n"
        "script = Script()\n"
        "script('sleep', 1.0)\n"
        "script('move_motor', 'focus', 800.0, wait=True)\n"
        "script('sleep', 2.0)\n"
    )
    out = tmp_path / "out"
    running = magscope_run(EXAMPLE, "--script", script, "--for", 6, "--record", out, "--json")
    ended = running.end(60)
    assert ended.code == 0, ended.errors
    report = ended.report
    assert report["errors"] == []
    assert report["frames"]["processed"] > 100
    _, tracks = read_hdf5(only(out, "Tracking Data *.h5"))
    z_nm = tracks["positions_nm"][:, 2].reshape(-1, len(set(tracks["bead_ids"])))
    n = len(z_nm) // 8
    moved_nm = np.nanmedian(z_nm[-n:] - z_nm[:n], axis=0)
    assert np.median(moved_nm) == pytest.approx(-800.0, abs=150.0)
