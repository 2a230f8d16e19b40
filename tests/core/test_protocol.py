import pickle

import numpy as np
import pytest
from core_tools import RULES
from hypothesis import example, given
from hypothesis import strategies as st

from magscope.protocol import (
    Envelope,
    Kind,
    MessageError,
    arguments,
    envelope,
    pack,
    pack_message,
    unpack,
)
from magscope.utils import Message

names = st.from_regex(r"[\w.-]{1,100}", fullmatch=True)
payloads = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.binary()
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class FailsToPickle:
    def __reduce__(self):
        raise OSError("not this one")


class FailsToUnpickle:
    def __reduce__(self):
        return (int, ("no number",))


@given(
    to=names, meth=names, sender=names, number=st.integers(0), token=st.integers(0),
    args=st.lists(payloads, max_size=3), kwargs=st.dictionaries(st.text(), payloads, max_size=3),
)  # fmt: skip
@RULES
def test_a_message_comes_back_as_it_was_sent(to, meth, sender, number, token, args, kwargs):
    message = Message(to, meth, *args)
    message.kwargs = kwargs
    frame = unpack(pack_message(message, sender, number, token))
    assert frame.kind is Kind.MESSAGE
    assert envelope(frame) == Envelope(to, meth, sender, number, token)
    assert arguments(frame) == (tuple(args), kwargs)


@given(
    kind=st.sampled_from(Kind), payload=st.binary(),
    fields=st.lists(st.text(st.characters(blacklist_characters="\t\n", codec="utf-8")), max_size=4),
)  # fmt: skip
@RULES
def test_any_frame_comes_apart_as_it_was_put_together(kind, fields, payload):
    frame = unpack(raw := pack(kind, *fields, payload=payload))
    assert (frame.kind, frame.payload, frame.raw) == (kind, payload, raw)
    assert frame.fields == (tuple(fields) or ("",))


@given(raw=st.binary(max_size=200))
@example(b"")
@example(b"M")
@example(b"M\n")
@example(b"Ma\tb\tc\t1\t0")
@example(b"M\xff\xfe\n")
@example(b"Ma\tb\tc\tx\t0\n")
@example(b"Ma\tb\tc\t1\t0\textra\n")
@RULES
def test_r3_a_hostile_frame_is_refused_with_a_message_error_and_nothing_else(raw):
    try:
        frame = unpack(raw)
        envelope(frame)
        arguments(frame)
    except MessageError:
        pass


@given(raw=st.binary(max_size=300))
@RULES
def test_r3_a_hostile_payload_is_refused(raw):
    frame = unpack(b"Ma\tb\tc\t1\t0\n" + raw)
    try:
        args, kwargs = arguments(frame)
    except MessageError:
        return
    assert isinstance(args, tuple)
    assert isinstance(kwargs, dict)


@pytest.mark.parametrize("payload", [(1, 2), ("ab", {}), ([1], {}), ((), {1: 2}), {1: 2, 3: 4}])
def test_r3_a_payload_that_is_not_arguments_is_refused(payload):
    with pytest.raises(MessageError):
        arguments(unpack(b"Ma\tb\tc\t1\t0\n" + pickle.dumps(payload)))


@pytest.mark.parametrize("wrong", [None, "quit", ("A", "b"), object()])
def test_r3_what_is_no_message_is_refused(wrong):
    with pytest.raises(MessageError, match="is not a Message"):
        pack_message(wrong, "me", 1)


@pytest.mark.parametrize("name", ["", "a\tb", "a\nb", "a b", "x" * 101, "a/b"])
@pytest.mark.parametrize("part", ["to", "meth"])
def test_r3_a_message_to_what_is_no_name_is_refused(name, part):
    message = Message("A", "b")
    setattr(message, part, name)
    with pytest.raises(MessageError, match="is no name"):
        pack_message(message, "me", 1)


def test_r3_arguments_that_can_not_be_pickled_are_refused_with_the_reason():
    with pytest.raises(MessageError, match=r"A\.b: .* not this one"):
        pack_message(Message("A", "b", FailsToPickle()), "me", 1)
    with pytest.raises(MessageError, match="can not be pickled"):
        pack_message(Message("A", "b", lambda: 1), "me", 1)


def test_r3_arguments_that_can_not_be_unpickled_are_refused_where_they_are_opened():
    frame = unpack(pack_message(Message("A", "b", FailsToUnpickle()), "me", 1))
    assert envelope(frame).meth == "b"
    with pytest.raises(MessageError, match="can not be unpickled"):
        arguments(frame)


@pytest.mark.parametrize("field", ["a\tb", "a\nb"])
def test_r3_a_header_that_would_come_apart_wrongly_is_refused(field):
    with pytest.raises(MessageError, match="neither a tab nor a new line"):
        pack(Kind.LOG, field)


def test_arrays_travel():
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    (args, _) = arguments(unpack(pack_message(Message("A", "b", image), "me", 1)))
    assert np.array_equal(args[0], image)
