"""Managers of the tests' own that send, count, hold and fail as they are told."""

import os
import signal
import time

import numpy as np

from magscope.hardware import HardwareManagerBase
from magscope.utils import Message


class Probe(HardwareManagerBase):
    """Its rows are what `ping` was called with: the time, the sender's number, the latency in s."""

    buffer_shape = (50_000, 3)

    def connect(self):
        self._is_connected = True

    def disconnect(self):
        self._is_connected = False

    def fetch(self):
        pass

    def seconds_to_next_loop(self):
        return 1.0

    def ping(self, number, sent_s):
        now_s = time.monotonic()
        self._buffer.write(np.array([[now_s, number, now_s - sent_s]]))


class Receiver(Probe):
    """A probe that receives."""


class Sleeper(Probe):
    """A probe that receives, and is stopped by a test."""


class Sender(Probe):
    """A probe that sends, and does what is bad for the system."""

    def send_pings(self, to, first, count):
        for number in range(first, first + count):
            self.send_ipc(Message(to, "ping", number, time.monotonic()))

    def flood(self, to, count, other, every):
        for number in range(count):
            self.send_ipc(Message(to, "ping", number, time.monotonic()))
            if number % every == 0:
                self.send_ipc(Message(other, "ping", number, time.monotonic()))

    def send_bad(self):
        self.send_ipc("not a message")
        self.send_ipc(Message("NobodyManager", "ping", 0, 0.0))
        self.send_ipc(Message("Receiver", "no_such_method"))
        self.send_ipc(Message("Receiver", "_tidy"))
        self.send_ipc(Message("Receiver", "terminate"))
        self.send_ipc(Message("Receiver", "ping", "too few"))
        self.send_ipc(Message("Receiver", "ping", lambda: 0, 0.0))
        self.send_ipc(Message("Receiver", "ping", b"x" * (17 << 20), 0.0))
        self.send_ipc(Message("Receiver", "ping", 1, time.monotonic()))

    def die_holding(self, lock):
        locks = {**self.locks, "flag": self.shared_values.video_process_flag.get_lock()}
        locks[lock].acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    def fail(self):
        raise RuntimeError("the handler's own mistake")


class Failing(Probe):
    """Fails where it is told."""

    def __init__(self, where=""):
        super().__init__()
        self.where = where

    def setup(self):
        super().setup()
        if self.where == "setup":
            raise RuntimeError("it fails in setup")

    def do_main_loop(self):
        if self.where == "do_main_loop":
            raise RuntimeError("it fails in do_main_loop")

    def shutdown(self):
        super().shutdown()
        if self.where == "shutdown":
            raise RuntimeError("it fails in shutdown")
