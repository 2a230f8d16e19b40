"""The base of every manager: its own process, the shared resources, its messages, its end."""

import inspect
import signal
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

from hal.clock import NS_PER_S
from hal.errors import DeviceError
from magscope.aside import Aside
from magscope.board import FIELDS, Board
from magscope.channel import Channel
from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.mail import Mail
from magscope.protocol import Frame, Kind, MessageError, arguments, envelope, is_name, pack
from magscope.resources import InterprocessValues as InterprocessValues
from magscope.resources import Resources as Resources
from magscope.runtime import Endpoint, Helper, RuntimeProcess, current
from magscope.singletons import SingletonABCMeta as SingletonABCMeta
from magscope.singletons import SingletonMeta as SingletonMeta
from magscope.utils import AcquisitionMode, Message, registerwithscript, rois_by_bead

HEARTBEAT_S = 1.0
DRAIN_S = 5.0
FRAMES_A_LOOP = 1000
LATER = object()


class ManagerProcessBase(RuntimeProcess, ABC, metaclass=SingletonABCMeta):
    """A part of the system that runs in its own process and is spoken to by messages.

    A subclass implements `setup`, which is called once in the new process, and `do_main_loop`,
    which is called over and over: after every message, whenever one of `wait_sources` is ready,
    and after `seconds_to_next_loop` at the latest. In between the process sleeps.

    Any public method that a subclass defines may be named by a `Message`. A method that takes its
    time returns `LATER` and calls `self.done(token)` when it has come to its end, with the
    `self.token` it was called under; a waiting script goes on then.

    Attributes:
        video_buffer: The frames.
        tracks_buffer: The newest tracked positions, 7 columns.
        profiles_buffer: The newest radial profiles: Unix time in s, bead id, and the bins.
        token: Not 0 while a message is obeyed whose sender wants to hear when it is done.
        caller: Who sent the message that is being obeyed.
        shared_values: The pool's flag and busy count.
        bead_rois: `(x0, x1, y0, y1)` in px by bead id.
        quit_phase: When this manager quits at the end of a session: 0 for those that produce,
            1 for those that process, 2 for those that store.
        status_fields: The names of the whole numbers that it keeps on the board.
        holds_device: Whether it must be given the time to close a device, even while it starts.
            A helper then does whatever this class does not: a driver that does not return keeps
            the manager neither from listening nor from quitting.
    """

    quit_phase: ClassVar[int] = 0
    status_fields: ClassVar[tuple[str, ...]] = ()
    makes_video_buffer: ClassVar[bool] = False
    holds_device: ClassVar[bool] = False
    _one_per_name: ClassVar[bool] = False

    def __init__(self, name: str | None = None) -> None:
        name = name or type(self).__name__
        if not is_name(name):
            raise ValueError(
                f"a manager's name {name!r:.120}: expected 1 to 100 letters, digits, '_', '.' or "
                "'-', so that messages can carry it"
            )
        if len(self.status_fields) >= FIELDS:
            raise ValueError(
                f"{name} has {len(self.status_fields)} status_fields: at most {FIELDS - 1}"
            )
        super().__init__(name=name)
        self._resources: Resources | None = None
        self._running = False
        self._has_quit = False
        self._has_said_goodbye = False
        self._mail: Mail
        self._device_aside: Aside
        self._board: Board | None = None
        self._status: dict[str, int] = dict.fromkeys(("heartbeat_ns", *self.status_fields), 0)
        self._device_role = ""
        self._helper = Helper()
        self._wants_to_quit = False
        self.token = 0
        self.caller = ""
        self.video_buffer: VideoBuffer | None = None
        self.tracks_buffer: MatrixBuffer | None = None
        self.profiles_buffer: MatrixBuffer | None = None
        self.locks: Mapping[str, Any] = {}
        self.settings: dict[str, Any] = {}
        self.shared_values: InterprocessValues
        self.camera_type: type | None = None
        self.hardware_types: dict[str, type] = {}
        self.bead_rois: dict[int, tuple[int, int, int, int]] = {}
        self._acquisition_on = True
        self._acquisition_mode = AcquisitionMode.TRACK
        self._acquisition_dir: Path | None = None
        self._acquisition_dir_on = False

    def give(self, resources: Resources) -> None:
        """Hand the manager what it shares with the others; for the router, before `start`."""
        self._resources = resources
        self.locks = resources.locks
        self.settings = dict(resources.settings)
        self.shared_values = resources.shared_values
        self.camera_type = resources.camera_type
        self.hardware_types = resources.hardware_types
        self.bead_rois = dict(resources.bead_rois)
        self._acquisition_on = resources.acquisition_on
        self._acquisition_mode = resources.acquisition_mode
        self._acquisition_dir = resources.record_dir
        self._acquisition_dir_on = resources.record_dir is not None

    @property
    def resources(self) -> Resources:
        """What the router has handed over."""
        if self._resources is None:
            raise RuntimeError(f"{self.name} is not part of a system: MagScope.start() starts it")
        return self._resources

    def own_ends(self) -> Sequence[Endpoint]:
        """Return the pipe ends that this process alone keeps open."""
        return () if self._resources is None else (self._resources.end,)

    def _warm_up(self) -> None:
        """Do what needs neither the buffers nor the others, while the camera is being opened."""

    @abstractmethod
    def setup(self) -> None:
        """Prepare, in the new process: open devices, make what can not be sent to it."""

    @abstractmethod
    def do_main_loop(self) -> None:
        """Do what there is to do now, without waiting for anything."""

    def wait_sources(self) -> Sequence[Any]:
        """Return what else wakes this process: bells, pipes, processes."""
        return ()

    def seconds_to_next_loop(self) -> float:
        """Return after how many seconds `do_main_loop` is due, whatever happens.

        10 ms unless a subclass knows better: existing managers look for their work in the loop.
        """
        return 0.01

    def shutdown(self) -> None:
        """Finish: stop and close devices, finish what is half done. Called once, whatever ends."""

    def run(self) -> None:
        """Be the process: attach, set up, loop until told to quit, clean up."""
        runtime = current()
        runtime.enter(self)
        if self.holds_device:
            self._helper = runtime.helper()
        self._mail = Mail(self.name, self.resources.end, self._helper, at_end=self._leave)
        self._device_aside = Aside(
            self._helper,
            self._mail,
            beat=self._beat,
            is_running=lambda: self._running,
            role=self._log_role,
        )
        self._running = True
        error: BaseException | None = None
        try:
            self._settle_in()
            while self._running:
                due_s = self._aside(self._loop_once)
                self._wait(due_s)
                self.receive_ipc()
        except FileNotFoundError as caught:
            # Whoever outlives the router removes its shared memory: before this one has come to it.
            error = None if runtime.owner_is_gone() else caught
        except (Exception, SystemExit) as caught:
            error = caught
        self._finish(error)

    def _settle_in(self) -> None:
        self._board = Board(self.resources.names, create=False)
        self._warm_up()
        if not self.makes_video_buffer:
            self._await_go()
        if not self._running:
            return
        self._attach()
        self._aside(self.setup)
        self._beat()
        self._mail.post(pack(Kind.STATE, "running"))
        current().note("state", "running")

    def _await_go(self) -> None:
        """Wait until the camera is open, and with it the size of a frame is known."""
        while self._running:
            current().wait([self._mail.channel], self._writable(), HEARTBEAT_S)
            self._look_for_router()
            frame = self._mail.receive()
            while frame is not None:
                if frame.kind is Kind.GO:
                    return
                if frame.kind is Kind.MESSAGE and envelope(frame).meth == "quit":
                    self._obey(frame)
                    if not self._running:
                        return
                else:
                    self._mail.hold_back(frame)
                frame = self._mail.receive()

    def _attach(self) -> None:
        if not self.makes_video_buffer:
            self.video_buffer = VideoBuffer(create=False, locks=self.locks)
        self.tracks_buffer = MatrixBuffer(create=False, locks=self.locks, name="TracksBuffer")
        self.profiles_buffer = MatrixBuffer(create=False, locks=self.locks, name="ProfilesBuffer")

    def _loop_once(self) -> float:
        self.do_main_loop()
        return self.seconds_to_next_loop() if self._running else 0.0

    def _aside(self, work: Callable[..., Any], *args: Any) -> Any:
        """Do what may use a device, and go on listening while that takes long.

        Raises:
            DeviceTimeoutError: It took too long, and the manager is to quit.
        """
        if not self.holds_device:
            return work(*args)
        result = self._device_aside.do(partial(work, *args))
        if self._wants_to_quit:
            ManagerProcessBase.quit(self)
        return result

    def _log_role(self) -> str:
        return self._device_role or self.name

    def _wait(self, due_s: float) -> None:
        if not self._running:
            return
        timeout_s = 0.0 if self._mail.held else min(max(due_s, 0.0), HEARTBEAT_S)
        writable = self._writable()
        self._beat()  # what was done since the last one may have taken its time
        current().wait((self._mail.channel, *self.wait_sources()), writable, timeout_s)
        self._beat()

    def _writable(self) -> tuple[Channel, ...]:
        """Send on what waits for room; return the pipes that have too little."""
        return self._mail.unsent()

    def _beat(self) -> None:
        now = current().clock.monotonic_ns()
        if now - self._status["heartbeat_ns"] >= HEARTBEAT_S * NS_PER_S // 2:
            self.publish(heartbeat_ns=now)
            self._look_for_router()

    def _look_for_router(self) -> None:
        """Leave when the router has died: whoever hangs may keep a copy of its pipe's end open."""
        if current().owner_is_gone():
            self._leave()

    def _leave(self) -> None:
        """End as after a quit, for the router is gone."""
        self._running = False

    def publish(self, **changes: int) -> None:
        """Change fields of this process' record on the board."""
        with self._helper.turn:
            self._status.update(changes)
            if self._board is not None:
                self._board.write(self.name, self._status)

    def send_ipc(self, message: Message) -> bool:
        """Send a message by way of the router; never blocks.

        Returns:
            False if it was refused, which is reported: it is no `Message`, can not be pickled, is
            too large, or the router takes no more.
        """
        return self._send(message, token=0)

    def _send(self, message: Message, token: int) -> bool:
        return self._mail.send(message, token)

    def log(self, level: str, text: str) -> None:
        """Tell the router something for its log; `level` is `info`, `warning` or `error`."""
        self._mail.log(level, text)

    def send_control(self, frame: bytes) -> None:
        """Send the router a frame that is no message."""
        self._mail.post(frame)

    def receive_ipc(self) -> None:
        """Obey the messages that have come, so many at a time that the loop is not starved."""
        for _ in range(FRAMES_A_LOOP):
            frame = self._mail.next()
            if frame is None or not self._running:
                return
            self._aside(self._obey, frame)

    def _obey(self, frame: Frame) -> None:
        if frame.kind is not Kind.MESSAGE:
            return
        head = envelope(frame)
        self.token, self.caller = head.token, head.sender
        current().note("message", f"{head.meth} {head.number} from {head.sender}")
        problem = ""
        try:
            method = self._method(head.meth)
            args, kwargs = arguments(frame)
            try:
                _signature(type(self), head.meth).bind(self, *args, **kwargs)
            except TypeError as error:
                raise MessageError(str(error)) from error
            if method(*args, **kwargs) is LATER:
                return
        except MessageError as error:
            problem = f"{head.to}.{head.meth} from {head.sender} refused: {error}"
            self.log("warning", problem)
        except (DeviceError, OSError, ValueError) as error:
            problem = f"{head.meth} failed: {error}"
            self.log("error", problem)
        except Exception as error:  # a handler's mistake is reported and must not end the manager
            problem = f"{head.meth} failed: {error!r}"
            self.log("error", problem + "\n" + traceback.format_exc())
        if head.token:
            self.done(head.token, problem, to=head.sender)

    def done(self, token: int, problem: str = "", to: str = "ScriptManager") -> None:
        """Tell the sender of a message that what it asked for is done, or what went wrong."""
        if token:
            self.send_ipc(Message(to, "message_done", token, self.name, problem))

    def _method(self, name: str) -> Any:
        if name.startswith("_"):
            raise MessageError("it is private")
        if hasattr(RuntimeProcess, name):
            raise MessageError("it belongs to the process, not to the manager")
        method = getattr(type(self), name, None)
        if not inspect.isfunction(method):
            raise MessageError(f"{type(self).__name__} has no method {name!r}")
        return getattr(self, name)

    def quit(self) -> None:
        """Quit, and have the whole system quit: any manager may be told so, or decide it."""
        if self._has_quit:
            return
        self._running = False
        if self._helper.is_caller:  # it is not for the helper to wait for the router
            self._wants_to_quit = True
            return
        self.send_ipc(Message(ManagerProcessBase, "quit"))  # at once: to shut down takes its time
        self._shut_down()
        self.log("info", f"{self.name} has quit")
        self._say_goodbye("quitting")

    def _shut_down(self) -> None:
        self._has_quit = True
        try:
            self.resources.quitting.set()
        finally:  # told to terminate just now: nobody else would close what is open
            self._tidy()

    def _say_goodbye(self, state: str) -> None:
        self._has_said_goodbye = True
        current().note("state", state)
        self._mail.post(pack(Kind.STATE, state))
        self._drain()

    def _drain(self) -> None:
        """Discard what still comes until the router has taken note, so that nobody blocks."""
        runtime, channel = current(), self._mail.channel
        deadline_ns = runtime.clock.monotonic_ns() + int(DRAIN_S * NS_PER_S)
        while (left_ns := deadline_ns - runtime.clock.monotonic_ns()) > 0:
            runtime.wait([channel], self._writable(), left_ns / NS_PER_S)
            try:
                while (raw := channel.receive()) is not None:
                    if raw.startswith(Kind.ACKNOWLEDGE.value):
                        return
            except EOFError:
                return

    def _tidy(self) -> None:
        if self._device_aside.is_stuck:
            return
        self._device_aside.hurry()
        try:
            self._aside(self.shutdown)
        except (DeviceError, OSError) as error:
            self.log("error", f"while closing: {error}")
        except Exception as error:  # what fails while closing must not keep the rest open
            self.log("error", f"while closing: {error!r}\n{traceback.format_exc()}")

    def _finish(self, error: BaseException | None) -> None:
        try:
            self._explain(error)
        finally:  # whatever comes in the middle of that, nobody else would close what is open
            if not self._has_quit:
                self._shut_down()
        if not self._has_said_goodbye:
            self._device_aside.see_off()
            self._say_goodbye("failed" if error else "quitting")
        if not self._device_aside.is_stuck:
            self._close_memory()
        current().end_session()
        self._helper.leave()
        if isinstance(error, SystemExit):
            raise error
        if error is not None:
            raise SystemExit(1)

    def _explain(self, error: BaseException | None) -> None:
        """Say in the log of what this process ends, unless it was told to quit."""
        if isinstance(error, SystemExit):
            self.log("warning", f"{self.name} was told to terminate")
        elif isinstance(error, DeviceError):
            self.log("error", f"{self._log_role()}: {error}")
        elif error is not None:
            lines = "".join(traceback.format_exception(error))
            self.log("error", f"{self.name} failed: {error!r}\n{lines}")

    def _close_memory(self) -> None:
        if self._board is not None:
            self._board.close()
        for buffer in (self.video_buffer, self.tracks_buffer, self.profiles_buffer):
            if buffer is not None:
                buffer.close()

    @registerwithscript("set_acquisition_on")
    def set_acquisition_on(self, value: bool) -> None:
        """Switch the processing of frames on or off."""
        self._acquisition_on = bool(value)

    @registerwithscript("set_acquisition_mode")
    def set_acquisition_mode(self, mode: AcquisitionMode | str) -> None:
        """Choose what becomes of the frames."""
        self._acquisition_mode = AcquisitionMode(mode)

    @registerwithscript("set_acquisition_dir")
    def set_acquisition_dir(self, value: str | Path | None) -> None:
        """Choose the directory of the recording; it is made if there is none."""
        self._acquisition_dir = None if value is None else Path(value).absolute()
        if self._acquisition_dir is not None:
            self._acquisition_dir.mkdir(parents=True, exist_ok=True)

    @registerwithscript("set_acquisition_dir_on")
    def set_acquisition_dir_on(self, value: bool) -> None:
        """Switch recording on or off."""
        self._acquisition_dir_on = bool(value)

    def set_bead_rois(self, value: Mapping[int, Sequence[int]] | Sequence[Sequence[int]]) -> None:
        """Set the beads' regions: `(x0, x1, y0, y1)` in px by bead id, or in a list."""
        self.bead_rois = rois_by_bead(value)

    def set_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings."""
        self.settings = dict(settings)


@cache
def _signature(cls: type, name: str) -> inspect.Signature:
    return inspect.signature(getattr(cls, name))


def left_when_told(exit_code: int | None) -> bool:
    """Whether a process that was told to terminate has ended by that, or by itself, in order."""
    return exit_code in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def signal_name(exit_code: int | None) -> str:
    """Return what an exit code means in words: `killed by SIGKILL`, `exit code 1`."""
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"
