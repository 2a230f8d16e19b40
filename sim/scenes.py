"""Scenes: actions and faults that belong together, and scripts, where apart they rarely meet.

What is drawn thing by thing seldom comes to what takes three of them: somebody is told to quit
while the camera is still being opened; a message waits for somebody who dies of it. A scene draws
those together, and leaves open who, when and how.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sim.faults import (
    KINDS,
    CameraBlocks,
    CameraDisconnect,
    CameraDrop,
    CameraTimeout,
    Crash,
    DiskFull,
    DiskReadOnly,
    Fault,
    FileGone,
    Hang,
    MotorBlocks,
    MotorDisconnect,
    Raise,
    TornWrite,
)
from sim.faults.swarm import CALLS, CAMERA, POOL, RECORDER, ROUTER, Chance
from sim.world.plan import Action

_EVERYBODY = "ManagerProcessBase"
_QUITTERS = (
    CAMERA, POOL, RECORDER, "BeadLockManager", "ZLutManager", "ScriptManager", "Probe-2",
)  # fmt: skip
_HEAPS = ((300, 1), (100, 10_000), (5, 60_000), (1, 400_000), (3, 150_000))


@dataclass(frozen=True)
class Stage:
    """What a scene is drawn for.

    Attributes:
        for_s: How long the system runs, in virtual seconds.
        motors: Their names.
        workers: The names of the workers.
        records: Whether all is recorded.
    """

    for_s: float
    motors: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    records: bool = False


@dataclass(frozen=True)
class Scene:
    """What is done, and what goes wrong; and a script, if it needs one of its own."""

    actions: tuple[Action, ...] = ()
    faults: tuple[Fault, ...] = ()
    script: str = ""


def draw_scene(bits: Chance, stage: Stage) -> Scene:
    """Return one scene."""
    scenes = _RECORDED if stage.records and bits.below(3) else _SCENES
    return _one_of(bits, scenes)(bits, stage)


def draw_script(bits: Chance, stage: Stage) -> str:
    """Return the text of a script of 1 to 6 steps; one line each, and some more than once."""
    steps = [*_STEPS, *_MOVES] if "focus" in stage.motors else list(_STEPS)
    return _script([_one_of(bits, steps) for _ in range(1 + bits.below(6))])


def _script(lines: Sequence[str]) -> str:
    head = "from magscope.scripting import Script\nscript = Script()\n"
    return head + "".join(f"script({line})\n" for line in lines)


def _one_of(bits: Chance, choices: Sequence[Any]) -> Any:
    return choices[bits.below(len(choices))]


def _below_s(bits: Chance, seconds: float) -> float:
    return round(bits.below(1000) / 1000 * seconds, 3)


def _slow_start(bits: Chance, stage: Stage) -> Scene:
    """The camera takes its time to open, and meanwhile things are asked for."""
    late_s = _one_of(bits, (0.3, 0.8, 1.5, 2.5))
    actions = []
    for _ in range(1 + bits.below(5)):
        at_s = 0.0 if bits.below(2) else _below_s(bits, late_s)
        who = f"Probe-{1 + bits.below(2)}"
        to = _one_of(bits, (*_QUITTERS, "Probe-1", _EVERYBODY, *stage.motors))
        what = bits.below(6)
        if what == 0:
            actions.append(Action(at_s, who, "send", to, "quit"))
        elif what == 1:
            actions.append(_one_of(bits, (Action(at_s, who, "quit"), _interrupt(at_s))))
        elif what < 4:
            count = 1 + bits.below(3)
            is_on = bool(bits.below(2))
            meth = _one_of(bits, ("set_acquisition_on", "set_acquisition_dir_on"))
            actions += [Action(at_s, who, "send", to, meth, (is_on,)) for _ in range(count)]
        else:
            actions.append(Action(at_s, who, "flood", "Probe-2", "hear", (1 + bits.below(30), "x")))
    return Scene(tuple(actions), (Hang(CAMERA, site="call.setup", for_s=late_s),))


def _interrupt(at_s: float) -> Action:
    return Action(at_s, ROUTER, "interrupt")


def _late_to_quit(bits: Chance, stage: Stage) -> Scene:
    """Somebody hangs while the session ends, and is told to terminate; or the router does."""
    who = _one_of(bits, (*_QUITTERS, *stage.motors, *stage.motors, ROUTER))
    for_s = _one_of(bits, (1.5, 2.5, 4.0, 5.5, 6.5, None if who != ROUTER else 5.5))
    state = _one_of(bits, ("session QUITTING", "manager DRAINING", "manager LEAVING"))
    if who == ROUTER:
        state = "session QUITTING"
    actions: tuple[Action, ...] = ()
    if bits.below(2) or who == "Probe-2":
        at_s = _below_s(bits, stage.for_s)
        actions = (Action(at_s, "Probe-2", "send", _one_of(bits, _QUITTERS), "quit"),)
    return Scene(actions, (Hang(who, state=state, for_s=for_s),))


def _breaks_at_the_end(bits: Chance, stage: Stage) -> Scene:
    """Somebody fails or dies when it has been told to quit, or has done so."""
    who = _one_of(bits, (*_QUITTERS, *stage.motors, *stage.motors))
    state = _one_of(bits, ("manager DRAINING", "manager LEAVING", "manager QUITTING"))
    fault = Raise(who, state=state) if bits.below(3) else Crash(who, state=state)
    asks = Action(_below_s(bits, stage.for_s), "Probe-2", "send", who, "quit")
    return Scene((asks,) if bits.below(2) or who == "Probe-2" else (), (fault,))


def _waits_for_the_dead(bits: Chance, stage: Stage) -> Scene:
    """Somebody does not read, messages wait for it, and it dies or quits; others talk meanwhile."""
    who = _one_of(bits, ("Probe-2", "Probe-2", *_QUITTERS, *stage.motors))
    at_s = _below_s(bits, stage.for_s)
    count, size = _one_of(bits, _HEAPS)
    flood = Action(round(at_s + 0.05, 3), "Probe-1", "flood", who, "hear", (count, "x" * size))
    talk = Action(at_s, "Probe-1", "talk", "Probe-3", "hear", (0.1, 8))
    back = Action(at_s, "Probe-3", "talk", "Probe-1", "hear", (0.1, 8))
    for_s = _one_of(bits, (0.2, 0.6, 1.5, None))
    faults: tuple[Fault, ...] = (Hang(who, at_s=at_s, for_s=for_s),)
    end_s = round(at_s + 0.1 + _below_s(bits, for_s or 1.0), 3)
    how = bits.below(4)
    if how < 2:
        faults = (*faults, Crash(who, at_s=end_s))
    actions = [flood, *((talk, back) if bits.below(2) else ())]
    if how == 2:
        actions.append(Action(end_s, "Probe-1", "send", who, "quit"))
    if bits.below(4) == 0:  # a fork still has copies of others' pipes, which so do not end
        keeps = _one_of(bits, ("Probe-3", "ScriptManager", *stage.workers))
        late_s = _one_of(bits, (1.0, 2.5))
        faults = (*faults, Hang(keeps, site="process.enter", for_s=late_s))
        actions += [back] if keeps == "Probe-3" and back not in actions else []
    if who == "Probe-2":  # which is there only if it does something
        actions.append(Action(at_s, "Probe-2", "send", "Probe-1", "hear"))
    return Scene(tuple(actions), faults)


def _last_words(bits: Chance, stage: Stage) -> Scene:
    """Two talk to each other, and one dies just when it has said something."""
    at_s = _below_s(bits, min(stage.for_s, 1.0))
    talk = Action(at_s, "Probe-1", "talk", "Probe-3", "hear", (0.1, 8))
    back = Action(at_s, "Probe-3", "talk", "Probe-1", "hear", (0.1, 8))
    who = _one_of(bits, ("Probe-1", "Probe-3"))
    hit = 1 + bits.below(12)
    dies = (Crash(who, site="wait", hit=hit, lingers_s=_one_of(bits, (0.0, 0.02))),
            Raise(who, site="wait", hit=hit))  # fmt: skip
    return Scene((talk, back), (_one_of(bits, dies),))


def _moving_at_the_end(bits: Chance, stage: Stage) -> Scene:
    """A motor moves while the session ends, in whichever way."""
    if not stage.motors:
        return _breaks_at_the_end(bits, stage)
    motor = _one_of(bits, stage.motors)
    end_s = round(stage.for_s * _one_of(bits, (0.3, 0.6, 0.95)), 3)
    far = _one_of(bits, (0.0, 20_000.0, 40_000.0, 2e6))
    at_s = max(round(end_s - _one_of(bits, (0.0, 0.02, 0.2)), 3), 0.0)
    move = Action(at_s, "Probe-1", "send", motor, "move_motor", (motor, far))
    how = bits.below(6)
    if how == 0:
        return Scene((move, _interrupt(end_s)))
    if how == 1:
        return Scene((move, Action(end_s, "Probe-1", "send", motor, "quit")))
    if how == 2:
        return Scene((move,), (Crash(ROUTER, at_s=end_s),))
    if how == 3:
        return Scene((move,), (Raise(motor, at_s=end_s),))
    if how == 4:
        return Scene((move,), (Raise(motor, site=_one_of(bits, CALLS[1:])),))
    return Scene((move, Action(end_s, "Probe-1", "quit")))


def _goes_away(bits: Chance, stage: Stage) -> Scene:
    """A device goes away, or its driver says so, a motor in the middle of its way."""
    gone_s = round(0.1 + _below_s(bits, stage.for_s / 2), 3)
    for_s = _one_of(bits, (0.2, 0.5, 1.5))
    if not stage.motors or bits.below(3) == 0:
        return _camera_goes_away(bits, gone_s, for_s)
    motor = _one_of(bits, stage.motors)
    at_s = max(round(gone_s - 0.02, 3), 0.0)
    move = Action(at_s, "Probe-1", "send", motor, "move_motor", (motor, 40_000.0))
    if bits.below(2):
        return Scene((move,), (MotorDisconnect(motor, at_s=gone_s, for_s=for_s),))
    error = _one_of(bits, ("DisconnectedError", "DeviceTimeoutError"))
    # Where it writes down how far it has come.
    return Scene((move,), (Raise(motor, site="memory.set", hit=2 + bits.below(20), error=error),))


def _waits_for_a_motor(bits: Chance, stage: Stage) -> Scene:
    """A script waits for a motor on its way, which goes away, is stopped, or is sent elsewhere."""
    if "focus" not in stage.motors:
        return _with_script(bits, stage)
    at_s = round(0.05 + _below_s(bits, min(stage.for_s, 1.0)), 3)
    script = _script(("'move_motor', 'focus', 40_000.0, wait=True", "'note', 'there', wait=True"))
    how = bits.below(5)
    if how < 2:
        return Scene(
            (), (MotorDisconnect("focus", at_s=at_s, for_s=_one_of(bits, (0.3, 1.5))),), script
        )
    if how == 2:
        return Scene((), (Raise("focus", at_s=at_s, error="DisconnectedError"),), script)
    call, values = _one_of(bits, _OTHER_MOVES if how == 3 else _OTHER_MOVES[:1])
    return Scene((Action(at_s, "Probe-1", "send", "focus", call, ("focus", *values)),), (), script)


def _sent_on(bits: Chance, stage: Stage) -> Scene:
    """A motor is sent on, to a place or by a distance, before it is where it was sent before."""
    if not stage.motors:
        return _with_script(bits, stage)
    motor = _one_of(bits, stage.motors)
    at_s = _below_s(bits, stage.for_s / 2)
    actions = []
    for n in range(2 + bits.below(4)):
        call, *values = _one_of(bits, _SENDS)
        actions.append(Action(at_s, f"Probe-{1 + n % 2}", "send", motor, call, (motor, *values)))
        at_s = round(at_s + _one_of(bits, (0.0, 0.02, 0.1, 0.4)), 3)
    return Scene(tuple(actions))


def _paused_again(bits: Chance, stage: Stage) -> Scene:
    """A script is paused more than once, in a sleep, or while it waits for somebody's answer."""
    sleep = f"'sleep', {_one_of(bits, (0.3, 0.6))}"
    waits = ["'note', 'a step', wait=True", "'do_xy_lock', wait=True"]
    if "focus" in stage.motors:
        waits += [
            "'move_motor', 'focus', 9000.0, wait=True",
            "'move_motor', 'focus', 0.0, wait=True",
        ]
    lines = [_one_of(bits, (sleep, *waits)) for _ in range(3 + bits.below(3))]
    actions = []
    at_s = round(0.05 + _below_s(bits, 0.4), 3)
    for n in range(2 + 2 * bits.below(3)):
        meth = ("pause_script", "resume_script")[n % 2]
        actions.append(Action(at_s, "Probe-1", "send", "ScriptManager", meth))
        at_s = round(at_s + _one_of(bits, (0.01, 0.05, 0.15)), 3)
    return Scene(tuple(actions), script=_script(lines))


def _gone_at_the_end(bits: Chance, stage: Stage) -> Scene:
    """A device goes away just as the session ends, and can not be stopped any more."""
    gone = MotorDisconnect if stage.motors and bits.below(4) else CameraDisconnect
    who = _one_of(bits, stage.motors) if gone is MotorDisconnect else CAMERA
    return Scene((), (gone(who, state="session QUITTING", for_s=_one_of(bits, (0.2, None))),))


def _camera_goes_away(bits: Chance, gone_s: float, for_s: float) -> Scene:
    """The camera goes; when it is back it goes again, or does not answer."""
    how = bits.below(4)
    if how < 2:  # twice, and so both soon
        gone_s, for_s = round(gone_s / 2, 3), 0.1
    back_s = round(gone_s + for_s, 3)
    looks = [Action(round(back_s + 0.05, 3), "Probe-1", "send", CAMERA, "reconnect_camera")]
    faults: list[Fault] = [CameraDisconnect(CAMERA, at_s=gone_s, for_s=for_s)]
    if how < 2:
        again_s = round(back_s + _one_of(bits, (0.2, 0.2, 1.2)), 3)
        faults.append(CameraDisconnect(CAMERA, at_s=again_s, for_s=0.1))
        again_s = round(again_s + 0.15, 3)
        looks.append(Action(again_s, "Probe-1", "send", CAMERA, "reconnect_camera"))
    elif how == 2:
        faults.append(CameraTimeout(CAMERA, at_s=back_s))
    if bits.below(2):  # so that the numbers of its frames and their count differ
        at_s = round(gone_s / 2, 3)
        faults.append(CameraDrop(CAMERA, at_s=at_s, frames=_one_of(bits, (1, 20))))
    return Scene(tuple(looks) if bits.below(3) else (), tuple(faults))


def _driver_does_not_return(bits: Chance, stage: Stage) -> Scene:
    """A driver keeps who calls it, and its manager fails meanwhile, or is told to quit."""
    at_s = _below_s(bits, stage.for_s)
    for_s = _one_of(bits, (0.5, 3.5, 4.5, None, None))
    motor = _one_of(bits, stage.motors) if stage.motors and bits.below(2) else None
    who = motor or CAMERA
    blocks = MotorBlocks if motor else CameraBlocks
    faults: tuple[Fault, ...] = (blocks(who, at_s=at_s, for_s=for_s),)
    how = bits.below(4)
    later_s = round(at_s + _one_of(bits, (0.0, 0.2, 2.0)), 3)
    if for_s == 3.5 and bits.below(2):  # and the next call nearly as long as there is time
        faults = (*faults, blocks(who, at_s=round(at_s + for_s, 3), for_s=0.6))
    if how == 0:  # at the next operation; what it does next is to let go of its device
        faults = (Raise(who, at_s=at_s), *faults)
    elif how == 1:
        faults = (Raise(who, at_s=later_s), *faults)
    if how < 2:
        return Scene((), faults)
    to = _one_of(bits, (who, who, ROUTER, _EVERYBODY))
    asks = Action(later_s, "Probe-1", "send", to, "quit")
    again = Action(round(later_s + 2.0, 3), "Probe-2", "send", who, "quit")
    return Scene((asks, again) if how == 2 else (asks,), faults)


def _garbled_orders(bits: Chance, stage: Stage) -> Scene:
    """What the router sends to somebody comes out of the pipe garbled, twice, or not at all."""
    kind = KINDS[_one_of(bits, ("corrupt", "corrupt", "corrupt", "duplicate", "drop", "oversize"))]
    at_s = _below_s(bits, stage.for_s)
    values = {"part": _one_of(bits, ("header", "payload"))} if kind.kind == "corrupt" else {}
    to = _one_of(bits, ("Probe-1", "Probe-2", _EVERYBODY, *_QUITTERS, *stage.motors))
    send = Action(round(at_s + 0.001, 3), "Probe-1", "send", to, "set_acquisition_on", (True,))
    return Scene((send, send), (kind(ROUTER, at_s=at_s, **values),))


def _switched_meanwhile(bits: Chance, stage: Stage) -> Scene:
    """Recording, acquisition or the mode is switched, several times, while a worker is slow."""
    who = _one_of(bits, stage.workers or (POOL,))
    at_s = _below_s(bits, stage.for_s)
    state = _one_of(bits, ("worker busy", "worker busy", "worker tracking", "flag RUNNING"))
    if not who.startswith("VideoWorker"):
        state = "flag RUNNING"
    slow = Hang(who, state=state, hit=1 + bits.below(6), for_s=_one_of(bits, (0.1, 0.3, 0.8)))
    meth, values = _one_of(bits, _SWITCHES[0:2] if stage.records else _SWITCHES)
    actions = [
        Action(round(at_s + 0.1 * n, 3), "Probe-1", "send", _EVERYBODY, meth, (value,))
        for n in range(1 + bits.below(4))
        for value in (_one_of(bits, values),)
    ]
    return Scene(tuple(actions), (slow,) if bits.below(4) else ())


def _back_with_a_frame(bits: Chance, stage: Stage) -> Scene:
    """The pool or a worker is away while the buffer fills, and is back just as a frame comes."""
    faults = []
    for _ in range(1 + bits.below(3)):
        who = _one_of(bits, (POOL, POOL, *stage.workers))
        hit = 1 + bits.below(40 if who == POOL else 6)
        for_s = _one_of(bits, (0.05, 0.1, 0.15, 0.2, 0.3, 0.5))  # of frame periods, whole numbers
        faults.append(Hang(who, site="wait", hit=hit, for_s=for_s))
    return Scene((), tuple(dict.fromkeys(faults)))


def _many_ask(bits: Chance, stage: Stage) -> Scene:
    """The end is asked for more than once, and somebody does not listen."""
    at_s = _below_s(bits, stage.for_s)
    every_s = _one_of(bits, (0.0, 0.01, 0.5, 1.5))
    actions = []
    for n in range(2 + bits.below(4)):
        when = round(at_s + n * every_s, 3)
        to = _one_of(bits, (ROUTER, _EVERYBODY, *_QUITTERS))
        sends = Action(when, f"Probe-{1 + n % 3}", "send", to, "quit")
        actions.append(_one_of(bits, (sends, sends, _interrupt(when))))
    hangs = Hang(_one_of(bits, _QUITTERS), at_s=at_s, for_s=_one_of(bits, (0.5, 2.5, None)))
    return Scene(tuple(actions), (hangs,) if bits.below(3) else ())


def _orphans(bits: Chance, stage: Stage) -> Scene:
    """Somebody hangs, and who would have looked after it dies or fails."""
    at_s = _below_s(bits, stage.for_s)
    whose = bits.below(3)
    hangs = _one_of(bits, (*stage.workers, POOL) if whose else (*_QUITTERS, *stage.workers))
    for_s = _one_of(bits, (0.5, 2.5, None, None))
    dies_s = round(at_s + _below_s(bits, 0.3), 3)
    dies: Fault = Crash(POOL if whose and hangs != POOL else ROUTER, at_s=dies_s)
    if bits.below(3) == 0:
        dies = Raise(dies.process, at_s=dies_s)
    asks = Action(round(dies_s / 2, 3), "Probe-2", "send", "Probe-2", "hear")
    return Scene((asks,) if hangs == "Probe-2" else (), (Hang(hangs, at_s=at_s, for_s=for_s), dies))


def _killed_while_it_writes(bits: Chance, stage: Stage) -> Scene:
    """Who writes the files is killed between two operations on them, or after them."""
    who = _one_of(bits, (RECORDER, RECORDER, RECORDER, *stage.workers))
    if bits.below(3) == 0:  # when there are rows, most often
        at_s = round(stage.for_s * 0.3 + _below_s(bits, stage.for_s * 0.7), 3)
        return Scene((), (Crash(who, at_s=at_s),))
    site = _one_of(bits, _FILE_SITES)
    return Scene((), (TornWrite(who, site=site, hit=1 + bits.below(1 << bits.below(6))),))


def _disk_gives_out(bits: Chance, stage: Stage) -> Scene:
    """The disk is full for a while, and recording is switched on again."""
    kind = _one_of(bits, (DiskFull, DiskFull, DiskReadOnly))
    for_s = _one_of(bits, (0.05, 0.2, 0.5))
    at_s = _below_s(bits, stage.for_s / 2)
    who = _one_of(bits, (RECORDER, RECORDER, RECORDER, *stage.workers))
    gives_out = kind(who, at_s=at_s, for_s=for_s)
    if bits.below(2):
        hit = 1 + bits.below(16 if who == RECORDER else 4)
        gives_out = kind(who, site="file.write", hit=hit, for_s=for_s)
    later_s = _one_of(bits, (0.5 * for_s, 1.1 * for_s, 1.5 * for_s, stage.for_s / 3))
    actions = [
        Action(round(at_s + later_s, 3), "Probe-1", "send", _EVERYBODY, "set_acquisition_dir_on",
               (is_on,))
        for is_on in _one_of(bits, ((True,), (True,), (False, True), ()))
    ]  # fmt: skip
    if stage.motors and bits.below(4):  # whose telemetry comes often then, and meets it first
        motor, moves_s = _one_of(bits, stage.motors), max(round(at_s - 0.05, 3), 0.0)
        actions += [Action(moves_s, "Probe-1", "send", motor, "move_motor", (motor, 40_000.0))]
    return Scene(tuple(actions), (gives_out,))


def _file_is_deleted(bits: Chance, stage: Stage) -> Scene:
    """Somebody deletes a file that is being written, and recording is switched on again, or not."""
    at_s = _below_s(bits, stage.for_s * 0.8)
    who = _one_of(bits, (RECORDER, RECORDER, RECORDER, *stage.workers))
    again = Action(
        round(at_s + 0.1, 3), "Probe-1", "send", _EVERYBODY, "set_acquisition_dir_on", (True,)
    )
    return Scene((again,) if bits.below(2) else (), (FileGone(who, at_s=at_s),))


def _with_script(bits: Chance, stage: Stage) -> Scene:
    """A script is paused, goes on, is started again."""
    actions = []
    at_s = _below_s(bits, stage.for_s)
    for n in range(2 + bits.below(4)):
        meth = ("pause_script", "resume_script")[n % 2] if bits.below(5) else "start_script"
        actions.append(Action(at_s, "Probe-1", "send", "ScriptManager", meth))
        at_s = round(at_s + _one_of(bits, (0.0, 0.05, 0.3)), 3)
    return Scene(tuple(actions), script=draw_script(bits, stage))


_SCENES: tuple[Callable[[Chance, Stage], Scene], ...] = (
    _slow_start, _slow_start, _late_to_quit, _breaks_at_the_end, _waits_for_the_dead,
    _waits_for_the_dead, _last_words, _moving_at_the_end, _garbled_orders, _switched_meanwhile,
    _many_ask, _with_script, _orphans, _goes_away, _goes_away, _driver_does_not_return,
    _driver_does_not_return, _waits_for_a_motor, _gone_at_the_end, _sent_on, _paused_again,
    _back_with_a_frame,
)  # fmt: skip
_RECORDED: tuple[Callable[[Chance, Stage], Scene], ...] = (
    _switched_meanwhile, _switched_meanwhile, _killed_while_it_writes, _killed_while_it_writes,
    _disk_gives_out, _disk_gives_out, _file_is_deleted,
)  # fmt: skip
_SWITCHES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("set_acquisition_dir_on", (False, True)),
    ("set_acquisition_on", (False, True)),
    ("set_acquisition_mode", ("track", "full-video", "track-and-crop-video")),
)
_SENDS: tuple[tuple[Any, ...], ...] = (
    ("move_motor", 20_000.0), ("move_motor", 500.0), ("move_motor_by", 4_000.0),
    ("move_motor_by", -300.0), ("move_motor_by", 300.0),
)  # fmt: skip
_OTHER_MOVES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("stop_motor", ()), ("move_motor", (5_000.0,)), ("move_motor_by", (-300.0,)),
)  # fmt: skip
_FILE_SITES = (
    "file.write", "file.write", "file.write", "file.flush", "file.flush", "file.flush",
    "file.patch", "file.rename", "file.open", "file.close", "file.fsync", "file.reopen",
)  # fmt: skip
_STEPS = (
    "'sleep', 0.05",
    "'sleep', 0.2",
    "'set_acquisition_on', False",
    "'set_acquisition_on', True, wait=True",
    "'set_acquisition_mode', 'track'",
    "'note', 'a step', wait=True",
    "'note', 'another'",
    "'set_acquisition_dir_on', True, wait=True",
    "'set_xy_lock_interval', 0.1",
    "'set_xy_lock_on', True",
    "'set_xy_lock_max', 2.0",
    "'do_xy_lock', wait=True",
    "'set_camera_setting', 'none such', 1, wait=True",
    "'set_xy_lock_interval', -1.0, wait=True",
)
_MOVES = (
    "'move_motor', 'focus', 300.0, wait=True",
    "'move_motor', 'focus', 9000.0, wait=True",
    "'move_motor', 'focus', 20_000.0",
    "'move_motor_by', 'focus', -200.0, wait=True",
    "'stop_motor', 'focus'",
    "'move_motor', 'focus', 1e9, wait=True",
    "'set_z_lock_interval', 0.1",
    "'set_z_lock_on', True",
)
