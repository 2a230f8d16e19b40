"""Real drivers that move the simulated bench, for `zaber_on_bench.toml`.

Each motor is the driver of a real stage with one addition: before it connects, it starts a fake of
that stage's controller, which answers in the controller's own protocol over TCP and moves an axis
of the simulated bench. So all of the real driver is at work, and the beads feel it.
"""

import hal
from hal.drivers.pi_gcs import PiGcsFocus
from hal.drivers.zaber import ZaberLinear, ZaberRotary
from hal.testing.fakes import Dialect, FakeServer, PiGcsDialect, ZaberDialect
from sim.devices import motors

STARTED_LATER = "the port of the fake that open starts"


class OnBench(hal.Motor):
    """Starts the fake controller that the driver then connects to."""

    shared_memory = motors.BenchMotor.shared_memory
    fake = None

    def dialect(self) -> Dialect:
        """Return what the controller speaks, with the axis that it moves."""
        raise NotImplementedError

    def bench_axis(self, axis: type[motors.BenchMotor], **options) -> motors.BenchMotor:
        """Return an axis of this session's bench."""
        motor = axis(**options)
        motor.context = self.context
        return motor

    def open(self):
        """Start the controller, and connect to it as to any other."""
        if self.fake is None:
            self.fake = FakeServer(self.dialect())
            self.fake.start()
            self.port = self.fake.address
        super().open()

    def close(self):
        """Let go of the controller, and end it."""
        super().close()
        if self.fake is not None:
            self.fake.close()
            self.fake = None


class MagnetHeight(OnBench, ZaberLinear):
    """A linear Zaber stage with microsteps of 496 nm on the bench's magnet height."""

    driver = "zaber_on_bench:MagnetHeight"

    def __init__(self, *, nm_per_microstep: float = 496.09375, upper_nm: float = 2e7):
        super().__init__(
            port=STARTED_LATER,
            nm_per_microstep=nm_per_microstep,
            upper_nm=upper_nm,
            model="linear stage",
        )
        self.nm_per_microstep = nm_per_microstep

    def dialect(self):
        """Return Zaber's protocol over the magnet height."""
        return ZaberDialect(self.bench_axis(motors.MagnetHeight), self.nm_per_microstep)


class MagnetRotation(OnBench, ZaberRotary):
    """A rotary Zaber stage with 12 800 microsteps a turn on the bench's magnet rotation."""

    driver = "zaber_on_bench:MagnetRotation"

    def __init__(self, *, turns_per_microstep: float = 1 / 12_800):
        super().__init__(
            port=STARTED_LATER, turns_per_microstep=turns_per_microstep, model="rotary stage"
        )
        self.turns_per_microstep = turns_per_microstep

    def dialect(self):
        """Return Zaber's protocol over the magnet rotation."""
        return ZaberDialect(self.bench_axis(motors.MagnetRotation), self.turns_per_microstep)


class Focus(OnBench, PiGcsFocus):
    """A PI E-709 on the bench's focus."""

    driver = "zaber_on_bench:Focus"

    def __init__(self):
        super().__init__(port=STARTED_LATER)

    def dialect(self):
        """Return PI's protocol over the focus."""
        return PiGcsDialect(self.bench_axis(motors.Focus))
