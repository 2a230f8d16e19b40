"""One run of the system, from its first process to its last: the router's loop."""

import json
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hal.clock import NS_PER_S
from magscope.assembly import assemble
from magscope.channel import Channel
from magscope.ledger import CAMERA, Ledger
from magscope.playback import begin_capture
from magscope.processes import left_when_told, signal_name
from magscope.protocol import Envelope, Frame, Kind, MessageError, arguments, pack
from magscope.recording.errors import RecordingError
from magscope.report import LogLine, ProcessReport, SessionReport, Snapshot
from magscope.router import Peer, Router
from magscope.runtime import Bell, current
from magscope.session_files import SessionRecord
from magscope.shutdown import Shutdown
from magscope.utils import Message
from magscope.workers import WorkerRoll

if TYPE_CHECKING:
    from magscope.scope import MagScope

LOG_LINES = 2000
STALLED_S = 3.0
SILENT = f"has shown no sign of life for {STALLED_S:g} s"
OPEN_S = 15.0


class Session:
    """One run of the system, from the first process to the last."""

    def __init__(self, scope: "MagScope", bell: Bell) -> None:
        self.scope = scope
        self.runtime = current()
        self.bell = bell
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.router = Router(self.on_control, self.on_own, lambda text: self.warn("router", text))
        self.began_ns = self.runtime.clock.monotonic_ns()
        self.parts = assemble(scope)
        self.record = SessionRecord(scope, self.parts)
        self.ledger = Ledger(self.parts, lambda: self.router.routed)
        self.workers = WorkerRoll(self.runtime)
        self.directory = None if scope.record_dir is None else str(scope.record_dir)
        self.silent: set[str] = set()
        self.next_watch_ns = 0
        for manager, end in self.parts.ends.items():
            self.router.add(Peer(manager, Channel(end)))
        self.peers = list(self.router.peers.values())
        self.shutdown = Shutdown(
            self.peers, self.ask_to_quit, lambda text: self.fail("router", text), scope.bounds
        )
        self.run_until_ns: int | None = None
        if scope.run_for_s is not None:  # counted anew once the camera is open, if it ever is
            self.run_until_ns = self.began_ns + int((scope.run_for_s + OPEN_S) * NS_PER_S)
        self.next_look = [self.began_ns for _ in scope.observers]

    def run(self) -> SessionReport:
        """Start the managers, serve them, and say how it went."""
        if self.scope.record_dir is not None:
            self.record.record_to(self.scope.record_dir)
        if self.scope.capture_dir is not None:
            for text in begin_capture(self.scope, self.scope.capture_dir):
                self.warn("router", text)
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
        for message in self.scope.pending():
            self.router.send(message)

    def due(self) -> float:
        """Do what is due now, and return in how many seconds something is again."""
        now = self.runtime.clock.monotonic_ns()
        if self.run_until_ns is not None and now >= self.run_until_ns:
            self.quit(now)
        if self.scope.is_stopped:
            self.quit(now)
            if self.scope.is_hurried:
                self.shutdown.hurry(now)
        self.watch(now)
        waits = [1.0]
        if (step_s := self.shutdown.step(now)) is not None:
            waits.append(step_s)
            if self.workers.strays() and all(p.state == "gone" for p in self.peers):
                waits.append(self.workers.see_off(now))
        if self.run_until_ns is not None and self.shutdown.began_ns is None:
            waits.append((self.run_until_ns - now) / NS_PER_S)
        for index, (callback, interval_s) in enumerate(self.scope.observers):
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
            self.warn("router", f"{name} {SILENT}")
        self.silent = silent

    def quit(self, now_ns: int) -> None:
        """Begin the end of the session, once."""
        if self.shutdown.began_ns is None:
            self.parts.system_quitting.set()
            self.shutdown.begin(now_ns)
            self.runtime.note("state", "the session ends")

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
        peer.is_dismissed = peer.is_dismissed and left_when_told(peer.exit_code)
        peer.manager.forget()
        peer.ended_ns = self.runtime.clock.monotonic_ns()
        unexpected = peer.state in ("starting", "running") and not peer.is_dismissed
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
            self.on_file(frame.fields[0], int(frame.fields[1]), frame.payload.decode())
        elif frame.kind is Kind.DEVICE:
            self.record.device(frame.fields[0], json.loads(frame.payload))

    def on_file(self, kind: str, rows: int, name: str) -> None:
        """Take note of a recorded file, or of a new directory."""
        if kind != "directory":
            self.record.file(kind, rows, name)
            return
        try:
            self.record.record_to(Path(name))
            self.directory = name
        except RecordingError as error:
            self.fail("router", str(error))

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
        if state not in ("quitting", "failed"):
            raise ValueError(f"{state!r} is no state that a manager can be in")
        # Also without a request to quit: who takes the router for gone leaves without a word.
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
        self.runtime.note("warning", f"{source}: {text}")
        if len(self.warnings) < LOG_LINES:
            self.warnings.append(f"{source}: {text}")

    def fail(self, source: str, text: str) -> None:
        """Log an error, and count it for the report."""
        self.note("error", source, text)
        self.runtime.note("error", f"{source}: {text}")
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
            directory=self.directory,
        )

    def conclude(self) -> SessionReport:
        """Settle the account, write the manifest, and return the report."""
        ended_ns = self.runtime.clock.monotonic_ns()
        quit_ns = self.shutdown.began_ns or ended_ns
        self.ledger.attach_at_last()
        camera_is_clean = self.router.peers[CAMERA].exit_code == 0
        if camera_is_clean and (problem := self.ledger.disagreement()):
            self.fail("router", f"B1: {problem}")
        processes = [self.outcome(peer, quit_ns) for peer in self.peers]
        report = SessionReport(
            **self.ledger.settle(),
            processes=(*processes, *self.workers.reports(quit_ns)),
            shutdown_s=(ended_ns - quit_ns) / NS_PER_S,
            recording=self.directory,
            errors=tuple(self.errors),
            warnings=tuple(self.warnings),
            undelivered=self.router.undelivered_count,
            duration_s=(ended_ns - self.began_ns) / NS_PER_S,
            log=tuple(self.log),
        )
        for callback, _ in self.scope.observers:
            callback(self.snapshot(ended_ns))
        if problems := self.record.end(report):
            report = replace(report, errors=(*report.errors, *problems))
        self.parts.close()
        self.ledger.close()
        return report

    def outcome(self, peer: Peer, quit_ns: int) -> ProcessReport:
        """Return how one manager ended."""
        went_as_told = peer.exit_code == 0 or peer.is_dismissed
        outcome = peer.force or ("clean" if went_as_told else "crashed")
        ended_ns = peer.ended_ns or quit_ns
        seconds = (ended_ns - quit_ns) / NS_PER_S if ended_ns >= quit_ns else None
        words = "" if outcome == "clean" else peer.last_words
        return ProcessReport(peer.name, outcome, peer.exit_code, seconds, words)
