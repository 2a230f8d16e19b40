"""Whatever is wrong with the input or with a device is one clear line and an exit code."""

import pytest
from systemtools import as_toml, small_rig, small_rois

from magscope.cli import main

NEEDS = "import magscope_has_no_such_module\n"
LAB = '''
import hal
from hal.errors import DeviceTimeoutError, DisconnectedError, MotionError


class Cam(hal.Camera):
    """A camera that fails where it is told."""

    identity = hal.Identity("lab", "cam", "1", driver="lab:Cam", is_real=False)
    frame_format = hal.FrameFormat(width_px=32, height_px=32, bits=8)
    is_open = False

    def __init__(self, fails_in="", after=100):
        self.fails_in, self.after, self.number = fails_in, after, 0

    def open(self):
        if self.fails_in == "open":
            raise DeviceTimeoutError("the camera at USB 3 does not answer")
        self.is_open = True

    def close(self):
        self.is_open = False
        open("camera-closed", "w").close()

    def start(self):
        if self.fails_in == "start":
            raise DisconnectedError("the camera went while it was started")

    def stop(self): ...

    def fetch_into(self, out):
        if self.fails_in == "fetch" and self.number == self.after:
            raise DisconnectedError("the cable was pulled out")
        out[:] = self.number % 256
        self.number += 1
        return hal.FrameInfo(self.number - 1, self.context.clock.now_ns())

    def ready_in_s(self):
        return 0.002


class Stage(hal.LinearMotor):
    """A motor that fails where it is told."""

    identity = hal.Identity("lab", "stage", "1", driver="lab:Stage", is_real=False)
    axis = hal.Axis("nm", lower=0.0, upper=1e6, resolution=1.0, max_speed=1e6)
    is_open = is_moving = False

    def __init__(self, fails_in=""):
        self.fails_in = fails_in

    def open(self):
        if self.fails_in == "open":
            raise MotionError("the stage has no power")
        self.is_open = True

    def close(self):
        self.is_open = False

    def read_position(self):
        if self.fails_in == "read":
            raise DisconnectedError("the stage does not answer")
        return 0.0

    def begin_move(self, target):
        raise MotionError("the stage is blocked")

    def halt(self):
        open("stage-halted", "w").close()
'''
CAMERA = """
[settings]
"video processors n" = 1
"video buffer n images" = 10
[camera]
driver = "lab:Cam"
options = {{ fails_in = "{fails_in}" }}
[beads]
roi_px = 16
rois = [[0, 16, 0, 16]]
[acquisition]
mode = "full-video"
"""
STAGE = """
[motors.magnet_height]
driver = "lab:Stage"
options = {{ fails_in = "{fails_in}" }}
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Call `magscope run` in this process with a rig file's text; return code and lines."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab.py").write_text(LAB)
    (tmp_path / "needs.py").write_text(NEEDS)
    monkeypatch.syspath_prepend(tmp_path)

    def call(rig, *words):
        (tmp_path / "rig.toml").write_text(rig)
        capfd.readouterr()
        code = main(["run", "rig.toml", "--json", *words])
        return code, capfd.readouterr().err.splitlines()

    from magscope.runtime import machine

    yield call
    machine().singletons().clear()


@pytest.mark.parametrize(
    ("rig", "told"),
    [
        ('[camera]\ndriver = "lab:Cam"\nsetings = {}', "did you mean"),
        ('[camera]\ndriver = "sim.bead-camrea"', "did you mean"),
        ('[camera]\ndriver = "lab:Missing"', "Missing"),
        ('[camera]\ndriver = "needs:Cam"', "magscope_has_no_such_module"),
        ('[camera]\ndriver = "lab:Stage"', "not a camera"),
        ('[motors.focus]\ndriver = "lab:Cam"', "not a motor"),
        ('[camera]\ndriver = "lab:Cam"\noptions = { fail_in = "x" }', "fails_in"),
        ("[beads]\nzlut = 'nowhere.txt'", "nowhere.txt"),
        ("[acquisition]\nmode = 'trak'", "track"),
        ("[settings]\n'video processors n' = 0", "video processors n"),
        ("seed = -1", "seed"),
        ("[camera\n", "rig.toml"),
    ],
)
def test_a_wrong_rig_file_is_one_line_and_exit_code_2(run, rig, told):
    code, lines = run(rig, "--for", "5")
    assert code == 2
    assert len(lines) == 1, lines
    assert told in lines[0]
    assert "rig.toml" in lines[0]


def test_a_record_directory_that_can_not_be_made_is_one_line_and_exit_code_2(run, tmp_path):
    (tmp_path / "file").touch()
    code, lines = run("", "--for", "5", "--record", "file/out")
    assert code == 2
    assert len(lines) == 1, lines
    assert "--record" in lines[0]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_a_wrong_duration_is_one_line_and_exit_code_2(run, seconds):
    code, lines = run("", "--for", seconds)
    assert code == 2
    assert len(lines) == 1, lines


def errors(lines):
    return [line for line in lines if "error:" in line]


@pytest.mark.parametrize(
    ("fails_in", "told"),
    [
        ("open", "camera: the camera at USB 3 does not answer"),
        ("start", "camera: the camera went while it was started"),
        ("fetch", "camera: the cable was pulled out"),
    ],
)
def test_s7_a_camera_that_fails_ends_the_session_in_order_and_is_named(
    run, tmp_path, fails_in, told
):
    code, lines = run(CAMERA.format(fails_in=fails_in), "--for", "20")
    assert code == 1
    assert len(errors(lines)) == 1, lines
    assert told in errors(lines)[0]
    assert not [line for line in lines if "Traceback" in line]
    assert (tmp_path / "camera-closed").exists(), "S7"


@pytest.mark.parametrize(
    ("fails_in", "told"),
    [
        ("open", "motor magnet_height: the stage has no power"),
        ("read", "motor magnet_height: the stage does not answer"),
    ],
)
def test_s7_a_motor_that_fails_ends_the_session_in_order_and_is_named(
    run, tmp_path, fails_in, told
):
    rig = CAMERA.format(fails_in="") + STAGE.format(fails_in=fails_in)
    code, lines = run(rig, "--for", "20")
    assert code == 1
    assert len(errors(lines)) == 1, lines
    assert told in errors(lines)[0]
    assert (tmp_path / "camera-closed").exists(), "S7"


def test_a_move_that_fails_is_reported_and_the_system_goes_on(live, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lab.py").write_text(LAB)

    def story(system):
        yield "frames", lambda now: now.frames.delivered > 0
        system.send("magnet_height", "move_motor", "magnet_height", 10.0)
        yield "the error", lambda now: system.logged("the stage is blocked")
        processed = system.now.frames.processed
        yield "more stacks", lambda now: now.frames.processed > processed

    report = live(CAMERA.format(fails_in="") + STAGE.format(fails_in=""), story)
    assert [p.outcome for p in report.processes if p.outcome != "clean"] == []
    assert len(report.errors) == 1
    assert (tmp_path / "stage-halted").exists(), "S7"


def test_a_rig_s_zlut_for_other_regions_is_a_warning_when_the_settings_change(live, tmp_path):
    from systemtools import built

    scope = built(small_rig(rois=as_toml(small_rois())), tmp_path)
    scope.settings = {"bead roi width": 32, "video buffer n images": 20}

    def story(system):
        yield "tracks", lambda now: now.tracks_rows > 0

    report = live(scope, story)
    assert report.is_clean
    assert [line for line in report.warnings if "no heights" in line]
