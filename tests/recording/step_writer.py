"""Stop a writer at each of its system calls and check what a kill there would leave.

Run by a test: `python step_writer.py DIRECTORY N_BATCHES`. Linux only: the kernel's `ptrace`.
"""

import ctypes
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from batches import START_NS, check_tracks, make_batch

from magscope.recording.check import problems_of_recording
from magscope.recording.repair import repair
from magscope.recording.tracks import TracksFile

SIZES = {"n_frames": 50, "n_beads": 30}
TRACE_ME, TRACE_SYSCALL = 0, 24


def ptrace(request: int, pid: int, data: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, pid, 0, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request}): {os.strerror(ctypes.get_errno())}")


def write(directory: Path, n_batches: int) -> None:
    acknowledged = os.open(directory / "acknowledged", os.O_CREAT | os.O_WRONLY)
    ptrace(TRACE_ME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    tracks = TracksFile(directory, started_ns=START_NS, recording_id="stepped")
    for sequence in range(n_batches):
        tracks.append(make_batch(sequence, **SIZES))
        os.write(acknowledged, b"+")
    tracks.close()
    os._exit(0)


def moments(child: int, directory: Path):
    """Yield the file and the number of acknowledged batches at each change of the file."""
    os.waitpid(child, 0)
    before = b""
    while True:
        content = b"".join(path.read_bytes() for path in directory.glob("*.h5"))
        if content != before:
            before = content
            yield content, (directory / "acknowledged").stat().st_size
        ptrace(TRACE_SYSCALL, child)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return


def main() -> None:
    directory, n_batches = Path(sys.argv[1]), int(sys.argv[2])
    child = os.fork()
    if child == 0:
        write(directory, n_batches)
    n_moments = n_cut = 0
    copy = directory / "copy"
    copy.mkdir()
    for content, n_acknowledged in moments(child, directory):
        n_moments += 1
        path = copy / f"Tracking Data {n_moments}.h5"
        path.write_bytes(content)
        unreadable = [line for line in problems_of_recording(copy, 0) if line.startswith("F1: ")]
        assert not unreadable, unreadable
        n_cut += repair(path).rows_cut > 0
        assert repair(path).rows_cut == 0
        check_tracks(path, n_acknowledged, n_acknowledged + 1, **SIZES)
        path.unlink()
    shutil.rmtree(copy)
    assert n_acknowledged == n_batches
    print(f"{n_moments} moments, readable at each, {n_cut} cut to a whole batch")


if __name__ == "__main__":
    main()
