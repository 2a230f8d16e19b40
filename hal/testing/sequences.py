"""The calls of a camera and of a motor in any order, compared with a model of each."""

from contextlib import suppress
from functools import partial

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from hal.camera import FrameInfo
from hal.errors import BusyError, DisconnectedError, LimitError, SettingError, UnsupportedError
from hal.testing.checks import expect, refuses
from hal.testing.device_checks import adjustable, nearby, outside
from hal.testing.frames import (
    empty_frame,
    frame_or_untouched,
    in_order,
    next_frame,
    nothing_comes,
    well_formed,
)
from hal.testing.hunt import DeviceMachine, Hunt, hunt
from hal.testing.moves import beyond, near, reach, settled, within
from hal.testing.stand import Subject

FRACTIONS = st.integers(0, 20).map(lambda n: n / 20)
_PAUSE_S = 0.05
_REAL_PAUSE_S = 0.02
_MOMENT_S = 0.01
_CLOCK_SLACK_NS = 100_000_000


class _AnyDevice(DeviceMachine):
    """What cameras and motors have in common."""

    def __init__(self, hunt: Hunt) -> None:
        super().__init__(hunt)
        self._firsts: dict[str, float] = {}

    @initialize(is_open=st.sampled_from([True, True, False]))
    def begin(self, is_open: bool) -> None:
        """Begin with an open device more often than not: there is more to see."""
        if is_open:
            self.open()

    @rule()
    def open(self) -> None:
        """Open it, whether it is open or not."""
        with self.step():
            self.stand.device.open()
            self.is_open = True

    @rule(really=st.sampled_from([False, True]))
    def close(self, really: bool) -> None:
        """Close it, whether it is open or not; seldom, as little can be seen then."""
        if self.is_open and not really:
            return
        with self.step():
            self.stand.device.close()
            self.is_open = False
            self.closed()

    def closed(self) -> None:
        """Forget what is over when the device is closed."""

    @rule(fraction=FRACTIONS)
    def wait(self, fraction: float) -> None:
        """Let time pass."""
        longest_s = _REAL_PAUSE_S if self.hunt.subject.has_own_time else _PAUSE_S
        with self.step():
            self.stand.wait(fraction * longest_s)

    @precondition(lambda self: self.is_open)
    @rule(which=st.integers(0, 9), fraction=FRACTIONS)
    def adjust(self, which: int, fraction: float) -> None:
        """Change a setting a little: it is taken as it reads back, or it is refused."""
        device = self.stand.device
        with self.step():
            settings = adjustable(device, self.hunt.subject.leave_alone)
            if settings:
                setting = settings[which % len(settings)]
                with suppress(SettingError, BusyError):
                    value = nearby(setting, self._first(setting.name), fraction)
                    taken = device.set(setting.name, value)
                    read = device.get(setting.name)
                    expect(taken == read, f"set to return what get reads, {read!r}", taken)

    def _first(self, name: str) -> float:
        if name not in self._firsts:
            self._firsts[name] = float(self.stand.device.get(name))
        return self._firsts[name]

    @precondition(lambda self: self.is_open)
    @rule(which=st.integers(0, 9))
    def set_outside(self, which: int) -> None:
        """Set a setting to what it can not be."""
        device = self.stand.device
        with self.step():
            settings = adjustable(device, self.hunt.subject.leave_alone)
            if settings:
                setting = settings[which % len(settings)]
                before = device.get(setting.name)
                value = outside(setting)[which % 2]
                words = f"set({setting.name!r}, {value!r})"
                refuses((SettingError, BusyError), lambda: device.set(setting.name, value), words)
                read = device.get(setting.name)
                expect(read == before, f"{setting.name} to stay {before!r}", read)


class CameraMachine(_AnyDevice):
    """A camera: whether it takes frames, and the last one that came since `start`."""

    def __init__(self, hunt: Hunt) -> None:
        super().__init__(hunt)
        self.is_running = False
        self.began_ns = 0
        self.last: FrameInfo | None = None
        self.last_ns = 0
        self.may_go_on = False
        self.out = np.zeros((8, 8), np.uint8)

    def agree(self) -> None:
        """Keep an array of the right shape for when the camera is closed."""
        super().agree()
        if self.is_open and self.out.shape != self.stand.camera.frame_format.shape:
            self.out = empty_frame(self.stand)

    def closed(self) -> None:
        """Take no more frames."""
        self.is_running = False

    @rule()
    def start(self) -> None:
        """Start it; a second start may begin anew or go on."""
        camera = self.stand.camera
        with self.step():
            if not self.is_open:
                refuses(DisconnectedError, camera.start, "start of a closed camera")
                return
            self.may_go_on = self.is_running
            if not self.is_running:
                self.began_ns = self.stand.clock.now_ns()
                self.last = None
            camera.start()
            self.is_running = True

    @rule()
    def stop(self) -> None:
        """Stop it, whether it takes frames or not."""
        with self.step():
            self.stand.camera.stop()
            self.is_running = False

    @rule()
    def fetch(self) -> None:
        """Fetch once: there may be a frame only while the camera takes them."""
        camera = self.stand.camera
        with self.step():
            if not self.is_open:
                ask = partial(camera.fetch_into, self.out)
                refuses(DisconnectedError, ask, "fetch_into of a closed camera")
            elif self.is_running:
                info = frame_or_untouched(self.stand)
                if info is not None:
                    well_formed(info)
                    self._came(info)
            else:
                nothing_comes(self.stand, "while the camera takes none")

    @precondition(lambda self: self.is_running)
    @rule()
    def wait_for_a_frame(self) -> None:
        """Wait until the next frame comes."""
        with self.step():
            self._came(next_frame(self.stand, empty_frame(self.stand)))

    def _came(self, info: FrameInfo) -> None:
        if self.may_go_on and info.frame_number == 0:
            self.last = None
        if self.last is None:
            expect(info.frame_number == 0, "the first frame to have number 0", info.frame_number)
            early_ns = self.began_ns - info.timestamp_ns
            wanted = "the first frame to be taken after start"
            expect(early_ns < _CLOCK_SLACK_NS, wanted, f"it is {early_ns} ns older")
        else:
            in_order(self.last, info)
        # In virtual time it may have been started twice at the same moment.
        wanted = f"a timestamp not before {self.last_ns} ns, that of the frame before"
        expect(info.timestamp_ns >= self.last_ns, wanted, f"{info.timestamp_ns} ns")
        self.last, self.last_ns, self.may_go_on = info, info.timestamp_ns, False


class MotorMachine(_AnyDevice):
    """A motor: where it was sent, and where it stands if nobody has sent it since."""

    def __init__(self, hunt: Hunt) -> None:
        super().__init__(hunt)
        self.goal: float | None = None
        self.rest: float | None = None
        self.is_new = True

    def closed(self) -> None:
        """Know no more where it goes."""
        self.goal = self.rest = None

    def agree(self) -> None:
        """Expect it on its axis, at its target if it stands, and where it stood."""
        super().agree()
        if not self.is_open:
            return
        motor = self.stand.motor
        is_moving = motor.is_moving
        position = motor.read_position()
        within(self.stand, position)
        if self.goal is not None:
            expect(motor.target == self.goal, f"the target to be {self.goal:g}", motor.target)
            if not is_moving:
                near(self.stand, position, self.goal, "the position of a motor that stands")
        if self.rest is not None:
            near(self.stand, position, self.rest, "the position of a motor that nobody moves")

    @rule(fraction=FRACTIONS)
    def move(self, fraction: float) -> None:
        """Send it somewhere, whether it moves or not."""
        motor = self.stand.motor
        with self.step():
            if not self.is_open:
                refuses(DisconnectedError, lambda: motor.move_to(0.0), "move_to of a closed motor")
                return
            axis, distance = motor.axis, reach(self.stand)
            span = axis.upper - axis.lower
            goal = axis.lower + fraction * span
            if distance < span:
                goal = motor.read_position() + (fraction - 0.5) * distance
            goal = min(max(goal, axis.lower), axis.upper)
            motor.move_to(goal)
            self.goal, self.rest = goal, None

    @precondition(lambda self: self.is_open)
    @rule(which=st.integers(0, 6))
    def move_outside(self, which: int) -> None:
        """Send it where it can not go; it goes on with what it does."""
        motor = self.stand.motor
        with self.step():
            wrong = beyond(motor.axis)[which]
            refuses(LimitError, lambda: motor.move_to(wrong), f"move_to({wrong!r})")

    @precondition(lambda self: self.is_open)
    @rule()
    def stop(self) -> None:
        """Stop it, whether it moves or not."""
        with self.step():
            self.stand.motor.stop()
            self.goal = None

    @precondition(lambda self: self.is_open)
    @rule()
    def let_it_arrive(self) -> None:
        """Wait until it stands; its target is then where it is."""
        with self.step():
            position = settled(self.stand)
            near(self.stand, self.stand.motor.target, position, "the target of a motor that stands")
            self.stand.wait(_MOMENT_S)
            self.rest = position

    @precondition(lambda self: self.is_open)
    @rule()
    def home(self) -> None:
        """Send it home; it is known to be there only once it stands."""
        motor = self.stand.motor
        with self.step():
            if not motor.axis.can_home:
                refuses(UnsupportedError, motor.home, "home of an axis that can not (can_home)")
            elif not self.hunt.subject.has_own_time:  # else it might take minutes
                motor.home()
                self.goal = self.rest = None


def search_camera(subject: Subject) -> None:
    """Search for calls of a camera that go wrong."""
    hunt(subject, CameraMachine)


def search_motor(subject: Subject) -> None:
    """Search for calls of a motor that go wrong."""
    hunt(subject, MotorMachine)
