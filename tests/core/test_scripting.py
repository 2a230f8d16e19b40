from types import SimpleNamespace

import pytest
from fakes import FakeManager

from hal.clock import NS_PER_S
from magscope.beadlock import BeadLockManager
from magscope.scripting import (
    Script,
    ScriptError,
    ScriptManager,
    ScriptRegistry,
    ScriptStatus,
    Step,
    load_script,
)
from magscope.utils import registerwithscript

NAMES = [
    "set_acquisition_dir",
    "set_acquisition_dir_on",
    "set_acquisition_mode",
    "set_acquisition_on",
    "sleep",
    "do_xy_lock",
    "set_xy_lock_on",
    "set_xy_lock_interval",
    "set_xy_lock_max",
    "do_z_lock",
    "set_z_lock_on",
    "set_z_lock_bead",
    "set_z_lock_target",
    "set_z_lock_interval",
    "set_z_lock_max",
]


class Lamp(FakeManager):
    @registerwithscript("set_lamp")
    def set_lamp(self, level, *, slowly=False):
        pass


class BetterLamp(Lamp):
    pass


class Stage(FakeManager):
    @registerwithscript("move_stage")
    def move_stage(self, motor, position):
        pass


@pytest.fixture
def write(tmp_path):
    def put(text):
        path = tmp_path / "script.py"
        path.write_text("from magscope.scripting import Script\nscript = Script()\n" + text)
        return path

    return put


def test_calling_a_script_records_its_steps_in_order():
    script = Script()
    script("set_acquisition_on", True)
    script("sleep", 5.0)
    script("set_lamp", 3, wait=True, slowly=True)
    assert script.steps == [
        Step("set_acquisition_on", (True,)),
        Step("sleep", (5.0,)),
        Step("set_lamp", (3,), {"slowly": True}, wait=True),
    ]
    assert str(script.steps[2]) == "set_lamp(3, slowly=True)"


def test_a_script_file_is_read(write):
    path = write("for n in range(3):\n    script('sleep', n)\n")
    assert load_script(path) == [Step("sleep", (n,)) for n in range(3)]
    assert load_script(str(path)) == load_script(path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1 / 0\n", r"line 3: ZeroDivisionError: division by zero"),
        ("def broken(:\n", r"line 3: SyntaxError"),
        ("def f():\n    raise OSError('x')\n\nf()\n", r"line 4: OSError: x"),
        ("raise SystemExit(3)\n", r"line 3: SystemExit: 3"),
        ("import no_such_module\n", r"line 3: ModuleNotFoundError"),
        ("other = Script()\n", r"makes 2 Script objects; expected one"),
        ("del script\n", r"makes 0 Script objects; expected one"),
    ],
)
def test_a_script_file_that_can_not_be_used_says_where_and_why(write, text, what):
    with pytest.raises(ScriptError, match=r"script .*script\.py.*" + what):
        load_script(write(text))


def test_one_script_under_two_names_is_one(write):
    assert load_script(write("same = script\nscript('sleep', 1)\n")) == [Step("sleep", (1,))]


def test_a_script_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ScriptError, match="there is no such file"):
        load_script(tmp_path / "no.py")
    with pytest.raises(ScriptError, match="there is no such file"):
        load_script(tmp_path)


def test_scripts_may_call_what_the_contract_names():
    registry = ScriptRegistry([ScriptManager, BeadLockManager])
    assert set(NAMES) <= set(registry.names)


def test_the_registry_names_every_wrong_step_and_what_there_is():
    registry = ScriptRegistry([Lamp, Stage])
    registry.check([Step("set_lamp", (1,)), Step("move_stage", ("a", 5))], motors=["a"])
    with pytest.raises(ScriptError) as caught:
        registry.check(
            [
                Step("fly"),
                Step("set_lamp"),
                Step("set_lamp", (1,), {"slow": 1}),
                Step("set_lamp", (1,)),
                Step("move_stage", ("b", 5)),
            ],
            motors=["a"],
        )
    text = str(caught.value)
    for part in (
        "step 1, fly(): no function 'fly'; scripts may call",
        "step 2, set_lamp(): missing a required argument: 'level'",
        "step 3, set_lamp(1, slow=1): got an unexpected keyword argument 'slow'",
        "step 5, move_stage('b', 5): no motor 'b'; there are a",
    ):
        assert part in text
    assert "step 4" not in text


def test_a_command_to_a_motor_is_addressed_by_the_motors_name_and_others_by_class():
    registry = ScriptRegistry([Lamp, Stage])
    assert registry.target("move_stage").address(Step("move_stage", ("a", 5))) == "a"
    assert registry.target("set_lamp").address(Step("set_lamp", (1,))) == "Lamp"


class Bench:
    """A script manager whose messages are noted, on a clock that is told the time."""

    def __init__(self, clock):
        self.clock = clock
        self.sent, self.logs = [], []
        self.manager = ScriptManager()
        lamp = BetterLamp("lamp")
        self.manager.prepare(None, [self.manager, lamp])
        self.manager._resources = SimpleNamespace(names=("ScriptManager", "lamp"))
        self.manager._send = self.send
        self.manager.log = lambda level, text: self.logs.append((level, text))
        self.takes = True

    def send(self, message, token=0):
        self.sent.append((repr(message), token))
        return self.takes

    def start(self, path):
        self.manager.load_script(path)
        self.manager.start_script()

    def step(self, seconds=0.0):
        self.clock.sleep_s(seconds)
        self.manager.do_main_loop()
        return [text for text, _ in self.sent]


@pytest.fixture
def bench(clock):
    return Bench(clock)


def test_a_script_is_carried_out_step_by_step_and_then_finished(bench, write):
    assert bench.manager.status is ScriptStatus.EMPTY
    path = write("script('set_lamp', 1)\nscript('set_acquisition_on', True)\n")
    bench.manager.load_script(path)
    assert bench.manager.status is ScriptStatus.LOADED
    bench.step()
    assert bench.sent == []
    bench.manager.start_script()
    assert bench.step() == ["Lamp.set_lamp(1)", "ManagerProcessBase.set_acquisition_on(True)"]
    assert bench.manager.status is ScriptStatus.FINISHED
    bench.manager.start_script()
    assert len(bench.step()) == 4


def test_a_sleep_lasts_as_long_as_it_says(bench, write):
    bench.start(write("script('set_lamp', 1)\nscript('sleep', 2.5)\nscript('set_lamp', 2)\n"))
    assert len(bench.step()) == 1
    assert bench.manager.seconds_to_next_loop() == pytest.approx(2.5)
    assert len(bench.step(2.4)) == 1
    assert bench.manager.status is ScriptStatus.RUNNING
    assert len(bench.step(0.1)) == 2
    assert bench.manager.status is ScriptStatus.FINISHED


def test_a_paused_script_does_nothing_and_a_sleep_goes_on_where_it_was(bench, write):
    bench.start(write("script('sleep', 2)\nscript('set_lamp', 2)\n"))
    bench.step()
    bench.step(0.5)
    bench.manager.pause_script()
    assert bench.manager.status is ScriptStatus.PAUSED
    assert bench.step(100) == []
    bench.manager.resume_script()
    assert bench.step(1.4) == []
    assert bench.step(0.1) == ["Lamp.set_lamp(2)"]


def test_a_step_that_is_waited_for_keeps_the_next_one_until_it_is_done(bench, write):
    bench.start(write("script('set_lamp', 1, wait=True)\nscript('set_lamp', 2)\n"))
    assert bench.step() == ["Lamp.set_lamp(1)"]
    (_, token) = bench.sent[0]
    assert token
    bench.manager.message_done(token + 1, "lamp")
    assert len(bench.step(100)) == 1
    bench.manager.message_done(token, "lamp")
    assert len(bench.step()) == 2
    assert bench.manager.status is ScriptStatus.FINISHED


def test_a_broadcast_that_is_waited_for_is_done_when_all_have_done_it(bench, write):
    bench.start(write("script('set_acquisition_on', True, wait=True)\n"))
    bench.step()
    (_, token) = bench.sent[0]
    bench.manager.message_done(token, "lamp")
    bench.step()
    assert bench.manager.status is ScriptStatus.RUNNING
    bench.manager.message_done(token, "ScriptManager")
    bench.step()
    assert bench.manager.status is ScriptStatus.FINISHED


def test_a_step_that_fails_ends_the_script_with_the_reason(bench, write):
    bench.start(write("script('set_lamp', 1, wait=True)\nscript('set_lamp', 2)\n"))
    bench.step()
    bench.manager.message_done(bench.sent[0][1], "lamp", "the bulb is gone")
    assert len(bench.step()) == 1
    assert bench.manager.status is ScriptStatus.ERROR
    assert bench.logs[-1] == ("error", "script stopped at step 1: the bulb is gone")


def test_a_paused_script_whose_step_fails_stops_of_it(bench, write):
    bench.start(write("script('set_lamp', 1, wait=True)\nscript('set_lamp', 2)\n"))
    bench.step()
    bench.manager.pause_script()
    bench.manager.message_done(bench.sent[0][1], "lamp", "the bulb is gone")
    assert bench.manager.status is ScriptStatus.ERROR
    assert bench.logs[-1] == ("error", "script stopped at step 1: the bulb is gone")


def test_a_late_answer_to_the_script_before_does_not_stop_this_one(bench, write):
    path = write("script('set_acquisition_on', True, wait=True)\n")
    bench.start(path)
    bench.step()
    bench.manager.message_done(bench.sent[0][1], "lamp", "the bulb is gone")
    bench.start(path)
    bench.step()
    bench.manager.message_done(bench.sent[0][1], "ScriptManager", "the script is gone")
    assert bench.manager.status is ScriptStatus.RUNNING


def test_a_step_that_can_not_be_sent_is_not_waited_for_for_ever(bench, write):
    bench.start(write("script('set_lamp', 1, wait=True)\nscript('set_lamp', 2)\n"))
    bench.takes = False
    bench.step()
    assert bench.manager.status is ScriptStatus.ERROR
    assert "step 1" in bench.logs[-1][1]


@pytest.mark.parametrize("seconds", ["'5'", "None", "[1]", "float('nan')", "float('inf')"])
def test_r3_a_sleep_of_no_number_of_seconds_ends_the_script_and_not_the_manager(
    bench, write, seconds
):
    bench.start(write(f"script('sleep', {seconds})\nscript('set_lamp', 2)\n"))
    assert bench.step() == []
    assert bench.manager.status is ScriptStatus.ERROR
    assert bench.logs[-1][0] == "error"


def test_a_keyword_that_a_message_uses_itself_reaches_the_method(bench, write):
    bench.start(write("script('set_lamp', 1, slowly=True)\n"))
    assert bench.step() == ["Lamp.set_lamp(1, slowly=True)"]


def test_an_unusable_script_is_refused_and_leaves_an_error(bench, write):
    with pytest.raises(ScriptError, match="no function 'fly'"):
        bench.manager.load_script(write("script('fly')\n"))
    assert bench.manager.status is ScriptStatus.ERROR
    with pytest.raises(ScriptError, match="no script can be started"):
        bench.manager.start_script()
    bench.manager.load_script(write("script('sleep', 1)\n"))
    assert bench.manager.status is ScriptStatus.LOADED


def test_what_makes_no_sense_in_a_scripts_state_is_refused(bench, write):
    manager = bench.manager
    for act in (manager.start_script, manager.pause_script, manager.resume_script):
        with pytest.raises(ScriptError, match="empty"):
            act()
    bench.start(path := write("script('sleep', 1)\n"))
    bench.step()
    with pytest.raises(ScriptError, match="must end before another is loaded"):
        manager.load_script(path)
    with pytest.raises(ScriptError, match="running"):
        manager.start_script()
    manager.pause_script()
    with pytest.raises(ScriptError, match="paused"):
        manager.pause_script()


def test_an_idle_script_manager_wakes_for_its_heartbeat_alone(bench, write):
    assert bench.manager.seconds_to_next_loop() == 1.0
    bench.manager.load_script(write("script('set_lamp', 1, wait=True)\n"))
    bench.manager.start_script()
    assert bench.manager.seconds_to_next_loop() == 0.0
    bench.step()
    assert bench.manager.seconds_to_next_loop() == 1.0


def test_the_first_script_is_checked_before_anything_starts(write):
    manager = ScriptManager()
    with pytest.raises(ScriptError, match="no function 'fly'"):
        manager.prepare(write("script('fly')\n"), [manager])


def test_the_first_script_runs_from_the_start(bench, write):
    bench.manager.prepare(write("script('sleep', 1)\n"), [bench.manager])
    bench.manager.setup()
    assert bench.manager.status is ScriptStatus.RUNNING
    bench.step(1)
    bench.step(1)
    assert bench.manager.status is ScriptStatus.FINISHED
    assert bench.clock.monotonic_ns() == 2 * NS_PER_S
