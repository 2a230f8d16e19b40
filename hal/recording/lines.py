"""The lines of a capture: JSON, one object each, and how a device's description is said in them.

The first line is the header: `format`, `version`, `role`, `kind` (`camera`, `linear`, `rotary` or
`focus`), `driver` and `options`. Every other line has `at`: the context's monotonic and Unix time
in ns.

- A call has `call`, `args`, `took_ns`, and one of `answer`; `error`, its class and its text; or
  `frame`, with `number`, `timestamp_ns`, `offset` in the file of frames, and `annotation`, the
  shape of the float64 rows that follow the pixels there, or null.
- A description has `describe`: `identity`, `settings`, and of a motor `axis`, of a camera
  `frame_format`, `queue_frames`, `annotation_name` and `annotation_columns`. It follows whatever
  may have changed it.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from hal.camera import Camera, FrameFormat
from hal.device import Device, Identity, Setting
from hal.motor import Axis, FocusMotor, LinearMotor, Motor, RotaryMotor

FORMAT = "magscope-capture"
VERSION = 1
FIRST_BYTES = b'{"format":"' + FORMAT.encode() + b'"'
CALLS_SUFFIX, FRAMES_SUFFIX = ".capture", ".frames"

_TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_KINDS: dict[str, type[Device]] = {
    "camera": Camera,
    "focus": FocusMotor,
    "linear": LinearMotor,
    "rotary": RotaryMotor,
}


@dataclass(frozen=True)
class Description:
    """What a device said of itself.

    Attributes:
        frame_format: Of a camera; None for a motor.
        axis: Of a motor; None for a camera.
        queue_frames: How many frames the camera kept.
        annotation_name: What the rows that came with its frames are called.
        annotation_columns: Their columns.
    """

    identity: Identity
    settings: tuple[Setting, ...]
    frame_format: FrameFormat | None = None
    axis: Axis | None = None
    queue_frames: int = 1
    annotation_name: str = ""
    annotation_columns: tuple[str, ...] = ()


def kind_of(device: Device) -> str:
    """Return the word for what a device is; empty for one that can not be captured."""
    return next((kind for kind, base in _KINDS.items() if isinstance(device, base)), "")


def line(record: dict[str, Any]) -> bytes:
    """Return a record as one line."""
    return json.dumps(record, separators=(",", ":"), default=_plain).encode() + b"\n"


def described(device: Device) -> dict[str, Any]:
    """Ask an open device for its description, as it is written down.

    Raises:
        DeviceError: It does not answer.
    """
    facts: dict[str, Any] = {
        "identity": asdict(device.identity),
        "settings": [asdict(s) | {"kind": s.kind.__name__} for s in device.settings],
    }
    if isinstance(device, Camera):
        facts |= {
            "frame_format": asdict(device.frame_format),
            "queue_frames": device.queue_frames,
            "annotation_name": device.annotation_name,
            "annotation_columns": list(device.annotation_columns),
        }
    elif isinstance(device, Motor):
        facts["axis"] = asdict(device.axis)
    return facts


def description_of(facts: dict[str, Any]) -> Description:
    """Return a description that was read.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is not what it should be.
    """
    settings = tuple(
        Setting(**(s | {"kind": _TYPES[s["kind"]], "choices": tuple(s["choices"])}))
        for s in facts["settings"]
    )
    identity = Identity(**facts["identity"])
    if "axis" in facts:
        return Description(identity, settings, axis=Axis(**facts["axis"]))
    return Description(
        identity,
        settings,
        FrameFormat(**facts["frame_format"]),
        queue_frames=facts["queue_frames"],
        annotation_name=facts["annotation_name"],
        annotation_columns=tuple(facts["annotation_columns"]),
    )


def _plain(value: Any) -> Any:
    # Numbers of numpy, as drivers return them, have this method; paths and the like do not.
    return value.item() if hasattr(value, "item") else str(value)
