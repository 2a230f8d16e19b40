import hashlib

import numpy as np
import pytest

from hal.errors import DisconnectedError, OptionError, SettingError
from hal.registry import load_driver
from sim.devices.camera import BeadCamera
from sim.devices.motors import Focus, MagnetHeight, MagnetRotation
from sim.sample import Sample

SMALL = {"width_px": 240, "height_px": 200, "n_tethered": 3, "n_stuck": 1}


def _digest(frames, infos) -> str:
    digest = hashlib.sha256(frames.tobytes())
    for info in infos:
        digest.update(info.annotation.tobytes())
    return digest.hexdigest()


def test_the_camera_is_registered_and_says_that_it_is_not_real() -> None:
    assert load_driver("sim.bead-camera") is BeadCamera
    assert not BeadCamera().identity.is_real


def test_frame_k_is_exposed_from_k_periods_after_the_start(rig, small_camera) -> None:
    start_ns = rig.clock.now_ns()
    small_camera.start()
    _, infos = rig.film(small_camera, 5)
    assert [info.frame_number for info in infos] == [0, 1, 2, 3, 4]
    assert [info.timestamp_ns for info in infos] == [
        start_ns + k * 10_000_000 + 5_000_000 for k in range(5)
    ]
    assert rig.clock.now_ns() == infos[-1].timestamp_ns


def test_before_its_exposure_has_ended_there_is_no_frame_and_nothing_is_written(
    rig, small_camera
) -> None:
    out = np.full((200, 240), 7, np.uint8)
    assert small_camera.fetch_into(out) is None
    small_camera.start()
    assert small_camera.ready_in_s() == 0.005
    rig.after(0.004_999_999)
    assert small_camera.fetch_into(out) is None
    assert (out == 7).all()
    rig.after(1e-9)
    assert small_camera.ready_in_s() == 0.0
    assert small_camera.fetch_into(out).frame_number == 0
    assert small_camera.ready_in_s() == 0.01


def test_a_frame_fetched_late_is_the_same_frame(new_rig) -> None:
    on_time, late = new_rig(), new_rig()
    cameras = [each.open(BeadCamera(**SMALL)) for each in (on_time, late)]
    motors = [each.open(Focus()) for each in (on_time, late)]
    for camera in cameras:
        camera.start()
    frames, infos = on_time.film(cameras[0], 2)
    motors[0].move_to_nm(1500.0)
    rest, more = on_time.film(cameras[0], 20)
    motors[0].move_to_nm(-500.0)

    late.after(0.015)
    motors[1].move_to_nm(1500.0)
    late.after(0.2)
    motors[1].move_to_nm(-500.0)
    after, same = late.film(cameras[1], 22)
    assert (np.concatenate([frames, rest]) == after).all()
    for one, other in zip(infos + more, same, strict=True):
        assert (one.frame_number, one.timestamp_ns) == (other.frame_number, other.timestamp_ns)
        assert (one.annotation == other.annotation).all()


def test_frames_that_nobody_fetches_are_lost_but_leave_the_others_as_they_are(new_rig) -> None:
    patient, slow = new_rig(), new_rig()
    cameras = [each.open(BeadCamera(**SMALL, queue_frames=3)) for each in (patient, slow)]
    for camera in cameras:
        camera.start()
    frames, _ = patient.film(cameras[0], 10)
    slow.after(0.095)
    seen, infos = slow.film(cameras[1], 3)
    assert [info.frame_number for info in infos] == [7, 8, 9]
    assert (seen == frames[7:]).all()
    assert cameras[1].ready_in_s() > 0.0


def test_these_frames_are_the_same_bytes_on_every_machine(rig) -> None:
    camera = rig.open(BeadCamera(**SMALL, framerate_hz=50.0))
    height, turns, focus = (rig.open(kind()) for kind in (MagnetHeight, MagnetRotation, Focus))
    camera.start()
    still = rig.film(camera, 3)
    height.move_to_nm(7.5e6)
    focus.move_to_nm(800.0)
    turns.move_to_turns(18.5)
    moving = rig.film(camera, 40)
    height.stop()
    resting = rig.film(camera, 120)
    assert [_digest(*part) for part in (still, moving, resting)] == [
        "b119c454f00d76fdebcbbbc8ec568e67bc2d59c380f955643141ccf4ccf6d102",
        "443c82535b7a407e543586b8cdc1cb5f5ff36869f3816d0ff983b660b3b35c6d",
        "06879c2c687171846e898804a8420f7f2c9a92b77233bd1eb940205fbef385ef",
    ]


def test_the_same_seed_gives_the_same_frames_and_another_seed_others(new_rig) -> None:
    digests = []
    for seed, offset in ((1, 0), (1, 0), (2, 0), (1, 1)):
        rig = new_rig(seed)
        camera = rig.open(BeadCamera(**SMALL, seed_offset=offset))
        camera.start()
        digests.append(_digest(*rig.film(camera, 3)))
    assert digests[0] == digests[1]
    assert digests[2] == digests[3] != digests[0]


def test_a_restarted_camera_begins_anew_with_frame_0(rig, small_camera) -> None:
    small_camera.start()
    first, _ = rig.film(small_camera, 4)
    small_camera.stop()
    small_camera.stop()
    rig.after(1.0)
    assert small_camera.fetch_into(np.zeros((200, 240), np.uint8)) is None
    small_camera.start()
    second, infos = rig.film(small_camera, 4)
    assert infos[0].frame_number == 0
    assert (first == second).all()


def test_the_truth_has_one_row_a_bead_and_its_columns(rig, small_camera) -> None:
    small_camera.start()
    _, (info,) = rig.film(small_camera, 1)
    assert small_camera.annotation_name == "truth"
    truth = dict(zip(small_camera.annotation_columns, info.annotation.T, strict=True))
    tethered = np.array([bead.is_tethered for bead in small_camera.beads])
    assert truth["bead_id"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert np.abs(truth["z_nm"][~tethered]).max() == 0.0
    assert (truth["z_nm"][tethered] > 2000.0).all()
    assert ((truth["force_pn"] > 4.5) & (truth["force_pn"] < 9.0)).all()
    anchors = np.array([(bead.x_nm, bead.y_nm) for bead in small_camera.beads])
    assert np.abs(np.stack([truth["x_nm"], truth["y_nm"]], axis=1) - anchors).max() < 300.0


def test_raising_the_focus_lowers_every_bead_by_as_much(new_rig) -> None:
    truths = []
    for focus_nm in (0.0, 750.0):
        rig = new_rig()
        camera = rig.open(BeadCamera(**SMALL))
        rig.open(Focus(start_nm=focus_nm))
        camera.start()
        truths.append(rig.film(camera, 1)[1][0].annotation)
    assert truths[0][:, 3] - truths[1][:, 3] == pytest.approx(750.0)
    assert (truths[1][:, 5] == 750.0).all()


def test_the_magnets_pull_harder_when_they_are_near_and_turns_shorten_tethers(rig) -> None:
    camera = rig.open(BeadCamera(**SMALL, queue_frames=50))
    height, turns = rig.open(MagnetHeight()), rig.open(MagnetRotation())
    tethered = np.array([bead.is_tethered for bead in camera.beads])
    camera.start()
    near = rig.film(camera, 50)[1]
    height.move_to_nm(7e6)
    rig.after(5.0)
    far = rig.film(camera, 50)[1]
    turns.move_to_turns(30.0)
    rig.after(10.0)
    coiled = rig.film(camera, 50)[1]
    means = [
        np.mean([info.annotation for info in part], axis=0)[tethered]
        for part in (near, far, coiled)
    ]
    assert (means[0][:, 4] > 5.0 * means[1][:, 4]).all()
    assert (means[0][:, 3] > means[1][:, 3] + 100.0).all()
    nicked = np.array([bead.is_nicked for bead in camera.beads])[tethered]
    assert (means[1][~nicked, 3] > means[2][~nicked, 3] + 200.0).all()


def test_a_hundred_beads_fit_into_the_default_frame(rig) -> None:
    camera = rig.open(BeadCamera(n_tethered=90, n_stuck=10))
    camera.start()
    _, (info,) = rig.film(camera, 1)
    assert info.annotation.shape == (100, 6)
    places = info.annotation[:, 1:3] / camera.nm_per_px
    assert (places > 32.0).all()
    assert (places < np.array([1280.0, 560.0]) - 33.0).all()
    apart = np.abs(places[:, None] - places[None]).max(axis=2) + 1e9 * np.eye(100)
    assert apart.min() > 64.0


def test_the_background_has_its_grey_level_and_noise(rig) -> None:
    camera = rig.open(BeadCamera(**{**SMALL, "n_tethered": 0, "n_stuck": 0}, background_dn=100))
    camera.start()
    frames, infos = rig.film(camera, 20)
    assert frames.mean() == pytest.approx(100.0, abs=0.05)
    assert frames.var() == pytest.approx(2.0, rel=0.02)
    assert infos[0].annotation.shape == (0, 6)


def test_settings_are_read_back_as_taken_and_out_of_range_refused(rig, small_camera) -> None:
    assert small_camera.get("framerate_hz") == 100.0
    assert small_camera.get("exposure_us") == 5000.0
    assert small_camera.set("exposure_us", "10000") == 10000.0
    for name, wrong in (("exposure_us", 10001), ("exposure_us", 1), ("framerate_hz", 0)):
        with pytest.raises(SettingError, match="must lie between"):
            small_camera.set(name, wrong)
    with pytest.raises(SettingError, match="no setting 'gain'"):
        small_camera.set("gain", 1)
    assert small_camera.set("framerate_hz", 400.0) == 400.0
    assert small_camera.get("exposure_us") == 2500.0


def test_a_changed_frame_rate_holds_at_once_and_numbers_and_times_go_on_rising(
    rig, small_camera
) -> None:
    small_camera.start()
    infos = rig.film(small_camera, 3)[1]
    rig.after(0.012)
    small_camera.set("framerate_hz", 1000.0)
    infos += rig.film(small_camera, 3)[1]
    assert [info.frame_number for info in infos] == [0, 1, 2, 4, 5, 6]
    times = np.diff([info.timestamp_ns for info in infos])
    assert (times > 0).all()
    assert times[-2:].tolist() == [1_000_000, 1_000_000]


def test_closing_and_opening_any_number_of_times_is_fine(rig, small_camera) -> None:
    small_camera.open()
    small_camera.start()
    for _ in range(2):
        small_camera.close()
        assert not small_camera.is_open
    for use in (
        small_camera.start,
        lambda: small_camera.fetch_into(np.zeros((200, 240), np.uint8)),
    ):
        with pytest.raises(DisconnectedError, match="open it before"):
            use()
    small_camera.open()
    small_camera.start()
    assert rig.film(small_camera, 1)[1][0].frame_number == 0


def test_an_option_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(OptionError, match="queue_frames = 0"):
        BeadCamera(queue_frames=0)
    with pytest.raises(OptionError, match="200 beads do not fit"):
        BeadCamera(n_tethered=200, n_stuck=0)
    with pytest.raises(SettingError, match="exposure_us"):
        BeadCamera(framerate_hz=1000.0, exposure_us=2000.0)


def test_a_frame_of_the_wrong_shape_or_type_is_refused(rig, small_camera) -> None:
    small_camera.start()
    rig.after(0.01)
    for wrong in (np.zeros((240, 200), np.uint8), np.zeros((200, 240), np.uint16)):
        with pytest.raises(SettingError, match="frame to fill"):
            small_camera.fetch_into(wrong)
    with pytest.raises(SettingError, match="C-contiguous"):
        small_camera.fetch_into(np.zeros((240, 200), np.uint8).T)


def test_motors_in_another_process_would_be_seen_through_the_shared_memory_alone(rig) -> None:
    camera, focus = rig.open(BeadCamera(**SMALL)), rig.open(Focus())
    camera.start()
    focus.move_to_nm(2000.0)
    focus_nm = [info.annotation[0, 5] for info in rig.film(camera, 10)[1]]
    assert 0.0 < focus_nm[0] < focus_nm[1] < focus_nm[-1] == 2000.0


def test_the_sample_moves_on_between_exposures_as_long_as_they_are_apart(rig, monkeypatch) -> None:
    gaps, step = [], Sample.step
    monkeypatch.setattr(Sample, "step", lambda *a: (gaps.append(round(a[3] * 1e9)), step(*a))[1])
    camera = rig.open(BeadCamera(**SMALL, exposure_us=2000.0))
    camera.start()
    rig.film(camera, 3)
    assert gaps == [0, 8_000_000, 8_000_000]
