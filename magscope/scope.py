"""`MagScope`: builds the system, starts it, routes its messages, and ends it in order."""

import json
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from hal.clock import NS_PER_S
from magscope.assembly import Parts, assemble
from magscope.beadlock import BeadLockManager
from magscope.camera import CameraManager
from magscope.channel import Channel
from magscope.devices import DeviceSpec
from magscope.hardware import HardwareManagerBase
from magscope.ledger import Ledger
from magscope.motors import motor_managers
from magscope.processes import (
    ManagerProcessBase,
    SingletonMeta,
    forget_singletons,
    signal_name,
)
from magscope.protocol import Envelope, Frame, Kind, MessageError, arguments, pack
from magscope.recorder import RecordingManager
from magscope.report import LogLine, ProcessReport, SessionReport, Snapshot
from magscope.rig import CameraEntry, RigFile, load_rig
from magscope.router import Peer, Router
from magscope.runtime import Bell, current
from magscope.scripting import ScriptManager
from magscope.session_files import SessionRecord
from magscope.settings import checked, load_settings
from magscope.shutdown import Bounds, Shutdown
from magscope.utils import Message
from magscope.videoprocessing import VideoProcessorManager
from magscope.workers import WorkerRoll
from magscope.zlutsweep import ZLutManager

LOG_LINES = 2000
STALLED_S = 3.0


class MagScope(metaclass=SingletonMeta):
    """The whole system: the router in this process, and every manager in its own.

    Args:
        rig: Which devices there are and how they are set up; the default rig if None.
        seed: All that is drawn at random follows from it; the rig file's if None.

    Attributes:
        run_for_s: End by itself after so many seconds; None: run until `stop`.
        record_dir: Record into this directory from the start; None: record nothing.
        script_path: Run this script once the system is up.
        report: How the session went, once `start` has returned.
    """

    def __init__(self, rig: RigFile | None = None, *, seed: int | None = None) -> None:
        self.rig = rig if rig is not None else load_rig(None)
        self.seed = self.rig.seed if seed is None else seed
        self.run_for_s: float | None = None
        self.record_dir: Path | None = None
        self.script_path: Path | None = None
        self.bounds = Bounds()
        self.report = SessionReport()
        self._settings: dict[str, Any] = checked(self.rig.settings)
        self._settings_path: Path | None = None
        beads = self.rig.beads
        self.camera_manager = CameraManager(
            self._spec("camera", self.rig.camera), self.rig.nm_per_px
        )
        self.video_processor_manager = VideoProcessorManager(
            max_beads=beads.max_beads if beads.rois == "auto" else 0, zlut=beads.zlut
        )
        self.beadlock_manager = BeadLockManager()
        self.script_manager = ScriptManager()
        self.zlut_manager = ZLutManager()
        self.recording_manager = RecordingManager()
        self._hardware: list[HardwareManagerBase] = motor_managers(
            self._spec(name, entry) for name, entry in self.rig.motors.items()
        )
        self._observers: list[tuple[Callable[[Snapshot], None], float]] = []
        self._parts: Parts | None = None
        self._bell: Bell | None = None
        self._stops = 0
        self._new_settings: deque[Mapping[str, Any]] = deque()

    def _spec(self, role: str, entry: CameraEntry) -> DeviceSpec:
        return DeviceSpec(role, directory=self.rig.directory, **entry.model_dump())

    @property
    def managers(self) -> list[ManagerProcessBase]:
        """Every manager, in the order in which they are started."""
        return [
            self.camera_manager,
            self.video_processor_manager,
            self.recording_manager,
            *self._hardware,
            self.beadlock_manager,
            self.zlut_manager,
            self.script_manager,
        ]

    def add_hardware(self, manager: HardwareManagerBase) -> None:
        """Add a motor or another device with its own manager; before `start`.

        One of the same name takes the place of the rig's.
        """
        if self._parts is not None:
            raise RuntimeError("the system is running: add hardware before start()")
        replaced = [m for m in self._hardware if m.name == manager.name]
        forget_singletons(replaced)
        self._hardware = [m for m in self._hardware if m.name != manager.name] + [manager]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings. Assign a mapping to change them; while running, all managers are told."""
        return dict(self._settings)

    @settings.setter
    def settings(self, settings: Mapping[str, Any]) -> None:
        self._settings = checked(settings)
        if self._bell is not None:
            self._new_settings.append(self._settings)
            self._bell.ring()

    @property
    def settings_path(self) -> Path | None:
        """The YAML file that the settings were read from. Assign a path to read it."""
        return self._settings_path

    @settings_path.setter
    def settings_path(self, path: str | Path) -> None:
        self.settings = load_settings(path)
        self._settings_path = Path(path)

    def observe(self, callback: Callable[[Snapshot], None], interval_s: float) -> None:
        """Call `callback` with a `Snapshot` every `interval_s` seconds while the system runs.

        It is called between messages in the router's own process, and must be quick.
        """
        self._observers.append((callback, interval_s))

    def stop(self) -> None:
        """Ask the system to quit; from a callback, another thread or a signal handler.

        Asked a second time, it does not wait for those who have not quit yet.
        """
        self._stops += 1
        if self._bell is not None:
            self._bell.ring()

    def start(self) -> None:
        """Start every process and serve them until the system has quit.

        Raises:
            MemoryError: There is no room for the shared buffers.
            ScriptError: The script can not be carried out.
            RecordingError: The recording's directory can not be written to.
        """
        runtime = current()
        self.script_manager.prepare(self.script_path, self.managers)
        runtime.begin_session()
        self._bell = runtime.bell()
        try:
            with _signals(self.stop):
                self.report = _Session(self, self._bell).run()
        finally:
            self._bell = None
            self._parts = None
            runtime.end_session()
            forget_singletons([self, *self.managers])

    def pending(self) -> Iterator[Mapping[str, Any]]:
        """Yield the settings that were assigned since the last call; for the router's loop."""
        while self._new_settings:
            yield self._new_settings.popleft()

    @property
    def stops(self) -> int:
        """How often the system was asked to quit from this process."""
        return self._stops


class _Session:
    """One run of the system, from the first process to the last."""

    def __init__(self, scope: MagScope, bell: Bell) -> None:
        self.scope = scope
        self.runtime = current()
        self.bell = bell
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.router = Router(self.on_control, self.on_own, lambda text: self.warn("router", text))
        self.began_ns = self.runtime.clock.monotonic_ns()
        self.parts = assemble(scope)
        scope._parts = self.parts  # noqa: SLF001 - the two halves of one thing
        self.record = SessionRecord(scope, self.parts)
        self.ledger = Ledger(self.parts, lambda: self.router.routed)
        self.workers = WorkerRoll(self.runtime)
        self.silent: set[str] = set()
        self.next_watch_ns = 0
        for manager, end in self.parts.ends.items():
            self.router.add(Peer(manager, Channel(end)))
        self.peers = list(self.router.peers.values())
        self.shutdown = Shutdown(
            self.peers, self.ask_to_quit, lambda text: self.fail("router", text), scope.bounds
        )
        self.run_until_ns: int | None = None
        self.next_look = [self.began_ns for _ in scope._observers]  # noqa: SLF001

    def run(self) -> SessionReport:
        """Start the managers, serve them, and say how it went."""
        self.record.begin()
        try:
            for peer in self.peers:
                peer.manager.start()
            while any(peer.state != "gone" for peer in self.peers) or self.workers.strays():
                self.turn()
        finally:
            for peer in self.peers:  # none is left but when the router itself has failed
                if peer.manager.is_alive():
                    peer.manager.kill()
                    peer.manager.join()
        return self.conclude()

    def turn(self) -> None:
        """Wait for something to happen, and see to it."""
        timeout_s = self.due()
        alive = [p.manager for p in self.peers if p.state != "gone" and p.manager.pid is not None]
        ready = self.runtime.wait(
            [self.bell, *self.router.readable(), *alive], self.router.writable(), timeout_s
        )
        if self.bell in ready:
            self.bell.clear()
        self.router.serve(ready)
        for peer in self.peers:
            if peer.state != "gone" and (peer.manager in ready or peer.channel.is_broken):
                self.look_after(peer)
        for settings in self.scope.pending():
            self.router.send(Message(ManagerProcessBase, "set_settings", dict(settings)))

    def due(self) -> float:
        """Do what is due now, and return in how many seconds something is again."""
        now = self.runtime.clock.monotonic_ns()
        if self.run_until_ns is not None and now >= self.run_until_ns:
            self.quit(now)
        if self.scope.stops:
            self.quit(now)
            if self.scope.stops > 1:
                self.shutdown.hurry(now)
        self.watch(now)
        waits = [1.0]
        if (step_s := self.shutdown.step(now)) is not None:
            waits.append(step_s)
            if self.workers.strays() and all(p.state == "gone" for p in self.peers):
                waits.append(self.workers.see_off(now))
        if self.run_until_ns is not None and self.shutdown.began_ns is None:
            waits.append((self.run_until_ns - now) / NS_PER_S)
        for index, (callback, interval_s) in enumerate(self.scope._observers):  # noqa: SLF001
            if now >= self.next_look[index]:
                callback(self.snapshot(now))
                self.next_look[index] = now + int(interval_s * NS_PER_S)
            waits.append((self.next_look[index] - now) / NS_PER_S)
        return max(min(waits), 0.0)

    def watch(self, now_ns: int) -> None:
        """Warn once of each manager that no longer shows signs of life."""
        if now_ns < self.next_watch_ns:
            return
        self.next_watch_ns = now_ns + NS_PER_S // 2
        silent = {p.name for p in self.peers if self.ledger.is_silent(p, now_ns, STALLED_S)}
        for name in sorted(silent - self.silent):
            self.warn("router", f"{name} has shown no sign of life for {STALLED_S:g} s")
        self.silent = silent

    def quit(self, now_ns: int) -> None:
        """Begin the end of the session, once."""
        if self.shutdown.began_ns is None:
            self.parts.system_quitting.set()
            self.shutdown.begin(now_ns)

    def ask_to_quit(self, peer: Peer) -> None:
        """Tell one manager to quit."""
        self.router.send(Message(peer.name, "quit"))

    def look_after(self, peer: Peer) -> None:
        """See whether a manager has ended, and how."""
        if peer.manager.is_alive():
            # Its pipe is closed: it is on its way out, and its end will be noticed by itself.
            return
        self.router.take_in(peer)
        self.router.drop(peer, "is gone")
        peer.channel.end.close()
        peer.manager.join()
        peer.exit_code = peer.manager.exitcode
        peer.manager.forget()
        peer.ended_ns = self.runtime.clock.monotonic_ns()
        unexpected = peer.state in ("starting", "running")
        peer.state = "gone"
        if peer.manager is self.scope.video_processor_manager:
            self.workers.orphan(peer.ended_ns)
        if unexpected and not peer.force:
            if not peer.last_words:
                self.fail(peer.name, f"{peer.name} died: {signal_name(peer.exit_code)}")
            self.quit(peer.ended_ns)

    def on_own(self, head: Envelope, frame: Frame) -> None:
        """Obey a message to the router: a request to quit, or new settings."""
        if head.meth == "quit":
            self.quit(self.runtime.clock.monotonic_ns())
        elif head.meth == "set_settings":
            try:
                (settings,), _ = arguments(frame)
                self.scope.settings = settings
            except (MessageError, TypeError, ValueError) as error:
                self.warn("router", f"set_settings from {head.sender} refused: {error}")
        else:
            self.warn("router", f"{head.meth} from {head.sender} refused: the router has quit and "
                      "set_settings alone")  # fmt: skip

    def on_control(self, peer: Peer, frame: Frame) -> None:
        """Take note of what a manager says of itself."""
        if frame.kind is Kind.LOG:
            text = frame.payload.decode(errors="replace")
            if frame.fields[0] == "error":
                self.fail(peer.name, text)
                peer.last_words = text
            elif frame.fields[0] == "warning":
                self.warn(peer.name, text)
            else:
                self.note("info", peer.name, text)
        elif frame.kind is Kind.STATE:
            self.on_state(peer, frame.fields[0])
        elif frame.kind is Kind.WORKER:
            self.workers.note(json.loads(frame.payload), self.runtime.clock.monotonic_ns())
        elif frame.kind is Kind.FILE:
            self.record.file(frame.fields[0], int(frame.fields[1]), frame.payload.decode())
        elif frame.kind is Kind.DEVICE:
            self.record.device(frame.fields[0], json.loads(frame.payload))

    def on_state(self, peer: Peer, state: str) -> None:
        """Go on when the camera is open; acknowledge a manager that quits."""
        if state == "running":
            peer.state = "running"
            if peer.manager.makes_video_buffer:
                self.ledger.attach()
                for other in self.peers:
                    if other is not peer:
                        other.channel.post(pack(Kind.GO))
                if self.scope.run_for_s is not None:
                    self.run_until_ns = self.runtime.clock.monotonic_ns() + int(
                        self.scope.run_for_s * NS_PER_S
                    )
            return
        if state == "failed":
            self.quit(self.runtime.clock.monotonic_ns())
        self.router.drop(peer, "is quitting") if peer.channel.is_broken else None
        peer.state = "quitting"
        peer.channel.post(pack(Kind.ACKNOWLEDGE))

    def note(self, level: str, source: str, text: str) -> None:
        """Write a line to the session's log."""
        t_s = (self.runtime.clock.monotonic_ns() - self.began_ns) / NS_PER_S
        self.log.append(LogLine(t_s, level, source, text))

    def warn(self, source: str, text: str) -> None:
        """Log a warning, and count it for the report."""
        self.note("warning", source, text)
        if len(self.warnings) < LOG_LINES:
            self.warnings.append(f"{source}: {text}")

    def fail(self, source: str, text: str) -> None:
        """Log an error, and count it for the report."""
        self.note("error", source, text)
        if len(self.errors) < LOG_LINES:
            self.errors.append(f"{source}: {text.partition(chr(10))[0]}")

    def snapshot(self, now_ns: int) -> Snapshot:
        """Return the running system as it is now."""
        state = "running" if self.ledger.is_attached else "starting"
        if self.shutdown.began_ns is not None:
            state = "quitting"
        return self.ledger.snapshot(
            t_s=(now_ns - self.began_ns) / NS_PER_S,
            run_for_s=self.scope.run_for_s,
            state=state,
            peers=self.peers,
            stalled=self.silent,
            workers=self.workers.views(),
            log=tuple(self.log),
            directory=None if self.scope.record_dir is None else str(self.scope.record_dir),
        )

    def conclude(self) -> SessionReport:
        """Settle the account, write the manifest, and return the report."""
        ended_ns = self.runtime.clock.monotonic_ns()
        quit_ns = self.shutdown.began_ns or ended_ns
        processes = [self.outcome(peer, quit_ns) for peer in self.peers]
        report = SessionReport(
            **self.ledger.settle(),
            processes=(*processes, *self.workers.reports(quit_ns)),
            shutdown_s=(ended_ns - quit_ns) / NS_PER_S,
            recording=None if self.scope.record_dir is None else str(self.scope.record_dir),
            errors=tuple(self.errors),
            warnings=tuple(self.warnings),
            undelivered=self.router.undelivered_count,
            duration_s=(ended_ns - self.began_ns) / NS_PER_S,
            log=tuple(self.log),
        )
        for callback, _ in self.scope._observers:  # noqa: SLF001
            callback(self.snapshot(ended_ns))
        if problem := self.record.end(report):
            report = replace(report, errors=(*report.errors, problem))
        self.parts.close()
        self.ledger.close()
        return report

    def outcome(self, peer: Peer, quit_ns: int) -> ProcessReport:
        """Return how one manager ended."""
        outcome = peer.force or ("clean" if peer.exit_code == 0 else "crashed")
        ended_ns = peer.ended_ns or quit_ns
        seconds = (ended_ns - quit_ns) / NS_PER_S if ended_ns >= quit_ns else None
        words = "" if outcome == "clean" else peer.last_words
        return ProcessReport(peer.name, outcome, peer.exit_code, seconds, words)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """End the session on Ctrl-C and on a request to terminate, where this thread gets signals."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    names = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous = {}
    try:
        for number in numbers:
            previous[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread: the caller has `stop`
        previous = {}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
