"""What a Dask worker does: it starts a process. It imports nothing that takes long."""

import signal
import subprocess
import sys
from typing import Any


def dask_setup(_worker: Any) -> None:
    """Leave a terminal's Ctrl-C to the campaign; Dask calls this as a worker of ours begins."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_batch(words: list[str], text: str, patience_s: float) -> tuple[int | None, list[str], str]:
    """Run a batch in a process of its own, on a worker.

    Args:
        words: The arguments of `python -m sim.campaign.batch`.
        text: The first line of its stdin, with the end of the line.
        patience_s: When to kill it.

    Returns:
        Its exit code, None if it was killed; its lines; the last line of its errors.
    """
    with subprocess.Popen(  # noqa: S603 - a campaign made the words
        [sys.executable, "-m", "sim.campaign.batch", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        # It stays open as long as this worker lives: the process ends when it is closed.
        leash, process.stdin = process.stdin, None
        assert leash is not None
        with leash:
            leash.write(text)
            leash.flush()
            try:
                out, errors = process.communicate(timeout=patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                return None, [], ""
    last = errors.strip().splitlines()[-1:] or [""]
    return process.returncode, out.splitlines(), last[0]
