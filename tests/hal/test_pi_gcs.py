"""The `pi-gcs` driver against a fake of PI's protocol, which behaves well or badly."""

import socket
import sys
import threading
import time

import peers
import pytest
from peers import TIMEOUT_S, arrive, within
from pipython.pidevice.interfaces.pigateway import PIGateway

from hal import registry
from hal.drivers.pi_gcs import PiGcsFocus
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
)
from hal.testing.fakes import Misbehaviour, Mood, PiGcsDialect


@pytest.fixture
def dialect():
    return PiGcsDialect(peers.focus(), serial="0815")


@pytest.fixture
def fake(dialect):
    return peers.serve(dialect)


@pytest.fixture
def open_focus(fake):
    opened = []

    def make(**options):
        opened.append(PiGcsFocus(**({"port": fake.address, "timeout_s": TIMEOUT_S} | options)))
        opened[-1].open()
        return opened[-1]

    yield make
    for focus in opened:
        focus.close()


@pytest.fixture
def focus(open_focus):
    return open_focus(timeout_s=2.0)


@pytest.fixture
def hasty(open_focus):
    """A focus that is not given much time."""
    return open_focus()


def test_positions_are_micrometres_in_the_controller(focus, dialect):
    assert (focus.axis.lower, focus.axis.upper) == (-5e3, 5e3)
    requests = peers.logged(dialect)
    focus.move_to_nm(1234.0)
    assert "MOV 1 1.234" in requests
    assert arrive(focus) == pytest.approx(1234.0)
    assert dialect.motor.position_nm == 1234.0


def test_the_focus_says_who_its_controller_is(focus):
    identity = focus.identity
    assert (identity.vendor, identity.model) == ("(c) magscope", "fake E-709")
    assert (identity.serial, identity.driver, identity.is_real) == ("0815", "pi-gcs", False)


def test_a_controller_that_does_not_say_fake_is_real(open_focus, dialect):
    dialect._commands["*IDN?"] = lambda _: "(c)2013 Physik Instrumente, E-709.CRG, 1130, 1.03"
    identity = open_focus().identity
    assert identity.is_real
    assert (identity.model, identity.serial) == ("E-709.CRG", "1130")


def test_the_servo_is_switched_on_and_an_old_error_is_forgotten(open_focus, dialect):
    dialect.error = 7
    requests = peers.logged(dialect)
    focus = open_focus()
    assert requests[:3] == ["*IDN?", "ERR?", "CSV?"]  # else pipython takes it for that of CSV?
    assert focus.position_nm == 0.0
    assert dialect._servo


def test_stopping_leaves_error_10_in_the_controller_which_is_no_failure(focus, dialect):
    focus.move_to_nm(5e3)
    focus.stop()
    assert dialect.error == 0
    assert arrive(focus) < 5e3
    focus.move_to_nm(0.0)
    assert arrive(focus) == 0.0


def test_the_speed_is_converted_and_read_back(focus, dialect):
    assert focus.set("speed_nm_per_s", 2e5) == pytest.approx(2e5)
    assert dialect.motor.get("speed_nm_per_s") == pytest.approx(2e5)
    with pytest.raises(SettingError):
        focus.set("speed_nm_per_s", 5e6)  # within the option, too fast for the controller


def test_the_speed_of_the_options_is_set_when_it_is_opened(open_focus, dialect):
    open_focus(speed_nm_per_s=3e5)
    assert dialect.motor.get("speed_nm_per_s") == pytest.approx(3e5)


def test_a_controller_without_a_speed_has_no_such_setting(open_focus, dialect):
    del dialect._commands["VEL"]
    assert open_focus().settings == ()
    with pytest.raises(OptionError, match="no speed that can be set"):
        open_focus(speed_nm_per_s=1e4)


def test_the_limits_are_made_narrower_by_the_options(open_focus):
    focus = open_focus(lower_nm=-1e9, upper_nm=2e3)
    assert (focus.axis.lower, focus.axis.upper) == (-5e3, 2e3)
    with pytest.raises(OptionError, match="no way is left between 6000 and 5000 nm"):
        open_focus(lower_nm=6e3)


def test_a_position_that_the_controller_refuses_is_a_limit_error(focus):
    with pytest.raises(LimitError, match="moving to 90000 nm: the controller says"):
        focus.begin_move(9e4)
    assert not focus.is_moving


def test_a_refusal_is_an_error_of_its_kind(hasty, fake):
    fake.misbehaviour = Misbehaviour(Mood.REFUSE)
    with pytest.raises(MotionError, match="servo off"):
        hasty.move_to_nm(0.0)


def test_a_wrong_axis_is_named_with_those_that_there_are(open_focus):
    with pytest.raises(OptionError, match="axis_name = 'Z': choose one of 1"):
        open_focus(axis_name="Z")


@pytest.mark.parametrize("pty", [False, True])
@pytest.mark.parametrize("mood", [Mood.SILENT, Mood.SLOW])
def test_a_time_out_is_followed_by_a_new_connection_and_never_by_the_late_answer(
    open_focus, dialect, mood, pty
):
    fake = peers.serve(PiGcsDialect(peers.focus(speed_nm_per_s=1e6)), pty=pty)
    focus = open_focus(port=fake.address, timeout_s=0.3)
    fake.misbehaviour = Misbehaviour(mood, delay_s=0.4)
    with within(0.3), pytest.raises(DeviceTimeoutError, match=r"within 0\.3 s"):
        focus.read_position()
    assert focus.is_open
    fake.misbehaviour = Misbehaviour()
    assert focus.get("speed_nm_per_s") == pytest.approx(1e6)
    assert focus.read_position() == 0.0
    assert focus.get("speed_nm_per_s") == pytest.approx(1e6)


def test_the_servo_of_a_controller_that_was_switched_off_meanwhile_is_switched_on(
    hasty, fake, dialect
):
    fake.misbehaviour = Misbehaviour(Mood.SILENT)
    with pytest.raises(DeviceTimeoutError):
        hasty.read_position()
    fake.misbehaviour = Misbehaviour()
    dialect._servo = False
    hasty.move_to_nm(1e3)
    assert arrive(hasty) == pytest.approx(1e3)


def test_connections_leave_nothing_behind_in_the_library(hasty, fake):
    for _ in range(3):
        hasty.close()
        hasty.open()
    assert PIGateway._connection_status_changed_callbacks == []


def test_waiting_costs_no_processor_time(open_focus, fake):
    focus = open_focus(timeout_s=0.5)
    fake.misbehaviour = Misbehaviour(Mood.SILENT)
    before_s = time.thread_time()
    with pytest.raises(DeviceTimeoutError):
        focus.read_position()
    assert time.thread_time() - before_s < 0.1
    fake.misbehaviour = Misbehaviour()


def test_garbage_is_a_protocol_error_and_the_next_answer_counts_again(hasty, fake):
    fake.misbehaviour = Misbehaviour(Mood.GARBAGE)
    with within(TIMEOUT_S), pytest.raises(ProtocolError, match="makes no sense"):
        hasty.read_position()
    fake.misbehaviour = Misbehaviour()
    assert hasty.read_position() == 0.0


def test_somebody_who_is_no_pi_controller_is_a_protocol_error(open_focus, fake):
    fake.misbehaviour = Misbehaviour(Mood.GARBAGE)
    with within(TIMEOUT_S), pytest.raises(ProtocolError, match="is it a PI controller"):
        open_focus()


def test_an_answer_that_drips_in_does_not_extend_the_time(open_focus):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            peer, _ = server.accept()
            with peer:
                peer.settimeout(0.03)
                while True:
                    try:
                        if not peer.recv(100):
                            return
                    except TimeoutError:
                        peer.sendall(b"1")
                    except ConnectionError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with within(TIMEOUT_S), pytest.raises(ProtocolError, match="'1"):
            open_focus(port=f"tcp://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


def test_a_peer_that_hangs_up_is_disconnected_at_once_and_can_be_opened_again(open_focus, fake):
    focus = open_focus(timeout_s=30.0)
    fake.misbehaviour = Misbehaviour(Mood.HANG_UP)
    with within(1.0), pytest.raises(DisconnectedError, match="hung up"):
        focus.read_position()
    assert not focus.is_open
    with pytest.raises(DisconnectedError, match="open it before"):
        focus.move_to_nm(0.0)
    with pytest.raises(DisconnectedError):
        focus.open()
    fake.misbehaviour = Misbehaviour()
    focus.open()
    assert focus.read_position() == 0.0


def test_a_peer_that_is_killed_is_disconnected_and_one_that_comes_back_is_opened():
    first = peers.spawn("pi-gcs", motor="sim.focus")
    focus = PiGcsFocus(port=first.address, timeout_s=5.0)
    focus.open()
    first.kill()
    with within(1.0), pytest.raises(DisconnectedError):
        focus.read_position()
    with within(1.0), pytest.raises(DisconnectedError, match="refused"):
        focus.open()
    with within(1.0):
        focus.close()
    peers.spawn("pi-gcs", motor="sim.focus", port=first.port)
    focus.open()
    assert focus.read_position() == 0.0
    focus.close()


def test_a_peer_that_is_frozen_is_a_time_out_and_goes_on_when_it_is_resumed():
    fake = peers.spawn("pi-gcs", motor="sim.focus")
    focus = PiGcsFocus(port=fake.address, timeout_s=TIMEOUT_S)
    focus.open()
    fake.stop()
    with within(TIMEOUT_S), pytest.raises(DeviceTimeoutError):
        focus.read_position()
    with within(2 * TIMEOUT_S):
        focus.close()
    with within(2 * TIMEOUT_S), pytest.raises(DeviceTimeoutError):
        focus.open()  # the kernel accepts for it, but nobody answers
    assert not focus.is_open
    fake.resume()
    focus = PiGcsFocus(port=fake.address, timeout_s=5.0)
    focus.open()
    assert focus.read_position() == 0.0
    focus.close()


def test_a_serial_port_that_vanishes_is_disconnected():
    fake = peers.spawn("pi-gcs", motor="sim.focus", pty=True)
    focus = PiGcsFocus(port=fake.address, timeout_s=5.0)
    focus.open()
    fake.kill()
    with within(1.0), pytest.raises(DisconnectedError):
        focus.read_position()
    focus.close()


def test_a_serial_port_that_somebody_else_has_is_busy(open_focus, dialect):
    fake = peers.serve(PiGcsDialect(peers.focus()), pty=True)
    open_focus(port=fake.address)
    with pytest.raises(BusyError, match="in use by another program"):
        open_focus(port=fake.address)


def test_a_moving_focus_is_stopped_when_it_is_closed(open_focus, dialect):
    focus = open_focus(timeout_s=2.0)
    focus.set("speed_nm_per_s", 1e3)
    focus.move_to_nm(5e3)
    focus.close()
    arrive(dialect.motor)
    assert dialect.motor.position_nm < 2e3


def test_a_host_that_does_not_answer_is_a_time_out():
    with peers.deaf_host() as address:
        focus = PiGcsFocus(port=address, timeout_s=TIMEOUT_S)
        with within(TIMEOUT_S), pytest.raises(DeviceTimeoutError):
            focus.open()
    assert not focus.is_open


def test_nobody_at_the_port_is_disconnected(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for port in (address, str(tmp_path / "ttyUSB7")):
        focus = PiGcsFocus(port=port, timeout_s=TIMEOUT_S)
        with pytest.raises(DisconnectedError):
            focus.open()
        assert not focus.is_open
        focus.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": "tcp://:1"}, "expected tcp://host:port"),
        ({"resolution_nm": 0.0}, r"resolution_nm = 0\.0: expected more than 0"),
        ({"max_speed_nm_per_s": float("inf")}, "max_speed_nm_per_s = inf"),
        ({"timeout_s": float("nan")}, "timeout_s = nan"),
        ({"speed_nm_per_s": 0.0}, r"speed_nm_per_s = 0\.0"),
    ],
)
def test_a_wrong_option_is_refused_when_the_device_is_made(options, words):
    with pytest.raises(OptionError, match=words):
        registry.create("pi-gcs", {"port": "tcp://127.0.0.1:1"} | options)


def test_the_extra_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pipython", None)
    for name in list(sys.modules):
        if name.startswith("hal.drivers.pi_gcs"):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r'pip install "magscope-rig\[pi-gcs\]"'):
        registry.load_driver("pi-gcs")
