import pickle
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magscope.rig import RigError, RigFile, load_rig, to_toml
from magscope.rig.lines import in_toml_terms, line_numbers
from magscope.utils import AcquisitionMode

pytestmark = pytest.mark.usefixtures("lab")


def rig_of(text: str) -> RigFile:
    Path("rig.toml").write_text(text, encoding="utf-8")
    return load_rig(Path("rig.toml"))


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(RigError) as caught:
        rig_of(text)
    return caught.value.problems


def test_no_rig_file_is_the_default_rig(lab):
    rig = load_rig(None)
    assert rig.camera.driver == "labdrivers:Cam"
    assert list(rig.motors) == ["focus", "magnet_height"]
    assert rig.beads.zlut == (lab / "labrig" / "lut.txt").resolve()
    assert rig.nm_per_px == 50.0
    assert rig.directory is None


def test_an_empty_rig_file_is_the_default_rig():
    assert rig_of("").model_dump() == load_rig(None).model_dump() == RigFile().model_dump()


def test_one_line_swaps_the_camera_and_keeps_the_motors():
    rig = rig_of('camera = { driver = "lab.camera", options = { height = 1 } }')
    assert rig.camera.driver == "lab.camera"
    assert list(rig.motors) == ["focus", "magnet_height"]


def test_another_camera_does_not_inherit_what_describes_the_first_ones_picture():
    rig = rig_of('camera = { driver = "lab.camera", options = { height = 1 } }')
    assert rig.beads.zlut is None
    assert rig.nm_per_px == 100.0


def test_naming_one_motor_leaves_out_the_default_ones():
    assert list(rig_of('[motors.x]\ndriver = "labdrivers:Stage"').motors) == ["x"]


def test_an_empty_motors_table_means_no_motors():
    assert rig_of("[motors]").motors == {}


def test_the_other_sections_are_completed_key_by_key():
    rig = rig_of("[beads]\nmax_beads = 3")
    assert rig.beads.max_beads == 3
    assert rig.beads.zlut is not None


def test_settings_are_complete_and_keep_their_names():
    table = rig_of('[settings]\n"video processors n" = 2').settings
    assert table["video processors n"] == 2
    assert table["video buffer n stacks"] == 5


@pytest.mark.parametrize(
    "text",
    [
        "[beads]\nroi_px = 32",
        '[settings]\n"bead roi width" = 32',
        "[beads]\nrois = [[0, 32, 8, 40]]",
    ],
)
def test_the_width_of_a_bead_is_one_number_wherever_it_is_given(text):
    rig = rig_of(text)
    assert rig.beads.roi_px == rig.settings["bead roi width"] == 32


def test_a_width_of_its_own_leaves_out_the_default_z_lut_which_has_another():
    assert rig_of("[beads]\nroi_px = 32").beads.zlut is None
    assert rig_of("[beads]\nroi_px = 64").beads.zlut is not None


def test_two_widths_that_disagree_are_refused():
    (problem,) = problems_of('[settings]\n"bead roi width" = 32\n[beads]\nroi_px = 64')
    assert "are one width" in problem


def test_every_mode_has_its_acquisition_mode():
    names = ["track", "track-and-crop-video", "track-and-full-video", "crop-video", "full-video"]
    modes = [rig_of(f'[acquisition]\nmode = "{n}"').acquisition.acquisition_mode for n in names]
    assert [*modes, AcquisitionMode.ZLUT] == list(AcquisitionMode)


def test_every_problem_is_told_at_once_with_its_line_in_the_order_of_the_file():
    problems = problems_of("""sed = 3
seed = -1
[settings]
"video processors n" = 0
"video procesors n" = 2
[camera]
driver = "lab.camra"
exposure = 1
[motors.focus]
driver = "labdrivers:Nope"
clip = "yes"
[beads]
rois = [
  [0, 64, 0, 63],
]
zlut = "nope.txt"
[acquisition]
mode = "tracking"
""")
    heads = [
        "rig.toml:1: sed: unknown key; did you mean 'seed'?",
        "rig.toml:2: seed = -1: must be at least 0",
        'rig.toml:4: settings."video processors n" = 0: must be at least 1',
        'rig.toml:5: settings."video procesors n": unknown key; did you mean \'video pro',
        "rig.toml:7: camera.driver = \"lab.camra\": no such driver; did you mean 'lab.camera'?",
        "rig.toml:8: camera.exposure: unknown key; choose one of: driver, options, reconnect",
        "rig.toml:10: motors.focus.driver = \"labdrivers:Nope\": module labdrivers has no 'Nope'",
        'rig.toml:11: motors.focus.clip = "yes": expected true or false',
        "rig.toml:13: beads.rois = [[0, 64, 0, 63]]: ROI 0 is [0, 64, 0, 63]: expected a square",
        'rig.toml:16: beads.zlut = "nope.txt": there is no such file',
        "rig.toml:18: acquisition.mode = \"tracking\": expected 'track'",
    ]
    assert len(problems) == len(heads)
    for problem, head in zip(problems, heads, strict=True):
        assert problem.startswith(head)
        assert "\n" not in problem


def test_every_unknown_and_every_missing_option_is_told():
    problems = problems_of('[camera]\ndriver = "lab.camera"\noptions = { widht = 1, zoom = 2 }')
    assert problems == (
        "rig.toml:3: camera.options.widht = 1: Cam has no such option; did you mean 'width'?",
        "rig.toml:3: camera.options.zoom = 2: Cam has no such option; choose one of: height, width",
        "rig.toml:3: camera.options.height: is missing: Cam needs this option",
    )


def test_a_value_that_the_drivers_constructor_refuses_is_told():
    (problem,) = problems_of(
        '[camera]\ndriver = "lab.camera"\noptions = { height = 1, width = -1 }'
    )
    assert problem == "rig.toml:3: camera.options: ValueError: width must be positive"


def test_options_of_a_manager_class_are_its_constructors_although_its_metaclass_hides_them():
    assert rig_of('[motors.x]\ndriver = "labdrivers:OldMotor"\noptions = { port = "COM3" }')
    (problem,) = problems_of('[motors.x]\ndriver = "labdrivers:OldMotor"\noptions = { prt = 3 }')
    assert "OldMotor has no such option; did you mean 'port'?" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('camera = { driver = "labdrivers:Stage" }', "Stage is not a camera"),
        ('motors.x = { driver = "labdrivers:Other" }', "Other is not a motor"),
        ('motors.x = { driver = "lab.broken" }', "has no 'Nothing'"),
        ('motors.x = { driver = "absent_module:X" }', "there is no module 'absent_module'"),
        (
            'motors.x = { driver = "labdrivers:OldMotor", options = { port = "a" }, '
            'reconnect = "auto" }',
            "only drivers for `hal` can do that",
        ),
        ('camera = { driver = "lab.camera", reconnect = "often" }', "reconnect"),
        ("motors.x = { clip = true }", "motors.x.driver: is missing"),
        ('motors."a b" = { driver = "labdrivers:Stage" }', "names begin with a letter"),
        ('camera = "x"', 'camera = "x": expected a table'),
        ("motors = 3", "motors = 3: expected a table"),
        ("settings = 3", "settings = 3: expected a table"),
        ("beads = 3", "beads = 3: expected a table"),
        ("seed = 1.5", "seed = 1.5: expected a whole number"),
        ("nm_per_px = nan", "nm_per_px = NaN: expected a finite number"),
        ('beads.rois = "all"', 'expected "auto" or a list'),
        ("beads.rois = [[0, 9, 0, 9], [0, 10, 0, 10]]", "the ROIs differ in width"),
        ("beads.zlut = 3", "expected the path of a file"),
        ("seed = \n", "rig.toml:1: is not TOML: invalid value (column 8)"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    assert any(said in problem for problem in problems_of(text))


def test_a_file_that_is_not_there_is_told_with_the_nearest_name():
    Path("bench.toml").touch()
    with pytest.raises(RigError, match=r"there is no such rig file; did you mean bench\.toml"):
        load_rig(Path("bnch.toml"))


def test_a_directory_and_a_file_that_is_not_text_are_told():
    Path("d.toml").mkdir()
    Path("b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RigError, match="is a directory"):
        load_rig(Path("d.toml"))
    with pytest.raises(RigError, match="is not UTF-8"):
        load_rig(Path("b.toml"))


def test_a_byte_order_mark_is_no_problem():
    Path("rig.toml").write_bytes(b"\xef\xbb\xbfseed = 9")
    assert load_rig(Path("rig.toml")).seed == 9


def test_without_any_default_rig_a_camera_is_asked_for(lab):
    (lab / "lab-1.0.dist-info" / "entry_points.txt").write_text("")
    (lab / "labrig" / "default.toml").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("magscope.rig.default.GROUP", "nobody.brings.this")
        assert problems_of("seed = 1") == (
            "rig.toml: camera: is missing; no installed package brings a default rig",
        )


def test_a_driver_beside_the_rig_file_is_found_and_hides_nothing_installed(tmp_path):
    bench = tmp_path / "bench"
    bench.mkdir()
    (bench / "beside.py").write_text("from labdrivers import Cam")
    (bench / "rig.toml").write_text('camera = { driver = "beside:Cam", options = { height = 1 } }')
    rig = load_rig(bench / "rig.toml")
    assert rig.directory == bench
    assert sys.path[-1] == str(bench)


def test_a_rig_survives_pickling_with_its_directory():
    rig = rig_of("seed = 5")
    again = pickle.loads(pickle.dumps(rig))
    assert again == rig
    assert again.directory == rig.directory == Path.cwd()


def test_a_rig_error_survives_pickling():
    error = RigError(["a", "b"])
    assert pickle.loads(pickle.dumps(error)).problems == ("a", "b")


def test_a_rig_written_as_toml_is_the_same_rig():
    rig = rig_of("""
[camera]
driver = "lab.camera"
options = { height = 1, width = 2 }
settings = { exposure_us = 1e3, name = "q\\"ü\\u007f", on = true }
[motors.x]
driver = "labdrivers:Stage"
clip = true
[beads]
rois = [[0, 32, 0, 32], [32, 64, 0, 32]]
""")
    assert rig_of(to_toml(rig)).model_dump() == rig.model_dump()


KEYS = st.text(min_size=1, max_size=6)
VALUES = st.recursive(
    st.integers() | st.text(max_size=8) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_options_that_json_can_hold_survive_toml(options):
    rig = RigFile.model_construct(camera={"driver": "x", "options": options}, motors={})
    import tomllib
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = to_toml(rig)
    assert tomllib.loads(text)["camera"]["options"] == options


def test_lines_of_keys_are_found_through_comments_long_values_and_nested_tables():
    text = '# c\na = 1\nb = """\nx = 2\n"""\n[t."u v"]\nc = [\n  1,\n]\n'
    text += "d.e = { f = 1 }\n[[l]]\ng = 1\n[t.w]\n"
    assert line_numbers(text) == {
        ("a",): 2,
        ("b",): 3,
        ("t",): 6,
        ("t", "u v"): 6,
        ("t", "u v", "c"): 7,
        ("t", "u v", "d"): 10,
        ("t", "u v", "d", "e"): 10,
        ("t", "u v", "d", "e", "f"): 10,
        ("l",): 11,
        ("l", "g"): 12,
        ("t", "w"): 13,
    }


def test_keys_are_named_as_toml_names_them():
    assert in_toml_terms(("settings", "a b", 3, "c-d")) == 'settings."a b"[3].c-d'


def test_the_example_names_every_key_of_a_rig_file():
    example = Path(__file__).parents[2] / "examples" / "simulated.toml"
    rig = load_rig(example)
    written = {path for path in line_numbers(example.read_text("utf-8")) if path[0] != "motors"}
    for section, value in rig:
        if section == "motors":
            continue
        assert (section,) in written
        keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
        for key in keys:
            if key != "bead roi width":  # the same number as beads.roi_px
                assert (section, key) in written
    assert set(rig.motors) == {"magnet_height", "magnet_rotation", "focus"}
