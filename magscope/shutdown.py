"""The end of a session: managers quit in order, and whoever does not is made to, within a bound."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hal.clock import NS_PER_S
from magscope.router import Peer

PHASE_ENDS_S = (2.0, 3.5, 5.0)
DISMISS_S = 1.0
HURRY_S = 1.0
TERMINATE_S = 5.0
KILL_S = 8.0


@dataclass(frozen=True)
class Bounds:
    """Seconds from the request to quit.

    Attributes:
        phase_ends_s: When the next phase is told to quit even if one of this phase has not.
        terminate_s: When those who are left are sent SIGTERM.
        kill_s: When they are killed.
        hurry_s: How long they have from a second request on.
        dismiss_s: When those who are still starting, and hold no device, need not go on with it.
    """

    phase_ends_s: tuple[float, ...] = PHASE_ENDS_S
    terminate_s: float = TERMINATE_S
    kill_s: float = KILL_S
    dismiss_s: float = DISMISS_S
    hurry_s: float = HURRY_S


class Shutdown:
    """Ends the managers: producers first, then what processes, then what stores.

    So the last frames are processed and the last batch is saved before its keeper is gone.

    Args:
        peers: Every manager.
        ask: Tells a manager to quit.
        fail: Logs an error.
    """

    def __init__(
        self,
        peers: Iterable[Peer],
        ask: Callable[[Peer], None],
        fail: Callable[[str], None],
        bounds: Bounds | None = None,
    ) -> None:
        self._peers = list(peers)
        self._ask = ask
        self._fail = fail
        self._bounds = bounds or Bounds()
        self._phases = sorted({peer.manager.quit_phase for peer in self._peers})
        self._asked: set[str] = set()
        self.began_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """Start the end of the session; later calls change nothing."""
        if self.began_ns is None:
            self.began_ns = now_ns

    def hurry(self, now_ns: int) -> None:
        """Go to the last moment of the grace: somebody asked twice. All are told, and in time."""
        if self.began_ns is not None:
            spent_s = self._bounds.terminate_s - self._bounds.hurry_s
            self.began_ns = min(self.began_ns, now_ns - int(spent_s * NS_PER_S))

    def step(self, now_ns: int) -> float | None:
        """Do what is due, and return in how many seconds the next step is; None: nothing is."""
        if self.began_ns is None:
            return None
        elapsed_s = (now_ns - self.began_ns) / NS_PER_S
        bounds = self._bounds
        deadlines = [bounds.terminate_s, bounds.kill_s]
        if any(self._may_be_dismissed(peer) for peer in self._peers):
            deadlines.append(bounds.dismiss_s)
        for index, phase in enumerate(self._phases):
            self._ask_phase(phase)
            end_s = bounds.phase_ends_s[min(index, len(bounds.phase_ends_s) - 1)]
            if not self._is_done(phase) and elapsed_s < end_s:
                deadlines.append(end_s)
                break
        if elapsed_s >= bounds.dismiss_s:
            self._dismiss()
        left = [peer for peer in self._peers if peer.state != "gone"]
        if elapsed_s >= self._bounds.kill_s:
            self._force(left, "killed")
        elif elapsed_s >= self._bounds.terminate_s:
            self._force(left, "terminated")
        return min((d - elapsed_s for d in deadlines if d > elapsed_s), default=0.05)

    def _ask_phase(self, phase: int) -> None:
        for peer in self._peers:
            if peer.manager.quit_phase == phase and peer.name not in self._asked:
                self._asked.add(peer.name)
                if peer.listens:
                    self._ask(peer)

    def _is_done(self, phase: int) -> bool:
        return not any(p.listens for p in self._peers if p.manager.quit_phase == phase)

    def _dismiss(self) -> None:
        for peer in filter(self._may_be_dismissed, self._peers):
            peer.is_dismissed = True
            peer.manager.terminate()

    @staticmethod
    def _may_be_dismissed(peer: Peer) -> bool:
        is_starting = peer.state == "starting" and not peer.is_dismissed
        return is_starting and not peer.manager.holds_device

    def _force(self, peers: Iterable[Peer], how: str) -> None:
        for peer in peers:
            if peer.force == how or peer.force == "killed" or not peer.manager.is_alive():
                continue
            peer.force = how
            self._fail(f"{peer.name} does not quit: it is {how}")
            if how == "killed":
                peer.manager.kill()
            elif not peer.is_dismissed:
                peer.manager.terminate()
