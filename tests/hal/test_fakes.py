"""The fakes of motors' protocols, spoken to as plain text: what they answer, and when they end."""

import socket
import subprocess
import sys
from pathlib import Path

import peers
import pytest
from peers import NM_PER_STEP

from hal.errors import DriverError
from hal.testing.fakes import FakeProcess, Misbehaviour, Mood, PiGcsDialect, ZaberDialect
from hal.testing.fakes.zaber import checksum

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "hal.testing.fakes"]


@pytest.fixture
def ask_zaber():
    dialect = ZaberDialect(peers.height(), NM_PER_STEP)
    dialect.motor.open()

    def ask(command, head="1 1 07"):
        body = f"{head} {command}".rstrip()
        reply = dialect.answer(f"/{body}:{checksum(body)}\r".encode()).decode()
        if not reply:
            return ""
        text, _, digits = reply.strip().removeprefix("@").partition(":")
        assert digits == checksum(text)
        return text

    ask.dialect = dialect
    yield ask
    dialect.motor.close()


@pytest.fixture
def ask_pi():
    dialect = PiGcsDialect(peers.focus())
    dialect.motor.open()
    yield lambda request: dialect.answer(request.encode()).decode()
    dialect.motor.close()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("", "OK IDLE -- 0"),
        ("get pos", "OK IDLE -- 200"),
        ("get limit.min", "OK IDLE -- 0"),
        ("get limit.max", "OK IDLE -- 400"),
        ("get comm.packet.size.max", "OK IDLE -- 80"),
        ("warnings", "OK IDLE -- 00"),
        ("move abs 401", "RJ IDLE -- BADDATA"),
        ("move abs here", "RJ IDLE -- BADDATA"),
        ("move abs", "RJ IDLE -- BADDATA"),
        ("move", "RJ IDLE -- BADDATA"),
        ("move about", "RJ IDLE -- BADCOMMAND"),
        ("move rel -201", "RJ IDLE -- BADDATA"),
        ("set maxspeed 999999999", "RJ IDLE -- BADDATA"),
        ("set pos 3", "RJ IDLE -- BADCOMMAND"),
        ("get temperature", "RJ IDLE -- BADCOMMAND"),
        ("tools echo", "RJ IDLE -- BADCOMMAND"),
    ],
)
def test_zaber_answers_a_request_under_its_number_with_a_checksum(ask_zaber, command, answer):
    assert ask_zaber(command) == f"01 1 07 {answer}"


@pytest.mark.parametrize(
    ("command", "position"),
    [
        ("abs 20", 20),
        ("rel -50", 150),
        ("min", 0),
        ("max", 400),
        ("vel -9000", 0),
        ("vel 9000", 400),
    ],
)
def test_zaber_moves_in_all_ways(ask_zaber, command, position):
    ask_zaber.dialect.motor.set("speed_nm_per_s", 2e7)
    assert ask_zaber(f"move {command}").split()[3:5] == ["OK", "BUSY"]
    if "vel" in command:
        ask_zaber.dialect.motor.set("speed_nm_per_s", 2e7)
        ask_zaber("move min" if position == 0 else "move max")
    peers.arrive(ask_zaber.dialect.motor)
    assert ask_zaber("get pos") == f"01 1 07 OK IDLE -- {position}"


def test_zaber_moves_at_the_speed_that_it_is_told(ask_zaber):
    ask_zaber("move vel -1638.4")
    assert ask_zaber.dialect.motor.get("speed_nm_per_s") == pytest.approx(1000 * NM_PER_STEP)
    ask_zaber("stop")


def test_zaber_answers_without_a_number_where_there_is_none_and_everybody_on_a_broadcast(ask_zaber):
    assert ask_zaber("", head="1 1") == "01 1 OK IDLE -- 0"
    assert ask_zaber("", head="1") == "01 0 OK IDLE -- 0"
    assert ask_zaber("", head="0 0 00") == "01 0 00 OK IDLE -- 0"
    assert ask_zaber("get pos", head="1 2 05") == "01 2 05 RJ IDLE -- BADAXIS"


def test_zaber_does_not_answer_what_is_damaged_or_for_another_device(ask_zaber):
    assert ask_zaber.dialect.answer(b"/1 1 07 get pos:00") == b""
    assert ask_zaber.dialect.answer(b"get pos") == b""
    assert ask_zaber.dialect.answer(b"\xff\xfe\x00") == b""
    assert ask_zaber("get pos", head="2 1 07") == ""


def test_zaber_lists_and_clears_its_warnings_but_that_it_was_never_homed(ask_zaber):
    ask_zaber.dialect.flags += ["FS", "WR"]
    assert ask_zaber("get pos") == "01 1 07 OK IDLE FS 200"
    assert ask_zaber("warnings clear") == "01 1 07 OK IDLE WR 02 FS WR"
    assert ask_zaber("warnings") == "01 1 07 OK IDLE WR 01 WR"
    ask_zaber("home")
    peers.arrive(ask_zaber.dialect.motor)
    assert ask_zaber("warnings") == "01 1 07 OK IDLE -- 00"


def test_zaber_reports_the_steps_that_it_was_told_where_its_mechanics_are_coarser():
    dialect = ZaberDialect(peers.rotation(), peers.TURNS_PER_STEP)
    dialect.motor.open()
    dialect.answer(b"/1 1 01 move abs 3001")
    peers.arrive(dialect.motor)
    assert dialect.answer(b"/1 1 02 get pos").split()[-1].startswith(b"3001:")
    assert dialect.motor.position_turns != 3001 * peers.TURNS_PER_STEP
    dialect.motor.close()


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("*IDN?", "(c) magscope, fake E-709, 1, 1.0\n"),
        ("CSV?", "2.0\n"),
        ("ERR?", "0\n"),
        ("SAI?", "1\n"),
        ("POS?", "1=0.0000000\n"),
        ("POS? 1", "1=0.0000000\n"),
        ("TMN? 1", "1=-5.0000000\n"),
        ("TMX? 1", "1=5.0000000\n"),
        ("SVO? 1", "1=0\n"),
        ("ONT? 1", "1=0\n"),
        ("VEL? 1", "1=100.0000000\n"),
        ("\x05", "0\n"),
        ("MOV 1 1.0", ""),
    ],
)
def test_pi_answers_questions_alone(ask_pi, request_, answer):
    assert ask_pi(request_) == answer


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("POS? Z", 15),
        ("SVO 1", 1),
        ("SVO 1 on", 1),
        ("MOV 1 6.0", 7),
        ("MOV Z 1.0", 15),
        ("VEL 1 1e9", 8),
        ("FRF 1", 2),
        ("", 2),
        ("STP", 10),
        ("\x18", 10),
    ],
)
def test_pi_tells_an_error_once_when_it_is_asked(ask_pi, request_, code):
    ask_pi("SVO 1 1")
    assert ask_pi(request_) == ""
    assert [ask_pi("ERR?"), ask_pi("ERR?")] == [f"{code}\n", "0\n"]


def test_pi_does_not_move_while_its_servo_is_off(ask_pi):
    ask_pi("MOV 1 1.0")
    assert ask_pi("ERR?") == "5\n"
    ask_pi("SVO 1 1")
    ask_pi("MOV 1 1.0")
    assert ask_pi("ERR?") == "0\n"
    assert [ask_pi("\x05"), ask_pi("ONT?")] == ["1\n", "1=0\n"]


def test_all_lines_of_pis_help_but_the_last_end_in_a_space(ask_pi):
    *lines, last = ask_pi("HLP?").removesuffix("\n").split("\n")
    assert all(line.endswith(" ") for line in lines)
    assert last == "end of help"
    assert {"MOV ", "POS? ", "#5 moving? "} <= set(lines)


def test_single_characters_are_requests_of_their_own_wherever_they_come():
    dialect = PiGcsDialect(peers.focus())
    received = bytearray(b"\x05\x18POS?\n\x05ERR?\n\x07MO")
    assert dialect.take(received) == [b"\x05", b"\x18", b"POS?", b"\x05", b"ERR?"]
    assert received == b"\x07MO"
    received += b"V 1 1\n"
    assert dialect.take(received) == [b"\x07", b"MOV 1 1"]


def test_a_fake_serves_several_at_once_and_requests_that_come_in_pieces():
    fake = peers.serve(ZaberDialect(peers.height(), NM_PER_STEP))
    host, port = fake.address.removeprefix("tcp://").split(":")
    with (
        socket.create_connection((host, int(port)), 5.0) as one,
        socket.create_connection((host, int(port)), 5.0) as other,
    ):
        one.sendall(b"/1 1 01 ge")
        other.sendall(b"/1 1 02\n")
        assert other.recv(100).startswith(b"@01 1 02 OK")
        one.sendall(b"t pos\n")
        assert one.recv(100).startswith(b"@01 1 01 OK IDLE -- 200")


def test_a_mood_sets_in_after_so_many_requests():
    wrong = Misbehaviour(Mood.HANG_UP, after=2)
    fake = peers.serve(ZaberDialect(peers.height(), NM_PER_STEP), misbehaviour=wrong)
    host, port = fake.address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), 5.0) as peer:
        for _ in range(2):
            peer.sendall(b"/1 1\n")
            assert peer.recv(100)
        peer.sendall(b"/1 1\n")
        assert peer.recv(100) == b""


def test_a_late_answer_holds_up_those_that_follow():
    fake = peers.serve(ZaberDialect(peers.height(), NM_PER_STEP))
    host, port = fake.address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), 5.0) as peer, peer.makefile("rb") as answers:
        fake.misbehaviour = Misbehaviour(Mood.SLOW, delay_s=0.1)
        peer.sendall(b"/1 1 01\n")
        peers.until(lambda: fake.requests == 1)
        fake.misbehaviour = Misbehaviour()
        peer.sendall(b"/1 1 02\n")
        assert [answers.readline()[:8] for _ in range(2)] == [b"@01 1 01", b"@01 1 02"]


def test_a_fake_closes_its_motor_and_can_be_started_again():
    motor = peers.height()
    fake = peers.serve(ZaberDialect(motor, NM_PER_STEP))
    assert motor.is_open
    fake.close()
    assert not motor.is_open
    fake.start()
    assert motor.is_open


def test_the_program_prints_one_line_when_it_listens_and_then_answers():
    fake = peers.spawn("pi-gcs", motor="sim.focus", options={"start_nm": 2e3})
    assert fake.address == f"tcp://127.0.0.1:{fake.port}"
    with socket.create_connection(("127.0.0.1", fake.port), 5.0) as peer:
        peer.sendall(b"POS? 1\n")
        assert peer.recv(100) == b"1=2.0000000\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pi-gcs", "--motor", "sim.nothing"], "no driver 'sim.nothing'"),
        (["pi-gcs", "--motor", "sim.bead-camera"], "a BeadCamera is no motor"),
        (["pi-gcs", "--motor", "sim.focus", "--option", "speed"], "--option speed: expected NAME"),
        (["zaber", "--motor", "sim.focus"], "--per-step None: zaber needs more than 0"),
    ],
)
def test_the_program_refuses_wrong_arguments_in_a_line(arguments, words, capsys, monkeypatch):
    from hal.testing.fakes import __main__ as program

    monkeypatch.setattr(program, "end_with_parent", lambda _: None)
    assert program.main([*arguments, "--ends-with", "parent"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_a_fake_that_does_not_start_says_why():
    with pytest.raises(DriverError, match=r"no driver 'sim\.nothing'"):
        FakeProcess("pi-gcs", motor="sim.nothing").start()


def test_the_program_dies_with_its_parent():
    parent = (
        "import sys; from hal.testing.fakes import FakeProcess\n"
        "fake = FakeProcess('pi-gcs', motor='sim.focus'); fake.start()\n"
        "print(fake.port, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), 10.0) as peer:
            peer.sendall(b"POS?\n")
            assert peer.recv(100)
            process.kill()
            assert peer.recv(1) == b""  # and not a time-out


def test_the_program_does_not_begin_when_its_parent_is_already_gone():
    nobody = str(2**22)  # no process has so large a number
    command = [*PROGRAM, "pi-gcs", "--motor", "sim.focus", "--parent", nobody]
    ended = subprocess.run(command, capture_output=True, timeout=20, cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (0, b"")


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DriverError, match=f"port {port} on 127"):
            FakeProcess("pi-gcs", motor="sim.focus", port=port).start()


def test_the_program_ends_with_its_input_where_there_is_no_such_signal():
    with subprocess.Popen(
        [*PROGRAM, "pi-gcs", "--motor", "sim.focus", "--ends-with", "input"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout.readline().startswith("ready tcp://127.0.0.1:")
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(10.0) == 0
