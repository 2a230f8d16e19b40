import io
import json
import os
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from magscope.cli import main
from magscope.cli.run import operate
from magscope.report import FrameAccount, ProcessReport, SessionReport
from magscope.rig import RigError

pytestmark = pytest.mark.usefixtures("lab")

REPORT = SessionReport(
    frames=FrameAccount(10, 10),
    processes=(ProcessReport("CameraManager", "clean", 0, 0.1),),
    duration_s=1.0,
)
REPORT_KEYS = {
    "frames": dict,
    "tracks_rows": int,
    "processes": list,
    "shutdown_s": float,
    "start_to_first_track_s": type(None),
    "fps": float,
    "recording": type(None),
    "errors": list,
}


class FakeScope:
    """Runs for no time, and reports what it was told to."""

    report = REPORT
    failure: Exception | None = None

    def __init__(self, rig=None, seed=None):
        type(self).last = self
        self.rig, self.seed = rig, seed

    def observe(self, callback, interval_s):
        self.callback, self.interval_s = callback, interval_s

    def reconnect(self):
        raise AssertionError("nobody has pressed Enter")

    def start(self):
        from tests_view_snapshot import SNAPSHOT

        self.callback(SNAPSHOT)
        if self.failure:
            raise self.failure


@pytest.fixture
def scope(monkeypatch, lab):
    snapshot = "from magscope.report import FrameAccount, Snapshot\nSNAPSHOT = Snapshot(\n"
    snapshot += (
        "0.0, None, 'running', 1.0, FrameAccount(), 0.0, 'READY', 0, True, 'track', 0, 0, None)"
    )
    (lab / "tests_view_snapshot.py").write_text(snapshot)
    fake = type("MagScope", (FakeScope,), {})
    monkeypatch.setitem(sys.modules, "magscope.scope", types.SimpleNamespace(MagScope=fake))
    return fake


def magscope(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from magscope.cli import main; sys.exit(main())",
            *words,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=60,
        check=False,
    )


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip()


def test_a_clean_run_ends_with_zero_and_a_summary(scope, capsys):
    assert main(["run"]) == 0
    assert "clean" in capsys.readouterr().out
    assert scope.last.rig.camera.driver == "labdrivers:Cam"


def test_a_run_gets_what_it_was_told(scope):
    Path("s.py").touch()
    words = ["run", "--for", "2.5", "--record", "out", "--script", "s.py", "--seed", "7"]
    assert main(words) == 0
    assert scope.last.run_for_s == 2.5
    assert scope.last.record_dir == Path("out").absolute()
    assert scope.last.script_path == Path("s.py")
    assert scope.last.seed == 7


def test_json_puts_one_object_on_stdout_and_all_else_on_stderr(scope, capsys):
    assert main(["run", "--json"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    for key, kind in REPORT_KEYS.items():
        assert isinstance(report[key], kind), key
    assert set(report["frames"]) == {
        *("delivered", "processed", "purged", "discarded", "lost", "in_buffer", "device_lost")
    }
    assert set(report["processes"][0]) >= {"name", "outcome", "exit_code", "seconds_to_exit"}
    assert "1.0 fps" in captured.err


@pytest.mark.parametrize(
    "report",
    [
        replace(REPORT, errors=("boom",)),
        replace(REPORT, processes=(ProcessReport("A", "killed", -9, 1.0),)),
    ],
)
def test_a_run_that_was_not_clean_ends_with_one(scope, report):
    scope.report = report
    assert main(["run"]) == 1


def test_a_run_that_breaks_down_is_one_line_and_one(scope, capsys):
    scope.failure = MemoryError("no room for the video buffer")
    assert main(["run", "--json"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "magscope: the run failed: MemoryError: no room for the video buffer"


def test_a_run_goes_on_when_nobody_reads_its_output(scope):
    class Terminal(io.StringIO):
        is_gone = True

        def write(self, text):
            if self.is_gone:
                raise OSError(5, "the terminal is gone")
            return super().write(text)

    terminal = Terminal()

    class Long(scope):
        def start(self):
            super().start()
            super().start()  # not shown to anybody any more
            terminal.is_gone = False

    assert operate(Long(), console=Console(file=terminal)) == 0


def test_every_problem_of_a_rig_file_is_a_line_and_the_exit_code_is_two(capsys):
    Path("rig.toml").write_text("sed = 1\nnm_per_px = -1")
    assert main(["run", "rig.toml"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "rig.toml:1: sed: unknown key; did you mean 'seed'?",
        "rig.toml:2: nm_per_px = -1: must be above 0",
    ]


def test_a_capture_has_a_directory_of_its_own(scope, capsys):
    assert main(["run", "--capture", "cap", "--json"]) == 0
    assert scope.last.capture_dir == Path("cap").absolute()
    assert scope.last.record_dir is None
    capsys.readouterr()
    Path("cap/camera.capture").touch()
    assert main(["run", "--capture", "cap"]) == 2
    assert "--capture cap: is not empty" in one_line(capsys)


def test_a_recording_is_never_overwritten(scope, capsys):
    Path("out").mkdir()
    Path("out/old.h5").touch()
    assert main(["run", "--record", "out"]) == 2
    assert "--record out: is not empty" in one_line(capsys)
    assert not hasattr(scope, "last")


def test_a_directory_that_can_not_be_written_to_is_told_before_anything_starts(scope, capsys):
    Path("file").touch()
    assert main(["run", "--record", "file/out"]) == 2
    assert "--record file/out: can not be written to" in one_line(capsys)
    assert not hasattr(scope, "last")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--for", "0"], "--for 0: expected seconds above 0"),
        (["run", "--for", "nan"], "--for nan: expected seconds above 0"),
        (["run", "--for", "soon"], "--for"),
        (["run", "--script", "none.py"], "--script none.py: there is no such file"),
        (["run", "--start-method", "magic"], "--start-method"),
        (["run", "--nope"], "No such option"),
        (["run", "none.toml"], "none.toml: there is no such rig file"),
        (["rnu"], "No such command 'rnu'"),
        (["broken"], "broken (labcommands:missing) can not be loaded: AttributeError"),
        (["broken", "--any", "thing"], "can not be loaded"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_two(scope, capsys, words, said):
    assert main(words) == 2
    assert said in one_line(capsys)
    assert not hasattr(scope, "last")


def test_what_a_scope_refuses_is_bad_input(scope, capsys):
    def refuse(self, rig=None, seed=None):
        raise RigError(["rig.toml: no"])

    scope.__init__ = refuse
    assert main(["run"]) == 2
    assert one_line(capsys) == "magscope: rig.toml: no"


def test_a_bug_is_one_line_unless_its_traceback_is_asked_for(scope, capsys, monkeypatch):
    scope.failure = AssertionError("impossible")
    assert main(["run"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("magscope: AssertionError: impossible (this is a bug")
    monkeypatch.setenv("MAGSCOPE_DEBUG", "1")
    with pytest.raises(AssertionError):
        main(["run"])


def test_an_interrupt_outside_of_a_run_is_quiet(scope, capsys):
    scope.failure = KeyboardInterrupt()
    assert main(["run"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["run"], ["drivers"], ["doctor"], ["hello"], []])
def test_every_command_has_help(words, capsys):
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: magscope" in text
    if words and words != ["hello"]:
        assert "Example: magscope" in text


def test_commands_of_other_packages_are_listed_and_run_and_a_broken_one_breaks_nothing(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert "Greet somebody." in text
    assert "Can not be loaded." in text
    assert main(["hello", "--name", "bead"]) == 0
    assert capsys.readouterr().out == "hello bead\n"


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("magscope 0.")


def test_drivers_lists_the_broken_ones_with_their_reason(capsys):
    assert main(["drivers", "--json"]) == 0
    listed = {d["name"]: d for d in json.loads(capsys.readouterr().out)["drivers"]}
    assert listed["lab.camera"] == {
        "name": "lab.camera",
        "target": "labdrivers:Cam",
        "problem": "",
        "summary": "A camera of a test.",
        "kind": "camera",
        "support": None,
    }
    assert listed["sim.focus"]["support"]["tried"] == "no device"
    assert "has no 'Nothing'" in listed["lab.broken"]["problem"]
    assert main(["drivers"]) == 0
    assert "A camera of a test." in capsys.readouterr().out


def test_drivers_as_a_table_say_what_they_are_for_and_were_tried_on(capsys):
    assert main(["drivers", "--table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["| driver | devices | library | tried on |", "|---|---|---|---|"]
    assert any("`sim.focus`, `sim.magnet-height`" in line for line in lines)
    [unsaid] = [line for line in lines if "`lab.camera`" in line]
    assert "does not say" in unsaid


def test_doctor_is_one_when_something_is_wrong(capsys):
    assert main(["doctor", "--json"]) == 1  # this folder's distribution has a broken driver
    report = json.loads(capsys.readouterr().out)
    findings = {f["name"]: f for f in report["findings"]}
    assert not report["ok"]
    assert findings["lab.broken"]["state"] == "wrong"
    assert findings["numpy"]["state"] == "ok"
    assert findings["python"]["value"].startswith(sys.version.split()[0])
    assert main(["doctor"]) == 1
    assert "wrong" in capsys.readouterr().out


def test_doctor_finds_and_sweeps_what_dead_sessions_left(capsys, monkeypatch):
    from magscope.runtime import os_session

    left = ["magscope-dead-1"]
    monkeypatch.setattr(os_session, "leftovers", lambda: list(left))
    monkeypatch.setattr(os_session, "sweep", lambda: [left.pop()])

    def finding() -> dict[str, str]:
        words = [["doctor", "--json"], ["doctor", "--json", "--sweep"]][finding.swept]
        main(words)
        listed = json.loads(capsys.readouterr().out)["findings"]
        return next(f for f in listed if f["topic"] == "sessions")

    finding.swept = False
    assert finding()["state"] == "wrong"
    finding.swept = True
    assert finding()["value"] == "1 removed"
    finding.swept = False
    assert finding()["state"] == "ok"


def test_the_commands_run_as_a_program():
    done = magscope("run", "none.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "magscope: none.toml: there is no such rig file\n"


def test_help_does_not_import_what_only_a_run_needs():
    code = "import sys, magscope.cli.app as a; a.build_app(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pydantic", "h5py", "rich.live"} & set(done.stdout.split())


def test_an_ascii_terminal_gets_every_line():
    done = magscope("doctor", PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert "set PYTHONUTF8=1" in done.stdout
    assert "Traceback" not in done.stderr
