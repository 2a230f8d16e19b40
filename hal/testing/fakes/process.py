"""A fake as a process of its own, which can be killed and stopped, and which outlives nobody."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any, Self

from hal.errors import DriverError
from hal.testing.fakes.server import Misbehaviour

READY = "ready "
_PR_SET_PDEATHSIG = 1


class FakeProcess:
    """A fake in a process of its own, as a context manager.

    It ends with the thread that started it (on Linux), or when its input ends (elsewhere).

    Args:
        protocol: `zaber`, `pi-gcs` or `gigevision`.
        motor: The driver of the mechanics, a registered name or `package.module:Class`.
        camera: For `gigevision`, instead of a motor: the driver of the sensor.
        options: The driver's options.
        per_step: For `zaber`: how far a microstep is, in the motor's unit.
        port: The TCP port on 127.0.0.1; 0 takes a free one.
        pty: Speak over a pseudo-terminal instead.
        misbehaviour: What it does wrong.
        packet_loss: For `gigevision`, as the two that follow: see `FakeGigeCamera`.
        first_block: The same.
        serial: The same.

    Attributes:
        address: What a driver takes as its `port`, or as its `address`.
    """

    def __init__(
        self,
        protocol: str,
        *,
        motor: str = "",
        camera: str = "",
        options: Mapping[str, Any] | None = None,
        per_step: float | None = None,
        port: int = 0,
        pty: bool = False,
        misbehaviour: Misbehaviour | None = None,
        packet_loss: float = 0.0,
        first_block: int = 1,
        serial: str = "1",
    ) -> None:
        wrong = misbehaviour or Misbehaviour()
        self.address = ""
        self._arguments = [protocol, "--motor", motor, "--camera", camera, "--port", str(port)]
        self._arguments += ["--packet-loss", repr(packet_loss), "--first-block", str(first_block)]
        self._arguments += ["--serial", serial]
        for name, value in (options or {}).items():
            self._arguments += ["--option", f"{name}={value}"]
        if per_step is not None:
            self._arguments += ["--per-step", repr(per_step)]
        if pty:
            self._arguments.append("--pty")
        self._arguments += ["--mood", wrong.mood, "--after", str(wrong.after)]
        self._arguments += ["--delay-s", repr(wrong.delay_s)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process' number."""
        return self._process.pid

    @property
    def port(self) -> int:
        """The TCP port, for one that comes back at the same place."""
        return int(self.address.rpartition(":")[2])

    def start(self) -> None:
        """Start the process and wait until it listens.

        Raises:
            DriverError: It ended instead.
        """
        command = [sys.executable, "-m", "hal.testing.fakes", *self._arguments]
        command += ["--parent", str(os.getpid())]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(READY):
            _, errors = self._process.communicate()
            raise DriverError(f"the fake did not start: {line}{errors}".strip())
        self.address = line.removeprefix(READY).strip()

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Freeze it: its connections stay, nothing answers. Not on Windows."""
        self._process.send_signal(signal.SIGSTOP)
        # The signal is not yet obeyed when it was sent.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, if it has not ended."""
        self._process.kill()
        self._process.communicate()


def end_with_parent(parent: int | None = None) -> None:
    """Let the kernel end this process with the thread that started it; only on Linux.

    Args:
        parent: Who started it: it ends at once if that one is already gone.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(0)


def end_with_input() -> None:
    """End this process when its standard input ends: its parent is gone."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=watch, name="watch the input", daemon=True).start()
