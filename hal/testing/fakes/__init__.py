"""Fakes of the protocols that devices speak, for tests and for a rig without hardware.

A fake is a server that answers as the real controller does, with any HAL motor as its mechanics, so
that the real driver can be run with nothing behind it, or with a bench of software. It can also
behave badly: be slow, be silent, answer garbage, refuse, hang up; as a process of its own it can be
killed and stopped::

    with FakeServer(ZaberDialect(motor, per_step=500.0)) as fake:
        stage = ZaberLinear(port=fake.address, nm_per_microstep=500.0)

    with FakeProcess("zaber", motor="sim.magnet-height", per_step=500.0) as fake:
        fake.stop()

A `FakeGigeCamera` streams the frames of any HAL camera as a GigE Vision camera does.

`python -m hal.testing.fakes --help` is the same from a shell.
"""

from hal.testing.fakes.dialect import Dialect
from hal.testing.fakes.gige_camera import FakeGigeCamera
from hal.testing.fakes.pi_gcs import PiGcsDialect
from hal.testing.fakes.process import FakeProcess
from hal.testing.fakes.server import FakeServer, Misbehaviour, Mood
from hal.testing.fakes.zaber import ZaberDialect

__all__ = [
    "Dialect",
    "FakeGigeCamera",
    "FakeProcess",
    "FakeServer",
    "Misbehaviour",
    "Mood",
    "PiGcsDialect",
    "ZaberDialect",
]
