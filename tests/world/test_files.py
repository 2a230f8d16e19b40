"""The disk of a world: where a process can die or fail, and what becomes of its open files."""

import errno
from pathlib import Path

import pytest

from magscope.recording.diskfile import DiskFile
from magscope.runtime import current
from sim.world.kernel import Kernel
from sim.world.machine import Machine
from sim.world.process import SIGKILL
from sim.world.schedules import Fifo, Recorder
from sim.world.trace import Trace


class Written:
    """A file with a buffer, which is written when it is closed, and not when it is abandoned."""

    def __init__(self):
        self.is_open = True

    def abandon(self):
        self.is_open = False
        current().disk.lets_go(self)


@pytest.fixture
def machine():
    machine = Machine(Kernel(Recorder(Fifo()), Trace()))
    yield machine
    machine.close()


def run(machine):
    machine.kernel.run(lambda: all(p.exitcode is not None for p in machine.processes.values()))


def test_an_operation_on_a_file_is_a_step_with_the_files_name_alone(machine):
    path = Path("/somewhere/else/Video 2026-01-01 00-00-00.000.tiff")
    machine.launch("writer", lambda _: current().disk.at("rename", path, 5))
    run(machine)
    (step,) = [step for step in machine.kernel.trace.steps if step.site.startswith("file.")]
    assert step == (0, "writer", "file.rename", "Video ….tiff", "")


def test_another_process_may_come_first_at_an_operation_on_a_file(machine, tmp_path):
    order = []

    def work(process):
        order.append(process.name)
        current().disk.at("open", tmp_path / "x")
        order.append(process.name)

    class InTurn(Fifo):
        def choose(self, process, site, hit, ready):
            return 0 if site == "file.open" else None

    machine.kernel.schedule = Recorder(InTurn())
    machine.launch("a", work)
    machine.launch("b", work)
    run(machine)
    assert order == ["a", "b", "a", "b"]


def test_a_fault_of_the_disk_is_an_error_of_the_operating_system(machine, tmp_path):
    def refuse(process, operation, path, size):
        if operation == "write":
            raise OSError(errno.ENOSPC, f"{process.name} {path.name} {size}")

    seen = []

    def work(_):
        with DiskFile(tmp_path / "x", "x") as file, pytest.raises(OSError) as error:  # noqa: PT011
            file.write(b"four")
        seen.append(error.value)

    machine.on_file = refuse
    machine.launch("writer", work)
    run(machine)
    assert machine.crashes == []
    assert (seen[0].errno, seen[0].strerror) == (errno.ENOSPC, "writer x 4")
    assert (tmp_path / "x").read_bytes() == b""


def test_a_slow_disk_takes_virtual_time_of_its_process_alone(machine, tmp_path):
    machine.on_file = lambda *_: machine.kernel.sleep(2_000_000_000)
    times = {}

    def writer(_):
        current().disk.at("fsync", tmp_path / "x")
        times["writer"] = machine.kernel.now_ns

    def other(_):
        current().clock.sleep_s(0.5)
        times["other"] = machine.kernel.now_ns

    machine.launch("writer", writer)
    machine.launch("other", other)
    run(machine)
    assert times == {"writer": 2_000_000_000, "other": 500_000_000}


@pytest.mark.parametrize("way", ["returns", "fails", "is killed", "never ends"])
def test_whatever_ends_a_process_its_open_files_are_closed_and_not_written(machine, tmp_path, way):
    buffered = Written()
    files = []

    def work(process):
        current().disk.keeps(buffered)
        files.append(DiskFile(tmp_path / "x", "x"))
        files[0].write(b"before")
        if way == "fails":
            raise ValueError("it fails")
        if way == "is killed":
            machine.end(process, -SIGKILL)
        if way == "never ends":
            machine.kernel.pause()

    machine.launch("writer", work)
    machine.kernel.run(lambda: files and not machine.kernel._ready)
    if way == "never ends":
        assert buffered.is_open
        machine.close()
    assert not buffered.is_open
    assert files[0].closed
    assert (tmp_path / "x").read_bytes() == b"before"


def test_what_a_killed_process_still_has_to_tidy_up_is_left_as_it_is(machine, tmp_path):
    def work(process):
        with DiskFile(tmp_path / "x", "x") as file:
            try:
                file.write(b"before")
                machine.end(process, -SIGKILL)
            finally:
                file.write(b"after")

    machine.launch("writer", work)
    run(machine)
    machine.close()
    assert (tmp_path / "x").read_bytes() == b"before"
