"""The conformance kit: what every camera and every motor must do, tried out on a driver.

`magscope check DRIVER` runs it; `CameraTests` and `MotorTests` bring it into a pytest of your own.
Each check is written once, in `device_checks`, `camera_checks`, `motor_checks` or `sequences`. Only
the last, which draws calls in any order, needs hypothesis.
"""

from hal.testing.cases import CameraTests, MotorTests
from hal.testing.clock import ManualClock
from hal.testing.report import Outcome, Report, run_checks
from hal.testing.stand import Subject

__all__ = [
    "CameraTests",
    "ManualClock",
    "MotorTests",
    "Outcome",
    "Report",
    "Subject",
    "run_checks",
]
