"""What travels in the pipes between the router and the managers: a small header, and a payload.

The router reads the header alone: it never opens what it forwards.
"""

import pickle
import re
from dataclasses import dataclass
from enum import Enum

from magscope.utils import Message

_NAME = re.compile(r"[\w.-]{1,100}")


class Kind(Enum):
    """The first byte of a frame."""

    MESSAGE = b"M"  # to, method, sender, number, token: a pickled (args, kwargs)
    STATE = b"S"  # name: the sender's new state
    LOG = b"L"  # level: text
    DEVICE = b"D"  # role: JSON of what it is
    WORKER = b"W"  # JSON of a worker's state
    FILE = b"F"  # kind, rows: the name of a recorded file
    GO = b"G"  # the camera is open and the buffers are there
    ACKNOWLEDGE = b"A"  # the router has taken note that the manager quits


class MessageError(ValueError):
    """A message that can not be sent, or must not be obeyed; the text says why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame taken apart, its payload unopened.

    Attributes:
        kind: What it is.
        fields: The header's fields.
        payload: The rest.
        raw: All of it, as it is forwarded.
    """

    kind: Kind
    fields: tuple[str, ...]
    payload: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """The header of a message.

    Attributes:
        to: The receiver's name or class.
        meth: The method's name.
        sender: The sending manager's name.
        number: The sender's own count of messages.
        token: Not 0 where the sender wants to hear when it is done.
    """

    to: str
    meth: str
    sender: str
    number: int
    token: int = 0


def is_name(text: str) -> bool:
    """Whether a message can be addressed so: 1 to 100 letters, digits, `_`, `.` and `-`."""
    return _NAME.fullmatch(text) is not None


def pack(kind: Kind, *fields: object, payload: bytes = b"") -> bytes:
    """Return a frame.

    Raises:
        MessageError: A field holds a tab or a new line.
    """
    header = "\t".join(map(str, fields))
    if header.count("\t") != max(len(fields) - 1, 0) or "\n" in header:
        raise MessageError(
            f"a header {fields!r:.200}: a field may hold neither a tab nor a new line"
        )
    return kind.value + header.encode() + b"\n" + payload


def pack_message(message: object, sender: str, number: int, token: int = 0) -> bytes:
    """Return the frame of a message.

    Raises:
        MessageError: It is not a `Message`, names nobody, or can not be pickled.
    """
    if not isinstance(message, Message):
        raise MessageError(f"{message!r:.200} is not a Message")
    for part in (message.to, message.meth):
        if not is_name(part):
            raise MessageError(f"{part!r:.80} in {message!r:.200} is no name")
    try:
        payload = pickle.dumps((message.args, message.kwargs), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # whatever an argument's own __reduce__ raises
        raise MessageError(
            f"{message.to}.{message.meth}: its arguments can not be pickled: {error}"
        ) from error
    return pack(Kind.MESSAGE, message.to, message.meth, sender, number, token, payload=payload)


def unpack(raw: bytes) -> Frame:
    """Take a frame apart; raises MessageError if it is none."""
    header, newline, payload = raw.partition(b"\n")
    try:
        kind, fields = Kind(header[:1]), tuple(header[1:].decode().split("\t"))
    except ValueError:
        raise MessageError(f"a frame that begins with {raw[:20]!r} is unknown") from None
    if not newline:
        raise MessageError(f"a frame without an end of its header: {raw[:80]!r}")
    return Frame(kind, fields, payload, raw)


def envelope(frame: Frame) -> Envelope:
    """Return the header of a message's frame; raises MessageError if it is malformed."""
    try:
        to, meth, sender, number, token = frame.fields
        return Envelope(to, meth, sender, int(number), int(token))
    except ValueError:
        raise MessageError(f"a message with the header {frame.fields!r}") from None


def arguments(frame: Frame) -> tuple[tuple, dict]:
    """Open a message's payload; raises MessageError if it can not be."""
    try:
        args, kwargs = pickle.loads(frame.payload)
    except Exception as error:  # whatever an argument's own constructor raises
        raise MessageError(f"its arguments can not be unpickled: {error}") from error
    if not isinstance(args, tuple) or not isinstance(kwargs, dict):
        raise MessageError("its payload is not a tuple and a dictionary of arguments")
    if not all(isinstance(name, str) for name in kwargs):
        raise MessageError(f"the names of its arguments are not all text: {list(kwargs)!r:.200}")
    return args, kwargs
