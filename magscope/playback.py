"""The rig file beside a capture, which plays the whole session back."""

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hal.motor import FocusMotor, LinearMotor, RotaryMotor
from magscope.hardware import HardwareManagerBase
from magscope.motors import MotorManager
from magscope.recording.disk import write_new
from magscope.rig.writing import document_to_toml

if TYPE_CHECKING:
    from magscope.scope import MagScope

RIG_FILE, SCRIPT, ZLUT = "rig.toml", "script.py", "zlut.txt"
# A focus motor is a linear one as well: the first that fits counts.
_DRIVERS: tuple[tuple[type, str], ...] = (
    (FocusMotor, "replay.focus"),
    (RotaryMotor, "replay.rotary"),
    (LinearMotor, "replay.motor"),
)


def begin_capture(scope: "MagScope", directory: Path) -> list[str]:
    """Write the rig file that plays the session back, and return what people should know of it.

    What it needs is copied beside it, so that the directory can be carried to another machine.

    Args:
        scope: The system, before its managers are started.
        directory: Where the capture goes; made if it is not there.

    Raises:
        RecordingError: The directory can not be written to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = scope.rig.model_dump(mode="json", exclude_none=True)
    document["seed"] = scope.seed
    left_out = []
    if scope.camera_manager.uses_hal:
        document["camera"] |= {"driver": "replay", "options": {"path": "camera.capture"}}
    else:
        left_out.append("camera")
    for manager in scope.hardware:
        name = manager.name
        driver = _replay_driver(manager)
        if driver and name in document["motors"]:
            document["motors"][name] |= {"driver": driver, "options": {"path": f"{name}.capture"}}
        else:
            left_out.append(name)
    if scope.rig.beads.zlut is not None:
        shutil.copyfile(scope.rig.beads.zlut, directory / ZLUT)
        document["beads"]["zlut"] = ZLUT
    words = ["magscope", "run", RIG_FILE]
    if scope.script_path is not None:
        shutil.copyfile(scope.script_path, directory / SCRIPT)
        words += ["--script", SCRIPT]
    if scope.run_for_s is not None:
        words += ["--for", f"{scope.run_for_s:g}"]
    head = f"# Plays the captured session back, in this directory: {shlex.join(words)}\n\n"
    text = (head + document_to_toml(document)).encode()
    write_new(directory / RIG_FILE, lambda file: file.write(text))
    if not left_out:
        return []
    return [
        f"--capture leaves out {', '.join(left_out)}: only drivers that derive from hal.Camera or "
        f"hal.Motor can be captured; {RIG_FILE} names the other drivers as they are"
    ]


def _replay_driver(manager: HardwareManagerBase) -> str:
    """Return the driver that plays a motor; empty for one that is not captured."""
    if not isinstance(manager, MotorManager):
        return ""
    return next((name for base, name in _DRIVERS if issubclass(manager.driver, base)), "")
