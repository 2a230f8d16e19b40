"""A fork runs hooks of libraries, and what is raised in one of them goes nowhere."""

import subprocess
import sys

import pytest

PROGRAM = """
import multiprocessing
import os
import signal
from core_tools import Child
from magscope.runtime import machine

def do_nothing():
    pass

class Manager(Child):
    def run(self):
        os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), {number}))
        machine().enter(self)
        Child(do_nothing).start()
        print("went on", flush=True)

multiprocessing.set_start_method("fork")
machine().begin_session()
manager = Manager(None)
manager.start()
manager.join()
print(manager.exitcode)
machine().end_session()
"""


@pytest.mark.parametrize(
    ("number", "said"), [("signal.SIGTERM", ["143"]), ("signal.SIGINT", ["went on", "0"])]
)
def test_a_signal_in_the_middle_of_a_fork_is_heard_when_it_is_over(number, said, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", __file__.rpartition("/")[0])
    words = [sys.executable, "-c", PROGRAM.format(number=number)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ended.stdout.split("\n")[:-1] == said, ended.stderr
    assert ended.stderr == ""
