"""Versions of the code with one defect each."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from magscope.camera import CameraManager
from magscope.channel import Channel
from magscope.flag import PoolFlag
from magscope.processes import ManagerProcessBase
from magscope.protocol import Kind
from magscope.router import Router
from magscope.session import Session
from magscope.utils import PoolVideoFlag
from magscope.videoprocessing import VideoProcessorManager

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Defect:
    name: str
    machine: str
    found_as: str
    plant: Plant


def _no_bound(patch):
    patch.setattr("magscope.channel.Channel.post", _post_without_end)


def _post_without_end(channel, frame):
    if channel.is_broken:
        return False
    if channel._waiting or not channel._offer(frame):
        channel._waiting.append(frame)
    return True


def _forgets_what_is_leaving(patch):
    break_off = Channel.break_off

    def forget(channel):
        channel._leaving = None
        return break_off(channel)

    patch.setattr(Channel, "break_off", forget)


def _silent_refusal(patch):
    patch.setattr(Router, "_post", lambda router, peer, head, raw: peer.channel.post(raw))


def _quit_is_told_to_nobody(patch):
    send = ManagerProcessBase.send_ipc
    patch.setattr(
        ManagerProcessBase,
        "send_ipc",
        lambda me, message: message.meth == "quit" or send(me, message),
    )


def _no_acknowledgement(patch):
    on_state = Session.on_state

    def quietly(session, peer, state):
        post = peer.channel.post
        peer.channel.post = lambda raw: raw.startswith(Kind.ACKNOWLEDGE.value) or post(raw)
        try:
            on_state(session, peer, state)
        finally:
            del peer.channel.post

    patch.setattr(Session, "on_state", quietly)


def _purge_under_a_reader(patch):
    def drop(manager, buffer, why):
        count = (buffer.written - buffer.released) // buffer.n_images * buffer.n_images
        if count:
            manager.publish(**{why: manager._status[why] + count})
            buffer.release_images(count)

    patch.setattr(CameraManager, "_drop", drop)


def _late_owner_is_believed(patch):
    def finish(flag, owner, epoch):
        with flag.get_lock():
            if flag.read()[0] is PoolVideoFlag.RUNNING:
                flag._change(PoolVideoFlag.FINISHED, owner, epoch)

    patch.setattr(PoolFlag, "finish", finish)


def _nobody_is_hired(patch):
    bury = VideoProcessorManager._bury

    def bury_and_hire_nobody(manager, hand):
        bury(manager, hand)
        manager._hire = lambda: None

    patch.setattr(VideoProcessorManager, "_bury", bury_and_hire_nobody)


def dead_owner_is_forgotten(patch):
    patch.setattr(PoolFlag, "finish_for_dead", lambda *_: False)


def _noise_ends_the_router(patch):
    def no_warning(router, peer):
        for _ in range(1000):
            try:
                raw = peer.channel.receive()
            except EOFError:
                router.drop(peer, "is gone")
                return
            if raw is None:
                return
            unpacked = router_module.unpack(raw)
            if unpacked.kind is Kind.MESSAGE:
                router.routed += 1
                router.forward(router_module.envelope(unpacked), raw, unpacked)
            else:
                router._on_control(peer, unpacked)

    import magscope.router as router_module

    patch.setattr(Router, "take_in", no_warning)


DEFECTS = (
    Defect("a queue without an end", "RouterMachine", "R5", _no_bound),
    Defect("a message lost on its way to one that dies", "RouterMachine", "R1",
           _forgets_what_is_leaving),
    Defect("a message refused in silence", "RouterMachine", "R[15]", _silent_refusal),
    Defect("noise that ends the router", "RouterMachine", "MagScope failed",
           _noise_ends_the_router),
    Defect("a quit that is told to nobody", "ShutdownMachine", "S1", _quit_is_told_to_nobody),
    Defect("no acknowledgement of a quit", "ShutdownMachine", "S1", _no_acknowledgement),
    Defect("a purge under a reader", "PoolVideoFlagMachine", "[BP][0-9]", _purge_under_a_reader),
    Defect("a late owner is believed", "PoolVideoFlagMachine", "P1", _late_owner_is_believed),
    Defect("a dead owner's stack is kept", "PoolVideoFlagMachine", "P2", dead_owner_is_forgotten),
    Defect("a dead worker is not replaced", "SystemMachine", "[PSB][0-9]", _nobody_is_hired),
)  # fmt: skip
