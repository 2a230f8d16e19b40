"""A real camera driver that films the simulated bench, for `gigevision_on_bench.toml`.

The camera is the driver of GigE Vision cameras with one addition: before it connects, it starts a
camera of software alone at 127.0.0.1, whose sensor sees the beads of this session's bench. All that
the driver does with a real camera it does with this one: it takes control, sets and reads features,
puts frames together from packets, and counts those of which one is missing.
"""

from hal.drivers.gigevision import GigeVisionCamera
from hal.testing.fakes import FakeGigeCamera
from sim.devices.camera import BeadCamera


class BenchCamera(GigeVisionCamera):
    """A GigE Vision camera of 1280 x 560 px over the beads of the bench."""

    driver = "gigevision_on_bench:BenchCamera"
    shared_memory = BeadCamera.shared_memory
    fake = None

    def __init__(self, *, packet_size: int | None = None):
        super().__init__(address="127.0.0.1", packet_size=packet_size)

    def open(self):
        """Start the camera, and connect to it as to any other."""
        if self.fake is None:
            sensor = BeadCamera()
            sensor.context = self.context
            fake = FakeGigeCamera(sensor)
            fake.start()
            self.fake = fake
        super().open()

    def close(self):
        """Let go of the camera, and end it."""
        super().close()
        if self.fake is not None:
            self.fake.close()
            self.fake = None
