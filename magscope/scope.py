"""`MagScope`: the system as a program uses it: built, configured, started, stopped."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from magscope.beadlock import BeadLockManager
from magscope.camera import CameraManager
from magscope.devices import DeviceSpec
from magscope.hardware import HardwareManagerBase
from magscope.motors import MotorManager, motor_managers
from magscope.processes import ManagerProcessBase, SingletonMeta
from magscope.recorder import RecordingManager
from magscope.report import SessionReport, Snapshot
from magscope.rig import CameraEntry, RigFile, load_rig
from magscope.runtime import Bell, current
from magscope.scripting import ScriptManager
from magscope.session import Session
from magscope.settings import checked, load_settings
from magscope.shutdown import Bounds
from magscope.singletons import forget_singletons
from magscope.trackers import load_tracker
from magscope.utils import Message
from magscope.videoprocessing import VideoProcessorManager
from magscope.zlutsweep import ZLutManager


class MagScope(metaclass=SingletonMeta):
    """The whole system: the router in this process, and every manager in its own.

    Args:
        rig: Which devices there are and how they are set up; the default rig if None.
        seed: All that is drawn at random follows from it; the rig file's if None.

    Attributes:
        run_for_s: End by itself after so many seconds; None: run until `stop`.
        record_dir: Record into this directory from the start; None: record nothing.
        capture_dir: Write every call of every device into this directory; None: write nothing.
        script_path: Run this script once the system is up.
        session: The run, once `start` has begun it.
        report: How the session went, once `start` has returned.
        is_stopped: Whether the system was asked to quit from this process.
        is_hurried: Whether it was asked by Ctrl-C, and then again.
    """

    def __init__(self, rig: RigFile | None = None, *, seed: int | None = None) -> None:
        self.rig = rig if rig is not None else load_rig(None)
        self.seed = self.rig.seed if seed is None else seed
        self.run_for_s: float | None = None
        self.record_dir: Path | None = None
        self.capture_dir: Path | None = None
        self.script_path: Path | None = None
        self.bounds = Bounds()
        self.session: Session | None = None
        self.report = SessionReport()
        self._settings: dict[str, Any] = checked(self.rig.settings)
        self._settings_path: Path | None = None
        self.observers: list[tuple[Callable[[Snapshot], None], float]] = []
        self._bell: Bell | None = None
        self.is_stopped = False
        self.is_hurried = False
        self._has_run = False
        self._added: list[ManagerProcessBase] = []
        self._unsent: deque[Message] = deque()
        known = set(current().singletons())
        try:
            self._make_managers()
        except BaseException:
            singletons = current().singletons()
            forget_singletons([singletons[key] for key in singletons.keys() - known])
            raise

    def _make_managers(self) -> None:
        beads = self.rig.beads
        self.camera_manager = CameraManager(
            self._spec("camera", self.rig.camera), self.rig.nm_per_px
        )
        self.video_processor_manager = VideoProcessorManager(
            max_beads=beads.max_beads if beads.rois == "auto" else 0,
            zlut=beads.zlut,
            tracker=load_tracker(beads.tracker),
        )
        self.beadlock_manager = BeadLockManager()
        self.script_manager = ScriptManager()
        self.zlut_manager = ZLutManager()
        self.recording_manager = RecordingManager()
        self._hardware: list[HardwareManagerBase] = motor_managers(
            self._spec(name, entry) for name, entry in self.rig.motors.items()
        )

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
            *self._added,
        ]

    @property
    def hardware(self) -> list[HardwareManagerBase]:
        """The managers of the motors and of other hardware."""
        return list(self._hardware)

    def add_manager(self, manager: ManagerProcessBase) -> None:
        """Add a manager of one's own, with its own process; before `start`."""
        if self._bell is not None:
            raise RuntimeError("the system is running: add managers before start()")
        self._added.append(manager)

    def add_hardware(self, manager: HardwareManagerBase) -> None:
        """Add a motor or another device with its own manager; before `start`.

        One of the same name takes the place of the rig's.
        """
        if self._bell is not None:
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
        self._send(Message(ManagerProcessBase, "set_settings", dict(self._settings)))

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
        self.observers.append((callback, interval_s))

    def stop(self) -> None:
        """Ask the system to quit; from a callback, another thread or a signal handler."""
        self.is_stopped = True
        if self._bell is not None:
            self._bell.ring()

    def _interrupt(self) -> None:
        """Quit on Ctrl-C; on a second one, do not wait for those who have not quit yet."""
        self.is_hurried = self.is_stopped
        self.stop()

    def start(self) -> None:
        """Start every process and serve them until the system has quit.

        Raises:
            MemoryError: There is no room for the shared buffers.
            ScriptError: The script can not be carried out.
            RecordingError: The recording's directory can not be written to.
        """
        runtime = current()
        if self._has_run:
            raise RuntimeError("this MagScope has run: make a new one for another session")
        self._has_run = True
        self.script_manager.prepare(self.script_path, self.managers)
        with runtime.interrupts(self._interrupt):
            runtime.begin_session()
            self._bell = runtime.bell()
            try:
                self.session = Session(self, self._bell)
                self.report = self.session.run()
            finally:
                self._bell = None
                runtime.end_session()
                forget_singletons([self, *self.managers])

    def reconnect(self) -> None:
        """Have every device that has gone looked for; from a callback or another thread."""
        self._send(Message("CameraManager", "reconnect_camera"))
        for manager in self._hardware:
            if isinstance(manager, MotorManager):
                self._send(Message(manager.name, "reconnect_motor", manager.name))

    def _send(self, message: Message) -> None:
        """Have a message sent, while the system runs."""
        if self._bell is not None:
            self._unsent.append(message)
            self._bell.ring()

    def pending(self) -> Iterator[Message]:
        """Yield what is to be sent since the last call; for the router's loop."""
        while self._unsent:
            yield self._unsent.popleft()
