"""A network of its own for a test that speaks a protocol with a fixed port, or would be heard."""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hal.errors import UnsupportedError

_NEW_NETWORK = 0x40000000
_GET_FLAGS, _SET_FLAGS = 0x8913, 0x8914
_UP = 0x1


@contextmanager
def own_network() -> Iterator[None]:
    """Put this thread into an empty network in which only 127.0.0.1 is reached; only on Linux.

    Threads and processes that it starts meanwhile are in it too, and stay there.

    Raises:
        UnsupportedError: The system does not allow it to this user. `unshare -rn COMMAND` allows it
            to everything in COMMAND on most systems, and root may always do it.
    """
    import fcntl  # there is none on Windows

    with Path("/proc/thread-self/ns/net").open() as before:
        _call("unshare", _NEW_NETWORK)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))
            yield
        finally:
            _call("setns", before.fileno(), _NEW_NETWORK)


def interfaces_up() -> set[str]:
    """Return the names of the network interfaces that are up, `lo` among them; only on Linux."""
    import fcntl  # there is none on Windows

    found = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            asked = struct.pack("16sH14x", name.encode(), 0)
            _, flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, _GET_FLAGS, asked))
            if flags & _UP:
                found.add(name)
    return found


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EPERM:
        raise UnsupportedError(
            "this user may make no network of its own: run it as root, or inside of `unshare -rn`"
        )
    raise OSError(number, f"{name}: {os.strerror(number)}")
