"""All checks, by the kind of device; only to run the last of each takes hypothesis."""

from hal.errors import MissingExtraError
from hal.testing.camera_checks import CAMERA_CHECKS
from hal.testing.checks import Check, named
from hal.testing.device_checks import DEVICE_CHECKS
from hal.testing.motor_checks import MOTOR_CHECKS
from hal.testing.stand import Subject


def need_hypothesis() -> None:
    """Raise `MissingExtraError`, with what to do, if hypothesis is not installed."""
    try:
        import hypothesis  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "sequences of calls need 'hypothesis', not installed: pip install hypothesis"
        ) from error


def does_so_in_any_order(subject: Subject) -> None:
    """Calls drawn in any order do what a model of the device says."""
    need_hypothesis()
    from hal.testing.sequences import search_camera, search_motor

    (search_camera if subject.kind == "camera" else search_motor)(subject)


_IN_ANY_ORDER = named(does_so_in_any_order, does_so_in_any_order)

CHECKS: dict[str, tuple[Check, ...]] = {
    "camera": (*DEVICE_CHECKS, *CAMERA_CHECKS, _IN_ANY_ORDER),
    "motor": (*DEVICE_CHECKS, *MOTOR_CHECKS, _IN_ANY_ORDER),
    "device": DEVICE_CHECKS,
}
