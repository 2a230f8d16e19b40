"""A whole system under test, in a world or in processes: the same can be done to both."""

import multiprocessing
import time
import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from magscope.report import SessionReport, Snapshot
from magscope.rig import RigFile
from magscope.scope import MagScope
from magscope.scripting import script_file
from magscope.utils import Message
from sim.testing.operator import Desk
from sim.world.world import World

WITHIN_S, END_S = 10.0, 20.0
Prepare = Callable[[MagScope], None]
Condition = Callable[[Snapshot], Any]


class NotWithinError(AssertionError):
    """Something that was waited for did not come in time; the text says what was seen last."""


class System(ABC):
    """A system that is started, watched, spoken to and stopped."""

    @abstractmethod
    def start(self, prepare: Prepare | None = None, script: str | Path | None = None) -> None:
        """Start it, and come back when it is up.

        Args:
            prepare: Called with the system before it starts: to add managers of one's own.
            script: The file of a script, which is run once it is up.
        """

    @abstractmethod
    def wait_for(self, condition: Condition, within_s: float = WITHIN_S) -> Snapshot:
        """Wait until a condition holds of the system's snapshot, and return that.

        Raises:
            NotWithinError: It did not, within so many seconds (of virtual time, in a world).
        """

    @abstractmethod
    def send(self, message: Message) -> None:
        """Send a message to a manager, or to all of them."""

    @abstractmethod
    def stop(self) -> SessionReport:
        """Ask it to quit, wait for its end, and return how it went."""


def _is_up(snapshot: Snapshot) -> bool:
    return snapshot.state == "running" and all(p.state == "running" for p in snapshot.processes)


def _seen(snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return "nothing was seen of it"
    states = ", ".join(f"{p.name} {p.state}" for p in snapshot.processes)
    return f"last seen at {snapshot.t_s:.3g} s: {states}; {snapshot.frames}; flag {snapshot.flag}"


class WorldSystem(System):
    """A system in a world.

    Args:
        make: Makes the world, of what `World` takes.
    """

    def __init__(self, make: Callable[..., World]) -> None:
        self._make = make
        self._world: World
        self._desk: Desk
        self._now: Snapshot | None = None

    def start(self, prepare: Prepare | None = None, script: str | Path | None = None) -> None:
        """Start it, and come back when it is up."""

        def add(scope: MagScope) -> None:
            self._desk = Desk(scope, self._see)
            if prepare is not None:
                prepare(scope)

        self._world = self._make(prepare=add, script=script)
        self.wait_for(_is_up)

    def _see(self, snapshot: Snapshot) -> None:
        self._now = snapshot

    def wait_for(self, condition: Condition, within_s: float = WITHIN_S) -> Snapshot:
        """Wait until a condition holds, and return the snapshot."""
        is_there = self._world.run_until(
            lambda: self._now is not None and condition(self._now), within_s
        )
        if not is_there or self._now is None:
            raise NotWithinError(f"not within {within_s:g} virtual s; {_seen(self._now)}")
        return self._now

    def send(self, message: Message) -> None:
        """Send a message."""
        self._desk.send(message)

    def stop(self) -> SessionReport:
        """Ask it to quit, and return how it went."""
        self._world.stop()
        self._world.run_until(lambda: self._world.has_ended, END_S)
        return self._world.report or SessionReport()


class ProcessSystem(System):
    """A system in processes of the operating system; its router has one of its own, too.

    Args:
        rig: A rig file, read.
        seed: Of the simulated devices.
    """

    def __init__(self, rig: RigFile, seed: int) -> None:
        self._rig, self._seed = rig, seed
        self._process: Any = None
        self._end: Connection
        self._now: Snapshot | None = None
        self._report: SessionReport | None = None

    def start(self, prepare: Prepare | None = None, script: str | Path | None = None) -> None:
        """Start it, and come back when it is up."""
        file = None if script is None else script_file(script)
        methods = multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        self._end, its = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(its, self._rig, self._seed, prepare, file)
        )
        with warnings.catch_warnings():  # Python warns of threads that the test's runner may have
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        its.close()
        self.wait_for(_is_up, 3 * WITHIN_S)

    def wait_for(self, condition: Condition, within_s: float = WITHIN_S) -> Snapshot:
        """Wait until a condition holds, and return the snapshot."""
        deadline_s = time.monotonic() + within_s
        while self._report is None:
            self._tell("look")
            if self._hear(deadline_s) and self._now is not None and condition(self._now):
                return self._now
            if time.monotonic() > deadline_s:
                raise NotWithinError(f"not within {within_s:g} s; {_seen(self._now)}")
        raise NotWithinError(f"the system has ended before; {_seen(self._now)}")

    def _tell(self, *order: Any) -> None:
        try:
            self._end.send(order)
        except OSError:  # it is about to end: what it has said is still there
            return

    def _hear(self, deadline_s: float) -> bool:
        """Take what the router's process says next; False if it said nothing in time."""
        if not self._end.poll(max(deadline_s - time.monotonic(), 0.0)):
            return False
        try:
            said, what = self._end.recv()
        except EOFError:
            raise NotWithinError(f"the router's process has died; {_seen(self._now)}") from None
        if said == "now":
            self._now = what
        elif said == "report":
            self._report = what
        else:
            raise NotWithinError(f"the system failed:\n{what}")
        return True

    def send(self, message: Message) -> None:
        """Send a message."""
        self._tell("send", message)

    def stop(self) -> SessionReport:
        """Ask it to quit, and return how it went."""
        self._tell("stop")
        deadline_s = time.monotonic() + END_S
        while self._report is None:
            if not self._hear(deadline_s):
                raise NotWithinError(f"it has not ended within {END_S:g} s; {_seen(self._now)}")
        self.close()
        return self._report

    def close(self) -> None:
        """Leave nothing behind, however the test ended: without its router, all of it leaves."""
        if self._process is None:
            return
        self._end.close()  # asks it to quit, if it has not
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process = None


def _serve(
    end: Connection, rig: RigFile, seed: int, prepare: Prepare | None, script: Path | None
) -> None:
    """Be the router's process: run a system, and do what the test says at each look."""
    try:
        scope = MagScope(rig, seed=seed)
        scope.script_path = script

        def look(snapshot: Snapshot) -> None:
            try:
                while end.poll():
                    order, *rest = end.recv()
                    if order == "look":
                        end.send(("now", snapshot))
                    elif order == "send":
                        desk.send(*rest)
                    else:
                        scope.stop()
            except (EOFError, OSError):  # the test is gone
                scope.stop()

        desk = Desk(scope, look)
        if prepare is not None:
            prepare(scope)
        scope.start()
        said: tuple[str, Any] = ("report", scope.report)
    except BaseException:  # whatever it was, the test is told
        said = ("failed", traceback.format_exc())
    end.send(said)
    end.close()
