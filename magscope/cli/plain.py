"""The run as plain lines: for a file, a pipe, or a terminal that can not do more."""

from rich.console import Console

from magscope.cli import words
from magscope.cli.history import History
from magscope.report import LogLine, Snapshot

STATUS_EVERY_S = 5.0


class PlainLines:
    """Prints what happens as it happens, and a status line every few seconds.

    The same face as `LiveView`: a context manager, and called with every snapshot.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._history = History()
        self._next_status_s = 0.0

    def __enter__(self) -> "PlainLines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, snapshot: Snapshot) -> None:
        """Print what is new in a snapshot."""
        self._history.add(snapshot)
        for line in self._history.new_lines:
            self._print(_log_line(line))
        if snapshot.state == "running" and snapshot.t_s >= self._next_status_s:
            self._print(_status_line(snapshot, self._history))
            self._next_status_s = snapshot.t_s + STATUS_EVERY_S

    def _print(self, text: str) -> None:
        self._console.out(text, highlight=False)


def _log_line(line: LogLine) -> str:
    level = "" if line.level == "info" else f"{line.level}: "
    text = line.text.partition("\n")[0]
    return f"{words.duration(line.t_s):>8}  {line.source}: {level}{text}"


def _status_line(now: Snapshot, history: History) -> str:
    of = f"/{now.run_for_s:g} s" if now.run_for_s is not None else ""
    parts = [
        f"{words.duration(now.t_s):>8}{of}",
        f"{now.fps:.1f} fps",
        words.account(now.frames),
        f"buffer {now.buffer_level * 100:.0f} %",
        f"{words.count(now.tracks_rows)} tracks rows",
        f"{history.messages_per_s:.0f} messages/s",
    ]
    return "  ".join(parts)
