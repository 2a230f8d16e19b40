import numpy as np
import pytest

from magscope.zlut import build_zlut, check_zlut, load_zlut, save_zlut


def made(n_planes=12, n_bins=32):
    profiles = np.random.default_rng(0).uniform(50, 150, (n_planes, 5, n_bins))
    return build_zlut(np.arange(n_planes) * 50.0, profiles)


def test_planes_are_averaged_and_put_in_order():
    profiles = np.arange(10 * 2 * 4, dtype=float).reshape(10, 2, 4)
    zlut = build_zlut(np.arange(10)[::-1] * 25.0, profiles)
    assert zlut.shape == (5, 10)
    np.testing.assert_array_equal(zlut[0], np.arange(10) * 25.0)
    np.testing.assert_array_equal(zlut[1:, -1], profiles[0].mean(axis=0))


def test_samples_that_were_not_tracked_are_left_out():
    profiles = np.ones((10, 3, 4))
    profiles[:, 1] = np.nan
    profiles[3, 2] = 3.0
    zlut = build_zlut(np.arange(10.0), profiles)
    np.testing.assert_array_equal(zlut[1:, 3], [2.0] * 4)


def test_a_radius_without_any_pixel_takes_the_value_beside_it():
    profiles = np.ones((10, 1, 4)) * [0.0, 5.0, 6.0, 7.0]
    profiles[2, 0, 0] = np.nan
    assert build_zlut(np.arange(10.0), profiles)[1, 2] == 5.0


def test_a_plane_without_a_bead_is_named():
    profiles = np.ones((10, 3, 4))
    profiles[7] = np.nan
    with pytest.raises(ValueError, match="no bead was tracked at z = 700 nm"):
        build_zlut(np.arange(10) * 100.0, profiles)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"z_nm \(3,\) and profiles \(4, 2, 5\) do not fit"):
        build_zlut(np.arange(3.0), np.ones((4, 2, 5)))


def test_a_zlut_comes_back_from_its_file_to_the_last_digit(tmp_path):
    path = tmp_path / "zlut.txt"
    save_zlut(path, made())
    np.testing.assert_array_equal(load_zlut(path, roi_px=64), made())
    np.testing.assert_array_equal(np.loadtxt(path), made())
    assert [p.name for p in tmp_path.iterdir()] == ["zlut.txt"]


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "zlut.txt"
    save_zlut(path, made())
    before = path.read_bytes()

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save_zlut(path, made(20))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no Z-LUT file .*: correct `zlut`"):
        load_zlut(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("a b c\n", "is not a table of numbers"),
        ("1 2 3\n4 5\n", "is not a table of numbers"),
        ("1 2 3\n4 5 6\n", r"shape \(2, 3\): expected"),
    ],
)
def test_a_file_that_holds_no_zlut_is_refused(tmp_path, text, message):
    path = tmp_path / "zlut.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_zlut(path)


def test_z_that_does_not_rise_is_refused():
    zlut = made()
    zlut[0, 5] = zlut[0, 4]
    with pytest.raises(ValueError, match="plane 5 has 200 nm after 200 nm"):
        check_zlut(zlut)


def test_a_value_that_is_no_number_is_refused():
    zlut = made()
    zlut[3, 2] = np.nan
    with pytest.raises(ValueError, match="holds nan in row 3, column 2"):
        check_zlut(zlut)


def test_a_zlut_of_another_roi_says_which_it_was_made_for():
    with pytest.raises(ValueError, match="made for a ROI of 64 px, but the ROI is 50 px"):
        check_zlut(made(), roi_px=50)
