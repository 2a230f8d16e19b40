"""As a program: `python -m hal.testing.fakes zaber --motor sim.magnet-height --per-step 500`.

It prints `ready ADDRESS` when it listens, and ends with its parent. A camera, in a network of its
own: `unshare -rn sh -c 'ip link set lo up; exec "$@"' sh PYTHON -m hal.testing.fakes gigevision
--camera sim.bead-camera`.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from hal.camera import Camera
from hal.device import SettingValue
from hal.errors import DeviceError, DriverError, OptionError
from hal.motor import Motor
from hal.registry import create
from hal.testing.fakes.dialect import Dialect
from hal.testing.fakes.gige_camera import FakeGigeCamera
from hal.testing.fakes.pi_gcs import PiGcsDialect
from hal.testing.fakes.process import READY, end_with_input, end_with_parent
from hal.testing.fakes.server import FakeServer, Misbehaviour, Mood
from hal.testing.fakes.zaber import ZaberDialect


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer until the process is ended."""
    given = _parser().parse_args(arguments)
    ends_with = given.ends_with or ("parent" if sys.platform == "linux" else "input")
    if ends_with == "parent":
        end_with_parent(given.parent)
    else:
        end_with_input()
    try:
        return _stream(given) if given.protocol == "gigevision" else _serve(given)
    except DriverError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except DeviceError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _serve(given: argparse.Namespace) -> int:
    dialect = _dialect(given)
    misbehaviour = Misbehaviour(given.mood, given.after, given.delay_s)
    with FakeServer(dialect, port=given.port, pty=given.pty, misbehaviour=misbehaviour) as server:
        sys.stdout.write(f"{READY}{server.address}\n")
        sys.stdout.flush()
        server.wait()
    return 0


def _stream(given: argparse.Namespace) -> int:
    sensor = create(given.camera, dict(_option(text) for text in given.option))
    if not isinstance(sensor, Camera):
        raise OptionError(f"--camera {given.camera}: a {type(sensor).__name__} is no camera")
    fake = FakeGigeCamera(
        sensor,
        serial=given.serial,
        packet_loss=given.packet_loss,
        first_block=given.first_block,
    )
    with fake:
        sys.stdout.write(f"{READY}{fake.address}\n")
        sys.stdout.flush()
        fake.wait()
    return 0


def _dialect(given: argparse.Namespace) -> Dialect:
    motor = create(given.motor, dict(_option(text) for text in given.option))
    if not isinstance(motor, Motor):
        raise OptionError(f"--motor {given.motor}: a {type(motor).__name__} is no motor")
    if given.protocol == "pi-gcs":
        return PiGcsDialect(motor)
    if given.per_step is None or not given.per_step > 0.0:
        raise OptionError(
            f"--per-step {given.per_step}: zaber needs more than 0, in the motor's unit"
        )
    return ZaberDialect(motor, given.per_step, address=given.device)


def _option(text: str) -> tuple[str, SettingValue]:
    name, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"--option {text}: expected NAME=VALUE")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, {"true": True, "false": False}.get(value, value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hal.testing.fakes",
        description="Answer as a motor's controller does, with any HAL motor as its mechanics; or "
        "stream as a camera does, with any HAL camera as its sensor.",
        epilog="Example: python -m hal.testing.fakes pi-gcs --motor sim.focus",
    )
    parser.add_argument("protocol", choices=("zaber", "pi-gcs", "gigevision"))
    parser.add_argument("--motor", default="", help="a driver's name, or package.module:Class")
    parser.add_argument("--camera", default="", help="gigevision: the same of a camera")
    parser.add_argument("--option", action="append", default=[], help="of either: NAME=VALUE")
    parser.add_argument("--packet-loss", type=float, default=0.0, help="gigevision: 0 to 1")
    parser.add_argument("--first-block", type=int, default=1, help="gigevision: 1 to 65535")
    parser.add_argument("--serial", default="1", help="gigevision: the camera's number")
    parser.add_argument("--per-step", type=float, help="zaber: a microstep in the motor's unit")
    parser.add_argument("--device", type=int, default=1, help="zaber: the device's address")
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0: a free one")
    parser.add_argument("--pty", action="store_true", help="a pseudo-terminal instead of TCP")
    parser.add_argument("--mood", type=Mood, choices=list(Mood), default=Mood.GOOD)
    parser.add_argument("--after", type=int, default=0, help="requests before the mood sets in")
    parser.add_argument("--delay-s", type=float, default=2.0, help="how late a slow one answers")
    parser.add_argument("--ends-with", choices=("parent", "input"), help="what ends it")
    parser.add_argument("--parent", type=int, help="the process that must have started it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
