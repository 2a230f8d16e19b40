"""The three simulated motors: magnet height, magnet rotation and focus."""

from abc import abstractmethod
from typing import ClassVar

from hal.device import Identity, Setting, SettingValue
from hal.errors import DisconnectedError, OptionError, UnsupportedError
from hal.motor import Axis, FocusMotor, LinearMotor, Motor, RotaryMotor
from hal.support import Support
from sim import bench
from sim.motion import Motion, at_rest, halt, move


class BenchMotor(Motor):
    """An axis of the bench: exact, of limited speed and acceleration, and always where it was.

    Its position is a formula of the time, in the session's memory, so that the camera sees in
    another process where the motor was at any moment. The motor does not forget where it is when it
    is closed and opened again.

    Args:
        start: Where it stands when it is opened for the first time.
        speed: Its largest speed, in units a second, until the setting is changed.
        acceleration: How fast it gains and loses speed, in units a second squared.
        lower: Smallest position.
        upper: Largest position.

    Raises:
        OptionError: The start lies outside the limits, or speed or acceleration is not positive.
    """

    shared_memory = bench.SHARED_MEMORY
    support = Support("motors with speed, acceleration and limits", "no device")
    has_own_time = False
    bench_axis: ClassVar[str]
    driver: ClassVar[str]
    model: ClassVar[str]
    resolution: ClassVar[float]
    max_speed: ClassVar[float]
    home_position: ClassVar[float | None] = None

    def __init__(
        self, start: float, speed: float, acceleration: float, lower: float, upper: float
    ) -> None:
        if not lower <= start <= upper:
            raise OptionError(
                f"start {start:g} {self.unit} must lie between {lower:g} and {upper:g}"
            )
        if not acceleration > 0.0:
            raise OptionError(f"acceleration {acceleration:g}: expected more than 0")
        self._start, self._acceleration = float(start), float(acceleration)
        self._lower, self._upper = float(lower), float(upper)
        self._record: bench.AxisRecord | None = None
        self._speed = float(self._speed_setting.check(speed))

    @property
    @abstractmethod
    def _speed_setting(self) -> Setting: ...

    @property
    def identity(self) -> Identity:
        """Who this is."""
        return Identity("magscope", self.model, self.bench_axis, self.driver, is_real=False)

    @property
    def is_open(self) -> bool:
        """Whether the motor is connected."""
        return self._record is not None

    def open(self) -> None:
        """Connect; a motor that was never opened stands at its start."""
        if self._record is not None:
            return
        self._target = None
        self._record = bench.AxisRecord(self.context.shared("bench"), self.bench_axis)
        if not self._record.is_written:
            self._record.write(at_rest(self._start, self._now_ns()))

    def close(self) -> None:
        """Stop and let go."""
        if self._record is not None:
            self.stop()
            self._record.release()
            self._record = None

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The speed of the movements that begin from now on."""
        return (self._speed_setting,)

    def get(self, name: str) -> SettingValue:
        """Return the speed."""
        self.setting(name)
        return self._speed

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change the speed."""
        self._speed = float(self.setting(name).check(value))
        return self._speed

    @property
    def axis(self) -> Axis:
        """The range of the axis."""
        return Axis(
            self.unit,
            self._lower,
            self._upper,
            self.resolution,
            self.max_speed,
            can_home=self.home_position is not None,
        )

    @property
    def is_moving(self) -> bool:
        """Whether the motor is on its way."""
        return not self._motion().is_over(self._now_ns())

    def read_position(self) -> float:
        """Return where the motor is, in its unit."""
        position = self._motion().position_at(self._now_ns())
        return min(max(position, self._lower), self._upper)

    def begin_move(self, target: float) -> None:
        """Start towards the step nearest to `target`, from wherever and however fast it moves."""
        record, now_ns = self._connected(), self._now_ns()
        position, velocity = record.motion.state_at(now_ns)
        step = round(target / self.resolution) * self.resolution
        end = min(max(step, self._lower), self._upper)
        record.write(move(now_ns, position, velocity, end, self._speed, self._acceleration))

    def halt(self) -> None:
        """Brake to rest."""
        record, now_ns = self._connected(), self._now_ns()
        motion = record.motion
        if not motion.is_over(now_ns):
            record.write(halt(now_ns, *motion.state_at(now_ns), self._acceleration))

    def begin_home(self) -> None:
        """Start towards the home position."""
        if self.home_position is None:
            raise UnsupportedError(f"{self.model} has no home position")
        self.begin_move(self.home_position)

    def _motion(self) -> Motion:
        return self._connected().motion

    def _connected(self) -> bench.AxisRecord:
        if self._record is None:
            raise DisconnectedError(f"{type(self).__name__} is not open: open it before using it")
        return self._record

    def _now_ns(self) -> int:
        return self.context.clock.monotonic_ns()


class MagnetHeight(BenchMotor, LinearMotor):
    """The distance of the magnets from the sample: the smaller, the larger the force.

    Home is the far end, where the magnets pull least.

    Args:
        start_nm: Where it stands when it is opened for the first time; about 7 pN by default.
        speed_nm_per_s: Largest speed until the setting is changed.
        acceleration_nm_per_s2: How fast it gains and loses speed.
        lower_nm: Smallest distance.
        upper_nm: Largest distance.
    """

    bench_axis = bench.MAGNET_HEIGHT
    driver = "sim.magnet-height"
    model = "simulated magnet height"
    resolution = 50.0
    max_speed = 2.0e7
    home_position = 2.0e7

    def __init__(
        self,
        *,
        start_nm: float = bench.DEFAULT_POSITIONS[bench.MAGNET_HEIGHT],
        speed_nm_per_s: float = 5.0e6,
        acceleration_nm_per_s2: float = 5.0e7,
        lower_nm: float = 0.0,
        upper_nm: float = 2.0e7,
    ) -> None:
        super().__init__(start_nm, speed_nm_per_s, acceleration_nm_per_s2, lower_nm, upper_nm)

    @property
    def _speed_setting(self) -> Setting:
        return Setting("speed_nm_per_s", float, "nm/s", 1.0, self.max_speed)


class MagnetRotation(BenchMotor, RotaryMotor):
    """The rotation of the magnets, which twists the tethers that are not nicked.

    Args:
        start_turns: Where it stands when it is opened for the first time.
        speed_turns_per_s: Largest speed until the setting is changed.
        acceleration_turns_per_s2: How fast it gains and loses speed.
        lower_turns: Smallest position.
        upper_turns: Largest position.
    """

    bench_axis = bench.MAGNET_ROTATION
    driver = "sim.magnet-rotation"
    model = "simulated magnet rotation"
    resolution = 0.001
    max_speed = 20.0
    home_position = 0.0

    def __init__(
        self,
        *,
        start_turns: float = bench.DEFAULT_POSITIONS[bench.MAGNET_ROTATION],
        speed_turns_per_s: float = 5.0,
        acceleration_turns_per_s2: float = 50.0,
        lower_turns: float = -200.0,
        upper_turns: float = 200.0,
    ) -> None:
        super().__init__(
            start_turns, speed_turns_per_s, acceleration_turns_per_s2, lower_turns, upper_turns
        )

    @property
    def _speed_setting(self) -> Setting:
        return Setting("speed_turns_per_s", float, "turn/s", 0.001, self.max_speed)


class Focus(BenchMotor, FocusMotor):
    """The height of the focal plane: raising it by f lowers every bead's z by f. Has no home.

    Args:
        start_nm: Where it stands when it is opened for the first time.
        speed_nm_per_s: Largest speed until the setting is changed.
        acceleration_nm_per_s2: How fast it gains and loses speed.
        lower_nm: Smallest position.
        upper_nm: Largest position.
    """

    bench_axis = bench.FOCUS
    driver = "sim.focus"
    model = "simulated focus"
    resolution = 1.0
    max_speed = 1.0e6

    def __init__(
        self,
        *,
        start_nm: float = bench.DEFAULT_POSITIONS[bench.FOCUS],
        speed_nm_per_s: float = 1.0e5,
        acceleration_nm_per_s2: float = 1.0e7,
        lower_nm: float = -5.0e4,
        upper_nm: float = 5.0e4,
    ) -> None:
        super().__init__(start_nm, speed_nm_per_s, acceleration_nm_per_s2, lower_nm, upper_nm)

    @property
    def _speed_setting(self) -> Setting:
        return Setting("speed_nm_per_s", float, "nm/s", 1.0, self.max_speed)
