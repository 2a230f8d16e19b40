"""The `zaber` drivers against a fake of Zaber's protocol, which behaves well or badly."""

import socket
import subprocess
import sys

import peers
import pytest
from peers import NM_PER_STEP, TIMEOUT_S, TURNS_PER_STEP, arrive, within

from hal import registry
from hal.drivers.zaber import Zaber, ZaberLinear, ZaberRotary
from hal.drivers.zaber.stage import SPEED_UNITS
from hal.errors import (
    BusyError,
    DeviceTimeoutError,
    DisconnectedError,
    LimitError,
    MissingExtraError,
    MotionError,
    OptionError,
    ProtocolError,
    SettingError,
    UnsupportedError,
)
from hal.testing.fakes import Misbehaviour, Mood, ZaberDialect
from hal.testing.fakes.zaber import checksum


@pytest.fixture
def dialect():
    return ZaberDialect(peers.height(), NM_PER_STEP, serial=4711)


@pytest.fixture
def fake(dialect):
    return peers.serve(dialect)


@pytest.fixture
def open_stage(fake):
    stages = []

    def make(kind=ZaberLinear, **options):
        given = {"port": fake.address, "nm_per_microstep": NM_PER_STEP, "timeout_s": TIMEOUT_S}
        stages.append(kind(**(given | options)))
        stages[-1].open()
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@pytest.fixture
def stage(open_stage):
    return open_stage(timeout_s=2.0)


@pytest.fixture
def hasty(open_stage):
    """A stage that is not given much time."""
    return open_stage()


def test_positions_are_microsteps_times_the_step_size(stage, dialect):
    assert (stage.axis.lower, stage.axis.upper) == (0.0, 2e5)
    assert stage.axis.resolution == NM_PER_STEP
    assert stage.position_nm == 1e5
    requests = peers.logged(dialect)
    stage.move_to_nm(50_200.0)
    assert any("move abs 100:" in request for request in requests)
    assert arrive(stage) == 50_000.0
    assert dialect.motor.position_nm == 50_000.0


def test_turns_are_microsteps_times_the_step_size():
    with ZaberRotary(**peers.rotary_options()) as stage:
        stage.move_to_turns(0.25)
        assert arrive(stage) == pytest.approx(0.25, abs=TURNS_PER_STEP / 2)
        assert stage.axis.unit == "turn"
        assert stage.set("speed_turns_per_s", 2.0) == pytest.approx(2.0, rel=1e-3)


def test_the_speed_is_converted_and_kept_within_its_limit(stage, dialect):
    assert stage.get("speed_nm_per_s") == pytest.approx(1e7, rel=1e-4)
    requests = peers.logged(dialect)
    taken = stage.set("speed_nm_per_s", 1e6)
    units = int(1e6 / NM_PER_STEP * SPEED_UNITS)
    assert any(f"set maxspeed {units}:" in request for request in requests)
    assert taken == pytest.approx(1e6, rel=1e-3)
    assert dialect.motor.get("speed_nm_per_s") == pytest.approx(1e6, rel=1e-3)
    assert stage.set("speed_nm_per_s", taken) == taken
    assert stage.set("speed_nm_per_s", 2e7) <= 2e7


def test_the_speed_of_the_options_is_set_when_it_is_opened(open_stage, dialect):
    stage = open_stage(speed_nm_per_s=3e6)
    assert stage.get("speed_nm_per_s") == pytest.approx(3e6, rel=1e-3)
    assert dialect.motor.get("speed_nm_per_s") == pytest.approx(3e6, rel=1e-3)


def test_a_speed_that_the_device_refuses_is_a_setting_error(open_stage):
    with pytest.raises(SettingError, match="BADDATA"):
        open_stage(max_speed_nm_per_s=1e9).set("speed_nm_per_s", 1e9)


def test_the_limits_are_made_narrower_by_the_options_in_whole_microsteps(open_stage):
    stage = open_stage(lower_nm=20_100.0, upper_nm=150_400.0)
    assert (stage.axis.lower, stage.axis.upper) == (20_500.0, 150_000.0)
    with pytest.raises(LimitError):
        stage.move_to_nm(150_300.0)


def test_limits_that_leave_no_way_are_refused_and_nothing_stays_open(open_stage):
    with pytest.raises(OptionError, match="no way is left between 300000 and 200000 nm"):
        open_stage(lower_nm=3e5)


def test_only_plain_commands_are_sent_as_there_is_no_database_of_devices(open_stage, dialect):
    requests = peers.logged(dialect)
    stage = open_stage()
    stage.move_to_nm(1e4)
    arrive(stage)
    stage.home()
    stage.stop()
    stage.close()
    commands = {" ".join(request.partition(":")[0].split()[3:]) for request in requests}
    names = {" ".join(word for word in command.split() if word.isalpha()) for command in commands}
    assert names == {"", "get", "get deviceid", "get pos", "home", "move abs", "stop", "warnings"}
    assert all(request.count(":") == 1 for request in requests)  # a checksum each


def test_a_stage_says_who_it_is(open_stage, dialect):
    identity = open_stage(Zaber).identity
    assert (identity.vendor, identity.serial, identity.driver) == ("Zaber", "4711", "zaber")
    assert not identity.is_real
    assert open_stage(model="X-LSQ075A").identity.model == "X-LSQ075A"


def test_a_device_with_a_number_of_its_kind_is_real(open_stage, dialect):
    answer = dialect.answer

    def real(request):
        if b"get deviceid" not in request:
            return answer(request)
        reply = answer(request).decode()[1:].partition(":")[0].removesuffix("0") + "50081"
        return f"@{reply}:{checksum(reply)}\r\n".encode()

    dialect.answer = real
    identity = open_stage().identity
    assert identity.is_real
    assert identity.model == "device 50081"


def test_a_stage_is_driven_over_a_serial_port(dialect):
    fake = peers.serve(dialect, pty=True)
    with ZaberLinear(port=fake.address, nm_per_microstep=NM_PER_STEP) as stage:
        stage.move_to_nm(120_000.0)
        assert arrive(stage) == 120_000.0


def test_a_stall_is_told_once_and_the_stage_can_be_moved_again(stage, dialect):
    stage.move_to_nm(2e5)
    dialect.flags.append("FS")
    with pytest.raises(MotionError, match=r"FS \(it stalled and was stopped\)"):
        arrive(stage)
    arrive(stage)
    stage.move_to_nm(0.0)
    assert arrive(stage) == 0.0


@pytest.mark.parametrize("act", [lambda s: s.move_to_nm(0.0), lambda s: s.home()])
def test_a_fault_that_is_flagged_with_the_answer_to_a_command_is_told(stage, dialect, act):
    dialect.flags.append("FF")
    with pytest.raises(MotionError, match=r"FF \(a critical fault"):
        act(stage)


def test_mechanics_that_fail_are_a_stall(stage, dialect, monkeypatch):
    def fail(_):
        raise MotionError("the gears have no teeth")

    monkeypatch.setattr(type(dialect.motor), "is_moving", property(fail))
    with pytest.raises(MotionError, match="FS"):
        arrive(stage)


def test_a_stage_that_does_not_know_where_it_is_moves_only_home(open_stage, dialect):
    dialect.flags.append("WR")
    stage = open_stage(timeout_s=2.0)
    with pytest.raises(MotionError, match=r"has not been homed .*home it first"):
        stage.move_to_nm(0.0)
    assert not stage.is_moving
    stage.home()
    assert arrive(stage) == 2e5
    stage.move_to_nm(1e5)
    assert arrive(stage) == 1e5


def test_a_stage_without_a_home_says_so(open_stage):
    with pytest.raises(UnsupportedError, match="can_home"):
        open_stage(can_home=False).home()


def test_a_refusal_is_an_error_of_its_kind(hasty, fake):
    fake.misbehaviour = Misbehaviour(Mood.REFUSE)
    with pytest.raises(BusyError, match="STATUSBUSY"):
        hasty.move_to_nm(0.0)


@pytest.mark.parametrize("mood", [Mood.SILENT, Mood.GARBAGE, Mood.SLOW])
def test_no_valid_answer_is_a_time_out_and_the_next_one_counts_again(hasty, fake, mood):
    fake.misbehaviour = Misbehaviour(mood)
    with within(TIMEOUT_S), pytest.raises(DeviceTimeoutError, match=r"within 0\.15 s"):
        hasty.read_position()
    assert hasty.is_open
    fake.misbehaviour = Misbehaviour()
    if mood is not Mood.SLOW:
        assert hasty.read_position() == 1e5


def test_a_late_answer_is_not_taken_for_that_to_the_next_question(open_stage, fake, dialect):
    stage = open_stage(timeout_s=0.3)
    fake.misbehaviour = Misbehaviour(Mood.SLOW, delay_s=0.4)
    with pytest.raises(DeviceTimeoutError):
        stage.read_position()
    fake.misbehaviour = Misbehaviour()
    assert stage.get("speed_nm_per_s") == pytest.approx(1e7, rel=1e-4)


def test_an_answer_with_a_wrong_checksum_is_none(hasty, dialect, monkeypatch):
    answer = dialect.answer
    monkeypatch.setattr(dialect, "answer", lambda r: answer(r).replace(b" 200:", b" 201:"))
    with pytest.raises(DeviceTimeoutError):
        hasty.read_position()


def test_an_answer_that_makes_no_sense_is_a_protocol_error(stage, dialect):
    dialect._commands["get"] = lambda _: "far away"
    with pytest.raises(ProtocolError, match="'far away' to 'get pos'; expected a number"):
        stage.read_position()
    dialect.flags.append("FS")
    dialect._commands["warnings"] = lambda _: "07 FS"
    with pytest.raises(ProtocolError, match=r"listed its warnings as 07 \['FS'\]"):
        stage.home()


def test_a_state_that_is_none_does_not_count_as_standing(stage, dialect, monkeypatch):
    answer = dialect.answer

    def garbled(request):
        body = answer(request).decode()[1:].rpartition(":")[0].replace(" IDLE ", " I?LE ")
        return f"@{body}:{checksum(body)}\r\n".encode()

    monkeypatch.setattr(dialect, "answer", garbled)
    with pytest.raises(ProtocolError, match=r"state 'I\?LE'; expected IDLE or BUSY"):
        _ = stage.is_moving


def test_a_peer_that_hangs_up_is_disconnected_and_can_be_opened_again(hasty, fake):
    fake.misbehaviour = Misbehaviour(Mood.HANG_UP)
    with within(TIMEOUT_S), pytest.raises(DisconnectedError):
        hasty.read_position()
    assert not hasty.is_open
    with pytest.raises(DisconnectedError):
        hasty.move_to_nm(0.0)
    fake.misbehaviour = Misbehaviour()
    hasty.open()
    assert hasty.read_position() == 1e5


def test_a_peer_that_is_killed_is_disconnected_and_one_that_comes_back_is_opened():
    how = {"motor": "sim.magnet-height", "per_step": NM_PER_STEP}
    first = peers.spawn("zaber", **how)
    stage = ZaberLinear(port=first.address, nm_per_microstep=NM_PER_STEP, timeout_s=TIMEOUT_S)
    stage.open()
    first.kill()
    with within(TIMEOUT_S), pytest.raises(DisconnectedError):
        stage.read_position()
    assert not stage.is_open
    with within(TIMEOUT_S), pytest.raises(DisconnectedError, match="refused"):
        stage.open()
    with within(2 * TIMEOUT_S):
        stage.close()
    peers.spawn("zaber", **how, port=first.port)
    stage.open()
    assert stage.read_position() == 1e6
    stage.close()


def test_a_peer_that_is_frozen_is_a_time_out_and_closing_does_not_hang():
    fake = peers.spawn("zaber", motor="sim.magnet-height", per_step=NM_PER_STEP)
    stage = ZaberLinear(port=fake.address, nm_per_microstep=NM_PER_STEP, timeout_s=TIMEOUT_S)
    stage.open()
    fake.stop()
    with within(TIMEOUT_S), pytest.raises(DeviceTimeoutError):
        stage.read_position()
    with within(2 * TIMEOUT_S):
        stage.close()
    with within(2 * TIMEOUT_S), pytest.raises(DeviceTimeoutError):
        stage.open()  # the kernel accepts for it, but nobody answers
    assert not stage.is_open
    fake.resume()
    stage = ZaberLinear(port=fake.address, nm_per_microstep=NM_PER_STEP, timeout_s=5.0)
    stage.open()
    assert stage.read_position() == 1e6
    stage.close()


def test_a_serial_port_that_vanishes_is_disconnected():
    fake = peers.spawn("zaber", motor="sim.magnet-height", per_step=NM_PER_STEP, pty=True)
    stage = ZaberLinear(port=fake.address, nm_per_microstep=NM_PER_STEP, timeout_s=TIMEOUT_S)
    stage.open()
    fake.kill()
    with within(TIMEOUT_S), pytest.raises(DisconnectedError):
        stage.read_position()
    with within(2 * TIMEOUT_S):
        stage.close()


def test_a_moving_stage_is_stopped_when_it_is_closed(open_stage, dialect):
    stage = open_stage(timeout_s=2.0)
    stage.set("speed_nm_per_s", 1e4)
    stage.move_to_nm(2e5)
    stage.close()
    arrive(dialect.motor)
    assert dialect.motor.position_nm < 1.1e5


def test_a_wrong_address_is_named_with_those_that_answer(open_stage):
    with (
        within(2 * TIMEOUT_S),
        pytest.raises(DisconnectedError, match=r"address = 7: no device answers.*these do: 1"),
    ):
        open_stage(address=7)


def test_a_wrong_axis_is_an_option_error(open_stage):
    with pytest.raises(OptionError, match="BADAXIS"):
        open_stage(axis_number=2)


def test_a_host_that_does_not_answer_is_a_time_out():
    with peers.deaf_host() as address:
        stage = ZaberLinear(port=address, nm_per_microstep=NM_PER_STEP, timeout_s=TIMEOUT_S)
        with within(TIMEOUT_S), pytest.raises(DeviceTimeoutError):
            stage.open()
    assert not stage.is_open


def test_nobody_at_the_port_is_disconnected(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for port in (address, str(tmp_path / "ttyUSB7")):
        stage = ZaberLinear(port=port, nm_per_microstep=NM_PER_STEP, timeout_s=TIMEOUT_S)
        with pytest.raises(DisconnectedError, match="connecting"):
            stage.open()
        assert not stage.is_open
        stage.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": "udp://x"}, "port = 'udp://x': expected tcp://host:port"),
        ({"port": "tcp://127.0.0.1"}, "expected tcp://host:port, as tcp"),
        ({"port": ""}, "port = ''"),
        ({"nm_per_microstep": 0.0}, "step size = 0.0 nm: expected more than 0"),
        ({"max_speed_nm_per_s": -1.0}, "largest speed = -1.0 nm"),
        ({"address": 0}, "address = 0.*expected 1 to 99"),
        ({"timeout_s": 0.0}, "timeout_s = 0.0: expected seconds"),
        ({"speed_nm_per_s": 1e12}, "speed_nm_per_s = 1000000"),
    ],
)
def test_a_wrong_option_is_refused_when_the_device_is_made(options, words):
    given = {"port": "tcp://127.0.0.1:1", "nm_per_microstep": NM_PER_STEP} | options
    with pytest.raises(OptionError, match=words):
        registry.create("zaber.linear", given)


def test_the_extra_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "zaber_motion", None)
    for name in list(sys.modules):
        if name.startswith("hal.drivers.zaber"):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r'pip install "magscope-rig\[zaber\]"'):
        registry.load_driver("zaber")


def test_whoever_looks_at_the_driver_can_fork_as_the_library_is_not_loaded():
    program = (
        "import sys; from hal.registry import available_drivers, load_driver\n"
        "available_drivers(); load_driver('zaber.rotary'); print('zaber_motion' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n"
