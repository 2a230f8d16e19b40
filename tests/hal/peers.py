"""Fake controllers for the tests of drivers; all of them end with the test that started them."""

import socket
import time
from contextlib import ExitStack, contextmanager

from hal.registry import create
from hal.testing.fakes import FakeProcess, FakeServer, PiGcsDialect, ZaberDialect

NM_PER_STEP = 500.0
TURNS_PER_STEP = 1 / 12_800
TIMEOUT_S = 0.15
_running = ExitStack()


@contextmanager
def deaf_host():
    """Give the address of somebody whose queue of new connections is full: they hang in the air."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def end_all():
    _running.close()


def serve(dialect, **how) -> FakeServer:
    return _running.enter_context(FakeServer(dialect, **how))


def spawn(protocol, **how) -> FakeProcess:
    return _running.enter_context(FakeProcess(protocol, **how))


def height(**options):
    """A linear axis that is fast enough for tests: 0 to 0.2 mm, at first in the middle."""
    quick = {"start_nm": 1e5, "upper_nm": 2e5, "speed_nm_per_s": 1e7}
    return create("sim.magnet-height", quick | options)


def rotation():
    quick = {"lower_turns": -1.0, "upper_turns": 1.0, "acceleration_turns_per_s2": 500.0}
    return create("sim.magnet-rotation", quick)


def focus(**options):
    return create("sim.focus", {"lower_nm": -5e3, "upper_nm": 5e3} | options)


def linear_options():
    fake = serve(ZaberDialect(height(), NM_PER_STEP))
    return {"port": fake.address, "nm_per_microstep": NM_PER_STEP}


def rotary_options():
    fake = serve(ZaberDialect(rotation(), TURNS_PER_STEP))
    return {"port": fake.address, "turns_per_microstep": TURNS_PER_STEP}


def focus_options():
    return {"port": serve(PiGcsDialect(focus())).address}


def logged(dialect):
    """Return the list to which all requests to a dialect are added from now on."""
    requests, answer = [], dialect.answer

    def note(request):
        requests.append(request.decode())
        return answer(request)

    dialect.answer = note
    return requests


def until(condition):
    deadline_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline_s, "it does not come true"
        time.sleep(0.001)


def arrive(motor):
    until(lambda: not motor.is_moving)
    return motor.read_position()


@contextmanager
def within(seconds):
    """Fail if what is inside takes longer, by more than a busy machine explains."""
    before_s = time.monotonic()
    yield
    took_s = time.monotonic() - before_s
    assert took_s < seconds + 1.0, f"took {took_s:.2f} s of {seconds:g} s"
