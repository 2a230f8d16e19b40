import pytest
from fakes import FakeEnd, FakeManager

from hal.errors import DeviceError
from magscope.board import FIELDS
from magscope.channel import MAX_WAITING_FRAMES
from magscope.mail import Mail
from magscope.processes import (
    LATER,
    InterprocessValues,
    ManagerProcessBase,
    SingletonABCMeta,
    SingletonMeta,
)
from magscope.protocol import Kind, MessageError, arguments, envelope, pack_message, unpack
from magscope.runtime import Helper, RuntimeProcess, current
from magscope.singletons import forget_singletons
from magscope.utils import AcquisitionMode, Message, PoolVideoFlag


class Obedient(FakeManager):
    attribute = 5
    not_a_method = staticmethod(print)

    @property
    def reading(self):
        return 1

    def __init__(self, name=None):
        super().__init__(name)
        self.calls = []
        self.stored = lambda: None

    def do(self, *args, **kwargs):
        self.calls.append((args, kwargs))

    def one(self, number):
        self.calls.append(number)

    def fail(self, error):
        raise error

    def later(self):
        return LATER

    def _secret(self):
        self.calls.append("secret")


@pytest.fixture
def manager():
    return with_mail(FakeEnd())


def with_mail(end):
    made = Obedient()
    made._mail = Mail(made.name, end, Helper(), at_end=made._leave)
    made._running = True
    return made


def obey(manager, meth, *args, token=0, sender="Sender", **kwargs):
    """Let the manager obey one message; return the frames that it sends."""
    end = manager._mail.channel.end
    end.sent.clear()
    end.inbox.append(pack_message(Message("Obedient", meth, *args, **kwargs), sender, 1, token))
    manager.receive_ipc()
    return [unpack(raw) for raw in end.sent]


def test_a_message_calls_a_public_method_with_its_arguments(manager):
    assert obey(manager, "do", 1, two=2) == []
    assert manager.calls == [((1,), {"two": 2})]


def test_messages_are_obeyed_in_order(manager):
    for number in range(5):
        manager._mail.channel.end.inbox.append(
            pack_message(Message("Obedient", "one", number), "Sender", number)
        )
    manager.receive_ipc()
    assert manager.calls == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["_secret", "__init__", "__reduce__", "_method", "_obey"])
def test_r3_a_private_method_is_refused(manager, name):
    with pytest.raises(MessageError, match="private"):
        manager._method(name)


PROCESS = [name for name in dir(RuntimeProcess) if not name.startswith("_")]


@pytest.mark.parametrize("name", PROCESS)
def test_r3_what_belongs_to_the_process_is_refused(manager, name):
    with pytest.raises(MessageError, match="belongs to the process"):
        manager._method(name)


def test_r3_the_names_of_a_process_include_those_that_end_it():
    assert {"run", "start", "terminate", "kill", "join", "close", "name", "daemon"} <= set(PROCESS)


@pytest.mark.parametrize("name", ["unknown", "attribute", "reading", "stored", "calls"])
def test_r3_what_is_unknown_or_no_method_is_refused(manager, name):
    with pytest.raises(MessageError, match=f"Obedient has no method '{name}'"):
        manager._method(name)


@pytest.mark.parametrize("name", ["do", "quit", "set_settings", "set_acquisition_on", "setup"])
def test_a_public_method_of_the_managers_own_classes_may_be_named(manager, name):
    assert callable(manager._method(name))


@pytest.mark.parametrize(
    ("meth", "args", "why"),
    [
        ("_secret", (), "it is private"),
        ("terminate", (), "it belongs to the process"),
        ("unknown", (), "has no method"),
        ("one", (), "missing a required argument"),
        ("one", (1, 2), "too many positional arguments"),
    ],
)
def test_r3_a_refused_message_is_reported_and_the_next_one_obeyed(manager, meth, args, why):
    (log,) = obey(manager, meth, *args)
    assert (log.kind, log.fields) == (Kind.LOG, ("warning",))
    assert f"Obedient.{meth} from Sender refused" in log.payload.decode()
    assert why in log.payload.decode()
    assert manager.calls == []
    obey(manager, "one", 1)
    assert manager.calls == [1]


@pytest.mark.parametrize("error", [DeviceError("stuck"), ValueError("bad"), ZeroDivisionError("x")])
def test_r3_a_method_that_fails_is_reported_and_the_next_one_obeyed(manager, error):
    (log,) = obey(manager, "fail", error)
    assert log.fields == ("error",)
    assert log.payload.decode().startswith("fail failed")
    obey(manager, "one", 1)
    assert manager.calls == [1]


def test_r3_a_payload_that_can_not_be_opened_is_reported_and_the_next_one_obeyed(manager):
    manager._mail.channel.end.inbox.append(b"MObedient\tone\tSender\t1\t0\nrubbish")
    manager.receive_ipc()
    assert "can not be unpickled" in unpack(manager._mail.channel.end.sent[0]).payload.decode()
    obey(manager, "one", 1)
    assert manager.calls == [1]


@pytest.mark.parametrize(
    ("meth", "args", "problem"),
    [("one", (1,), ""), ("fail", (ValueError("bad"),), "fail failed: bad"), ("later", (), None)],
)
def test_who_wants_to_hear_of_the_end_hears_of_it_once(manager, meth, args, problem):
    frames = [f for f in obey(manager, meth, *args, token=7) if f.kind is Kind.MESSAGE]
    if problem is None:
        assert frames == []
        manager.done(7)
        frames = [unpack(manager._mail.channel.end.sent[-1])]
        problem = ""
        assert envelope(frames[0]).to == "ScriptManager"
    else:
        assert envelope(frames[0]).to == "Sender"
    (frame,) = frames
    assert envelope(frame).meth == "message_done"
    assert arguments(frame) == ((7, "Obedient", problem), {})


@pytest.mark.parametrize("wrong", ["not a message", Message("A b", "c"), Message("A", "b", print)])
def test_r3_what_can_not_be_sent_is_refused_where_it_is_sent_and_reported(manager, wrong):
    if isinstance(wrong, Message) and wrong.args:
        wrong.args = (lambda: 1,)
    assert manager.send_ipc(wrong) is False
    (log,) = [unpack(raw) for raw in manager._mail.channel.end.sent]
    assert (log.kind, log.fields) == (Kind.LOG, ("warning",))
    assert b"message refused" in log.payload
    assert manager.send_ipc(Message("A", "b")) is True


def test_r3_a_message_that_is_too_large_is_refused_and_reported(runtime):
    first, second = runtime.pipe()
    manager = with_mail(first)
    assert manager.send_ipc(Message("A", "b", bytes(17 * 1024 * 1024))) is False
    assert b"too many for a message" in second.receive()
    first.close()
    second.close()


def test_r1_what_there_was_no_room_for_is_counted_and_told_when_there_is_room(manager):
    end = manager._mail.channel.end
    end.room = 0
    for _ in range(MAX_WAITING_FRAMES + 1):  # the pipe takes the first of them
        assert manager.send_ipc(Message("A", "b")) is True
    assert [manager.send_ipc(Message("A", "b")) for _ in range(3)] == [False] * 3
    manager.log("info", "not heard")
    assert manager._mail.unsent() == (manager._mail.channel,)
    end.room = 1_000_000
    assert manager._mail.unsent() == ()
    *messages, told = [unpack(raw) for raw in end.sent]
    assert [envelope(frame).number for frame in messages] == [*range(1, MAX_WAITING_FRAMES + 2)]
    counts = b"1 lines for the log and 3 messages refused"
    assert (told.kind, told.fields, told.payload.split(b":")[0]) == (Kind.LOG, ("warning",), counts)
    manager.send_ipc(Message("A", "b"))
    assert envelope(unpack(end.sent[-1])).number == MAX_WAITING_FRAMES + 5
    assert manager._mail.unsent() == ()
    assert len(end.sent) == MAX_WAITING_FRAMES + 3


def test_a_managers_messages_are_numbered(manager):
    for _ in range(3):
        manager.send_ipc(Message("A", "b"))
    heads = [envelope(unpack(raw)) for raw in manager._mail.channel.end.sent]
    assert [(head.sender, head.number) for head in heads] == [("Obedient", n) for n in (1, 2, 3)]


def test_s4_a_manager_that_can_not_say_anything_any_more_leaves(manager):
    manager._mail.channel.end.is_cut = True
    manager.log("info", "into the void")
    assert not manager._running


def test_a_frame_that_is_held_back_comes_before_what_comes_later(manager):
    later, first, second = (
        unpack(pack_message(Message("Obedient", "one", n), "Sender", n)) for n in (3, 1, 2)
    )
    manager._mail.hold_back(first)
    manager._mail.hold_back(second)
    manager._mail.channel.end.inbox.append(pack_message(Message("Obedient", "one", 3), "Sender", 3))
    assert manager._mail.held == 2
    assert [manager._mail.next() for _ in range(4)] == [first, second, later, None]
    manager._mail.hold_back(first)
    assert manager._mail.drop() == 1
    assert manager._mail.next() is None


def test_s4_a_manager_whose_router_is_gone_leaves(manager):
    manager._mail.channel.end.is_cut = True
    manager.receive_ipc()
    assert manager._running is False


@pytest.mark.parametrize("name", ["a b", "a\tb", "a/b", "x" * 101, "a\nb"])
def test_r3_a_name_that_no_message_could_carry_is_refused_when_a_manager_is_made(name):
    with pytest.raises(ValueError, match="name"):
        Obedient(name)


def test_more_status_than_the_board_holds_is_refused_when_a_manager_is_made():
    class Talkative(FakeManager):
        status_fields = tuple(f"field {n}" for n in range(FIELDS))

    with pytest.raises(ValueError, match=f"at most {FIELDS - 1}"):
        Talkative()


def test_a_manager_alone_says_who_starts_it(manager):
    with pytest.raises(RuntimeError, match=r"MagScope\.start\(\)"):
        _ = manager.resources
    assert manager.own_ends() == ()


def test_the_setters_keep_what_they_are_given(manager, tmp_path):
    obey(manager, "set_acquisition_on", False)
    obey(manager, "set_acquisition_mode", "zlut")
    obey(manager, "set_acquisition_dir", str(tmp_path))
    obey(manager, "set_acquisition_dir_on", True)
    obey(manager, "set_bead_rois", [(0, 4, 0, 4)])
    obey(manager, "set_settings", {"magnification": 60})
    assert manager._acquisition_on is False
    assert manager._acquisition_mode is AcquisitionMode.ZLUT
    assert manager._acquisition_dir == tmp_path
    assert manager._acquisition_dir_on is True
    assert manager.bead_rois == {0: (0, 4, 0, 4)}
    assert manager.settings == {"magnification": 60}


def test_r3_a_setter_refuses_what_makes_no_sense_and_keeps_what_it_had(manager):
    before = manager._acquisition_mode, manager.bead_rois
    for meth, value in (("set_acquisition_mode", "warp"), ("set_bead_rois", [(4, 0, 0, 4)])):
        (log,) = obey(manager, meth, value)
        assert log.fields == ("error",)
    assert (manager._acquisition_mode, manager.bead_rois) == before


def test_the_shared_values_begin_at_ready_and_0():
    values = InterprocessValues()
    assert values.video_process_flag.value is PoolVideoFlag.READY
    assert values.video_process_busy_count.value == 0
    for value in (values.video_process_flag, values.video_process_busy_count):
        with value.get_lock():
            value.value = 1
        assert value.value == 1


class Only(metaclass=SingletonMeta):
    pass


class OnlyAbstract(metaclass=SingletonABCMeta):
    pass


class Single(ManagerProcessBase):
    def setup(self):
        pass

    def do_main_loop(self):
        pass


@pytest.mark.parametrize("cls", [Only, OnlyAbstract, Single])
def test_a_second_instance_of_a_singleton_raises_until_the_first_is_forgotten(cls):
    first = cls()
    with pytest.raises(TypeError, match=f"{cls.__name__} is a singleton"):
        cls()
    forget_singletons([object()])
    with pytest.raises(TypeError):
        cls()
    forget_singletons([first])
    assert cls() is not first


def test_a_subclass_is_another_singleton():
    class Other(Single):
        pass

    assert Single() is not Other()


def test_a_class_with_one_instance_a_name_has_as_many_as_names():
    first, second = FakeManager("first"), FakeManager("second")
    assert (first.name, second.name) == ("first", "second")
    with pytest.raises(TypeError, match="there is a FakeManager named 'first' already"):
        FakeManager("first")
    forget_singletons([first])
    assert FakeManager("first").name == "first"


def test_an_abstract_manager_can_not_be_made_and_leaves_room_for_one_that_can():
    with pytest.raises(TypeError, match="abstract"):
        ManagerProcessBase()
    assert ManagerProcessBase not in current().singletons()


def test_an_instance_that_failed_to_be_made_does_not_count():
    class Fails(metaclass=SingletonMeta):
        def __init__(self, *, fails):
            if fails:
                raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - it has no text
        Fails(fails=True)
    Fails(fails=False)


def test_a_child_has_singletons_of_its_own(runtime, start):
    Only()
    made = runtime.event()

    def make():
        Only()
        made.set()

    start(make).join(10)
    assert made.is_set()
