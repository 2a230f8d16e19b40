"""C3: a motor goes where it is told to."""

import struct
from typing import TYPE_CHECKING

from sim.faults.base import EVERYBODY
from sim.properties.base import MESSAGES, FrameSeen, Head
from sim.properties.traffic import RouterWatch, called
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

_TO = {"move_motor": 1, "move_absolute": 0}  # which argument says where
_BY = "move_motor_by"
_SOMEWHERE = ("home_motor", "stop_motor", "reconnect_motor", "set_motor_setting")
_CLOSE = 20.0  # nm, further than any simulated motor's step
_HEADER_BYTES, _ROW = 128, struct.Struct("<4d")
_TARGET = 2  # of a row of telemetry


class GoesWhereTold(RouterWatch):
    """C3: what a motor shows as its target is where it was told to go, by whoever was the last.

    A distance counts from where it was told to go before, and not from how far it has come. Nothing
    is said of a motor that a fault has touched, nor of where it is after it was stopped.
    """

    id = "C3"
    title = "a motor goes where it is told to"
    sites = frozenset({"note.message", "note.error", "note.warning", "memory.set"})
    sees = MESSAGES

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._motors = frozenset(world.rig.motors)
        self._told: dict[tuple[str, str, int], float] = {}
        self._target: dict[str, float] = {}
        self._is_due: set[str] = set()

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:
        """Take down what a motor is told."""
        if to not in self._motors or frame.arguments is None:
            return
        args, _ = frame.arguments
        place = 1 if head.meth == _BY else _TO.get(head.meth)
        if place is not None and len(args) > place and isinstance(args[place], (int, float)):
            self._told[to, head.sender, head.number] = float(args[place])

    def step(self, step: Step) -> None:
        """See a motor obey, fail, or write down what its target is."""
        name = step.process
        if name not in self._motors:
            return
        if step.site == "note.message":
            meth, number, sender = called(step.detail)
            self._obeys(name, meth, self._told.pop((name, sender, number), None))
        elif step.site == "memory.set":
            if step.object == name and step.detail.startswith("written="):
                self._shows(name, int(step.detail.partition("=")[2]))
        else:  # it was refused, or something is the matter with the motor
            self._forget(name)

    def _obeys(self, name: str, meth: str, told: float | None) -> None:
        if meth in _SOMEWHERE or (told is None and (meth in _TO or meth == _BY)):
            self._forget(name)
        elif told is not None and (meth != _BY or name in self._target):
            self._target[name] = told + (self._target[name] if meth == _BY else 0.0)
            self._is_due.add(name)

    def _shows(self, name: str, written: int) -> None:
        memory = self.world.block(name)
        if memory is None or self._is_touched(name):
            self._forget(name)
            return
        (rows,) = struct.unpack_from("<q", memory)
        shown = _ROW.unpack_from(memory, _HEADER_BYTES + (written - 1) % rows * _ROW.size)[_TARGET]
        wanted = self._target.get(name)
        if name in self._is_due and wanted is not None and abs(shown - wanted) > _CLOSE:
            self.violate(
                f"{name} has been told to go to {wanted:g}, and shows {shown:g} as its target. A "
                "distance counts from the target before, or what was under way is forgotten."
            )
        self._is_due.discard(name)
        self._target[name] = shown

    def _forget(self, name: str) -> None:
        self._target.pop(name, None)
        self._is_due.discard(name)

    def _is_touched(self, name: str) -> bool:
        struck = self.world.injector.struck
        tampered = map(self.facts.manager_of, self.facts.tampered_ns)
        return any(f.process in (name, EVERYBODY) for f in struck) or name in tampered


class StoppedIsSaid(RouterWatch):
    """C3: who waits for a motor to arrive is told when it is stopped on its way.

    Else a script goes on as if the motor were where it was sent.
    """

    id = "C3"
    title = "a motor that is stopped has not arrived"
    sites = frozenset({"note.message", "note.error", "note.warning"})
    sees = MESSAGES

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._motors = frozenset(world.rig.motors)
        self._tokens: dict[tuple[str, str, int], int] = {}
        self._waits: dict[str, set[tuple[str, int]]] = {}
        self._stopped: set[tuple[str, str, int]] = set()

    def arrived(self, to: str, head: Head, frame: FrameSeen) -> None:  # noqa: ARG002
        """Take down who will wait for a motor."""
        if to in self._motors and head.token and head.meth in (*_TO, _BY, "home_motor"):
            self._tokens[to, head.sender, head.number] = head.token

    def step(self, step: Step) -> None:
        """See a motor be sent somewhere, or be stopped."""
        name = step.process
        if name not in self._motors:
            return
        if step.site != "note.message":  # it may not have been stopped
            self._stopped = {key for key in self._stopped if key[0] != name}
            return
        meth, number, sender = called(step.detail)
        token = self._tokens.pop((name, sender, number), None)
        if token is not None:
            self._waits.setdefault(name, set()).add((sender, token))
        elif meth == "stop_motor":
            self._stopped |= {(name, *key) for key in self._waits.get(name, ())}

    def given(self, sender: str, head: Head, frame: FrameSeen) -> None:
        """See a motor's answer."""
        if sender not in self._motors or head.meth != "message_done" or frame.arguments is None:
            return
        token, _, *problem = frame.arguments[0]
        self._waits.get(sender, set()).discard((head.to, token))
        was_stopped = (sender, head.to, token) in self._stopped
        self._stopped.discard((sender, head.to, token))
        if was_stopped and not any(problem):
            self.violate(
                f"{sender} was stopped, and {head.to} is told that it has arrived. A script would "
                "go on as if it were there."
            )


PROPERTIES: tuple[type[RouterWatch], ...] = (GoesWhereTold, StoppedIsSaid)
