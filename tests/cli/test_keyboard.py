"""Enter is seen without being waited for, and only at one's own terminal."""

import os
import pty
import select
import sys

PROGRAM = """
import select, sys
from magscope.cli.keyboard import enter_was_pressed
print("before", enter_was_pressed(), flush=True)
select.select([sys.stdin], [], [])
print("after", enter_was_pressed(), flush=True)
print("again", enter_was_pressed(), flush=True)
"""


def read_until(descriptor, text):
    seen = ""
    while text not in seen:
        assert select.select([descriptor], [], [], 20.0)[0], f"{text} is not in {seen!r}"
        seen += os.read(descriptor, 1000).decode()
    return seen


def test_enter_at_the_terminal_is_seen_once():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    try:
        read_until(terminal, "before False")
        os.write(terminal, b"x\n")
        seen = read_until(terminal, "again False")
        assert "after True" in seen
    finally:
        os.waitpid(pid, 0)
        os.close(terminal)


def test_without_a_terminal_nothing_was_pressed(monkeypatch):
    from magscope.cli.keyboard import enter_was_pressed

    monkeypatch.setattr(sys, "stdin", None)
    assert not enter_was_pressed()
    reader, writer = os.pipe()
    with os.fdopen(reader) as pipe, os.fdopen(writer, "w") as other:
        monkeypatch.setattr(sys, "stdin", pipe)
        print(file=other, flush=True)
        assert not enter_was_pressed(), "a pipe is no terminal"
