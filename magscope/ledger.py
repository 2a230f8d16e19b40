"""The router's view of the shared memory: the account of frames, the newest rows, who is alive."""

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hal.clock import NS_PER_S
from magscope.assembly import Parts
from magscope.datatypes import VideoBuffer
from magscope.hardware import FocusMotorBase
from magscope.motors import MotorManager
from magscope.processes import ManagerProcessBase
from magscope.report import (
    BeadView,
    FrameAccount,
    LogLine,
    MotorView,
    ProcessView,
    Snapshot,
    WorkerView,
)
from magscope.router import Peer
from magscope.runtime import current
from magscope.utils import AcquisitionMode, PoolVideoFlag

CAMERA, VIDEO, RECORDER = "CameraManager", "VideoProcessorManager", "RecordingManager"
NEWEST_TRACKS = 2000
RATE_WINDOW_S = 2.0


class Ledger:
    """Reads what the managers publish; the router writes none of it.

    Args:
        parts: The session's shared parts.
        routed: Returns how many messages were routed.
    """

    def __init__(self, parts: Parts, routed: Callable[[], int]) -> None:
        self._parts = parts
        self._routed = routed
        self._video: VideoBuffer | None = None
        self._fields = {m.name: ("heartbeat_ns", *m.status_fields) for m in parts.ends}
        self._rates: deque[tuple[float, int]] = deque()
        self._first_frame_ns = 0

    @property
    def is_attached(self) -> bool:
        """Whether the camera is open and the video buffer there."""
        return self._video is not None

    def attach(self) -> None:
        """Attach to the video buffer that the camera manager has made."""
        self._video = VideoBuffer(create=False, locks=self._parts.locks)
        self._first_frame_ns = current().clock.monotonic_ns()

    def attach_at_last(self) -> None:
        """Attach at the end, if the camera's word that the buffer is there never came."""
        if self._video is None:
            # None was made, or its maker died while it wrote down its geometry.
            with contextlib.suppress(FileNotFoundError, ValueError):
                self.attach()

    def close(self) -> None:
        """Let go of the video buffer."""
        if self._video is not None:
            self._video.close()
            self._video.unlink()
            self._video = None

    def status(self, name: str) -> dict[str, int]:
        """Return what a manager has last published."""
        return self._parts.board.read(name, self._fields[name])

    def is_silent(self, peer: Peer, now_ns: int, limit_s: float) -> bool:
        """Whether a running manager has shown no sign of life for so long."""
        beat = self.status(peer.name)["heartbeat_ns"]
        return peer.state == "running" and beat > 0 and now_ns - beat > limit_s * NS_PER_S

    def account(self, *, is_final: bool = False) -> FrameAccount:
        """Return where every frame is.

        Each term is written by one process and only grows; those that leave the buffer are read
        before those that enter it, so that the account balances at any moment. At the end, when
        every process is gone, what was handed out and not finished is lost.
        """
        if self._video is None:
            return FrameAccount()
        video = self.status(VIDEO)
        handed_out = self._parts.shared_values.video_process_flag.epoch * self._parts.n_images
        camera = self.status(CAMERA)
        delivered = self._video.written
        in_hand = handed_out - video["processed"] - video["lost"]
        in_buffer = delivered - handed_out - camera["purged"] - camera["discarded"]
        return FrameAccount(
            delivered=delivered,
            processed=video["processed"],
            purged=camera["purged"],
            discarded=camera["discarded"],
            lost=video["lost"] + (in_hand if is_final else 0),
            in_buffer=in_buffer + (0 if is_final else in_hand),
            device_lost=camera["device_lost"],
        )

    def disagreement(self) -> str:
        """Return where the account differs from the buffer's own count, or ""; at the end.

        What has left the buffer is what was purged, discarded and handed out, but for one stack
        that was handed out last and not yet released.
        """
        if self._video is None:
            return ""
        camera = self.status(CAMERA)
        flag, n_images = self._parts.shared_values.video_process_flag, self._parts.n_images
        left = camera["purged"] + camera["discarded"] + flag.epoch * n_images
        held = left - self._video.released
        if held == 0 or (held == n_images and flag.value is not PoolVideoFlag.READY):
            return ""
        return f"{self._video.released} frames have left the video buffer, but {left} are counted"

    def settle(self) -> dict[str, Any]:
        """Return what the shared memory tells for the report, once every process is gone."""
        video = self.status(VIDEO)
        account = self.account(is_final=True)
        first_ns = video["first_track_ns"]
        return {
            "frames": account,
            "tracks_rows": video["tracks_rows"],
            "start_to_first_track_s": (
                (first_ns - self._parts.started_ns) / NS_PER_S if first_ns else None
            ),
            "fps": self.status(CAMERA)["mean_mfps"] / 1000,
        }

    def snapshot(
        self,
        *,
        t_s: float,
        run_for_s: float | None,
        state: str,
        peers: Sequence[Peer],
        stalled: set[str],
        workers: tuple[WorkerView, ...],
        log: tuple[LogLine, ...],
        directory: str | None,
    ) -> Snapshot:
        """Return the system as it is now."""
        video, recorder = self.status(VIDEO), self.status(RECORDER)
        account = self.account()
        flag = self._parts.shared_values.video_process_flag
        modes = list(AcquisitionMode)
        return Snapshot(
            t_s=t_s,
            run_for_s=run_for_s,
            state=state,
            fps=self._rate(t_s, account.delivered),
            frames=account,
            buffer_level=self._video.get_level() if self._video else 0.0,
            flag=flag.value.name,
            busy_count=self._parts.shared_values.video_process_busy_count.value,
            acquisition_on=bool(video["acquisition_on"]),
            acquisition_mode=str(modes[video["mode"]]),
            tracks_rows=video["tracks_rows"],
            messages=self._routed(),
            recording=directory if recorder["is_recording"] else None,
            processes=tuple(_process(peer, stalled) for peer in peers),
            workers=workers,
            motors=tuple(self._motors()),
            beads=tuple(self._beads()),
            log=log[-50:],
        )

    def _rate(self, t_s: float, delivered: int) -> float:
        self._rates.append((t_s, delivered))
        while len(self._rates) > 2 and t_s - self._rates[1][0] > RATE_WINDOW_S:
            self._rates.popleft()
        first_t_s, first = self._rates[0]
        return (delivered - first) / (t_s - first_t_s) if t_s > first_t_s else 0.0

    def _motors(self) -> list[MotorView]:
        views = []
        for manager in self._parts.ends:
            if isinstance(manager, (MotorManager, FocusMotorBase)):
                for _, position, target, is_there in self._parts.matrices[manager.name].newest(1):
                    unit = manager.unit
                    views.append(MotorView(manager.name, unit, position, target, not is_there))
        return views

    def _beads(self) -> list[BeadView]:
        newest = {
            int(row[4]): BeadView(int(row[4]), float(row[1]), float(row[2]), float(row[3]))
            for row in self._parts.matrices["TracksBuffer"].newest(NEWEST_TRACKS)
        }
        return [newest[bead] for bead in sorted(newest)]


def _process(peer: Peer, stalled: set[str]) -> ProcessView:
    manager: ManagerProcessBase = peer.manager
    state = "stalled" if peer.name in stalled else peer.state
    return ProcessView(peer.name, state, manager.pid)
