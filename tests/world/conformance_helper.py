"""What a process' helper does, whoever's the process is."""

from typing import Any

from conformance_tools import LONG_S, begin, end_of, receive, send

from magscope.runtime import Bell, Endpoint, Runtime, current


def nothing_else(bell: Bell) -> None:
    """Wait for the helper alone."""
    assert current().wait([bell], timeout_s=LONG_S)
    bell.clear()


def fail() -> None:
    raise ZeroDivisionError("on purpose")


def ask_for_little(end: Endpoint) -> None:
    helper = current().helper()
    said = [helper.do(lambda: 5, nothing_else), helper.is_caller]
    said += helper.do(lambda: [helper.is_caller, helper.do(lambda: 6, nothing_else)], nothing_else)
    try:
        helper.do(fail, nothing_else)
    except ZeroDivisionError as error:
        said.append(str(error))
    helper.leave()
    send(end, repr(said).encode())


def that_a_helper_does_what_it_is_asked_and_hands_on_what_comes_of_it(runtime: Runtime) -> None:
    mine, its = runtime.pipe()
    child = begin(ask_for_little, ends=[its])
    assert receive(mine) == b"[5, False, True, 6, 'on purpose']"
    assert end_of(child) == 0


def listen_meanwhile(work: Endpoint, other: Endpoint) -> None:
    helper = current().helper()

    def listen(bell: Bell) -> None:
        ready = current().wait([bell, other], timeout_s=LONG_S)
        if bell in ready:
            bell.clear()
        if other in ready:
            send(other, b"heard " + receive(other))

    send(other, b"did " + helper.do(lambda: receive(work), listen))
    send(other, b"did " + helper.do(lambda: receive(work), listen))
    helper.leave()


def that_a_process_listens_while_its_helper_is_at_work(runtime: Runtime) -> None:
    (work, its_work), (other, its_other) = runtime.pipe(), runtime.pipe()
    child = begin(listen_meanwhile, ends=[its_work, its_other])
    for word in (b"one", b"two"):
        send(other, word)
        assert receive(other) == b"heard " + word
    for word in (b"three", b"four"):
        send(work, word)
        assert receive(other) == b"did " + word
    assert end_of(child) == 0


def give_up(bell: Bell) -> None:
    raise KeyError("enough")


def give_up_and_leave(work: Endpoint) -> None:
    helper = current().helper()
    try:
        helper.do(lambda: receive(work), give_up)
    except KeyError:
        helper.leave()


def that_a_process_whose_helper_does_not_return_ends_without_it(runtime: Runtime) -> None:
    work, its_work = runtime.pipe()
    child = begin(give_up_and_leave, ends=[its_work])
    assert end_of(child) == 1
    work.close()


def wait_until_told(work: Endpoint, other: Endpoint) -> None:
    helper = current().helper()

    def at_work() -> bytes:
        send(work, b"at work")
        return receive(work)

    try:
        helper.do(at_work, nothing_else)
    except SystemExit:
        send(other, b"told")
        helper.leave()


def that_a_request_to_terminate_is_heard_while_a_helper_is_at_work(runtime: Runtime) -> None:
    (work, its_work), (other, its_other) = runtime.pipe(), runtime.pipe()
    child = begin(wait_until_told, ends=[its_work, its_other])
    assert receive(work) == b"at work"
    child.terminate()
    assert receive(other) == b"told"
    assert end_of(child) == 1
    work.close()


def take_turns(work: Endpoint, other: Endpoint) -> None:
    helper, said = current().helper(), list[Any]()

    def at_work() -> None:
        with helper.turn, helper.turn:  # whoever has it may take it again
            said.append(receive(work))

    def meanwhile(bell: Bell) -> None:
        if not said:
            send(other, b"at work")
            with helper.turn:
                said.append(b"main")
        nothing_else(bell)

    helper.do(at_work, meanwhile)
    helper.leave()
    send(other, b" ".join(said))


def that_a_process_and_its_helper_take_turns(runtime: Runtime) -> None:
    (work, its_work), (other, its_other) = runtime.pipe(), runtime.pipe()
    child = begin(take_turns, ends=[its_work, its_other])
    assert receive(other) == b"at work"
    send(work, b"helper")
    assert receive(other) == b"helper main"
    assert end_of(child) == 0
