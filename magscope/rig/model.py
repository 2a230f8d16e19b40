"""The rig file's sections and keys, with their types, ranges and defaults."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from magscope.rig.default import completed
from magscope.settings import RULES
from magscope.trackers import BUILT_IN, load_tracker
from magscope.utils import AcquisitionMode

Roi = tuple[int, int, int, int]
Mode = Literal[
    "track", "track-and-crop-video", "track-and-full-video", "crop-video", "full-video", "zlut"
]

_ROI_WIDTH = "bead roi width"
# Its default is that of `beads.roi_px`.
_DEFAULTS = {name: rule.default for name, rule in RULES.items() if name != _ROI_WIDTH}
_RoiWidth = Annotated[int, Field(ge=RULES[_ROI_WIDTH].lower, le=RULES[_ROI_WIDTH].upper)]
_SettingsTable = TypedDict(  # type: ignore[misc]
    "_SettingsTable",
    {
        name: Annotated[rule.kind, Field(ge=rule.lower, le=rule.upper)]
        for name, rule in RULES.items()
    },
    total=False,
)
_SettingsTable.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
    extra="forbid", strict=True
)


class _Section(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )


class CameraEntry(_Section):
    """`[camera]`.

    Attributes:
        driver: A registered driver, or `package.module:Class`.
        options: Keywords of the driver's constructor.
        settings: Set on the open device, in this order.
        reconnect: What is done when the device goes away: `"never"` ends the session, `"ask"` goes
            on without it until somebody asks for it, `"auto"` looks for it again and again.
    """

    driver: str = Field(min_length=1)
    options: dict[str, Any] = {}
    settings: dict[str, bool | int | float | str] = {}
    reconnect: Literal["never", "ask", "auto"] = "never"


class MotorEntry(CameraEntry):
    """`[motors.NAME]`.

    Attributes:
        clip: Whether a target outside the axis is moved to its end instead of being refused.
        on_exit: Whether the motor is stopped at the end or left holding its position.
        telemetry_hz: How often a second its position is written down.
    """

    clip: bool = False
    on_exit: Literal["stop", "hold"] = "stop"
    telemetry_hz: float = Field(default=20.0, gt=0, le=1000)


def _rois(value: Any) -> Literal["auto"] | tuple[Roi, ...]:
    if value == "auto":
        return "auto"
    if not isinstance(value, (list, tuple)):
        raise ValueError('expected "auto" or a list of [x0, x1, y0, y1] in px')  # noqa: TRY004 - pydantic's way
    rois: list[Roi] = []
    for n, roi in enumerate(value):
        whole = isinstance(roi, (list, tuple)) and all(type(edge) is int for edge in roi)
        if not whole or len(roi) != len(get_args(Roi)):
            raise ValueError(f"ROI {n} is {roi!r}: expected [x0, x1, y0, y1], whole px")
        x0, x1, y0, y1 = roi
        if min(x0, y0) < 0 or x1 - x0 != y1 - y0 or x1 <= x0:
            raise ValueError(f"ROI {n} is {list(roi)}: expected a square with x0 < x1 and y0 < y1")
        rois.append((x0, x1, y0, y1))
    if len({x1 - x0 for x0, x1, _, _ in rois}) > 1:
        raise ValueError("the ROIs differ in width: all beads have the same")
    return tuple(rois)


def _existing_file(value: Any, info: ValidationInfo) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, (str, Path)):
        raise ValueError("expected the path of a file")  # noqa: TRY004 - pydantic's way
    rig_file = (info.context or {}).get("path")
    path = (rig_file.parent if rig_file else Path()) / Path(value).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no such file: {path}")
    return path.resolve()


def _tracker(name: str) -> str:
    load_tracker(name)
    return name


class Beads(_Section):
    """`[beads]`.

    Attributes:
        roi_px: Width of each bead's square.
        rois: `"auto"` finds the beads in the first frames; else `(x0, x1, y0, y1)` of each.
        max_beads: As many are found at most.
        zlut: The Z-LUT file that heights are looked up in; its path is relative to the rig file.
        tracker: What finds the beads in the crops: `package.module:function`, called as
            `magscope.tracking.track_crops` is.
    """

    roi_px: _RoiWidth = 64
    rois: Annotated[Literal["auto"] | tuple[Roi, ...], BeforeValidator(_rois)] = "auto"
    max_beads: int = Field(default=50, ge=1, le=10_000)
    zlut: Annotated[Path | None, BeforeValidator(_existing_file)] = None
    tracker: Annotated[str, AfterValidator(_tracker)] = BUILT_IN


class Acquisition(_Section):
    """`[acquisition]`: what is done with frames, and whether from the start."""

    mode: Mode = "track"
    on: bool = True

    @property
    def acquisition_mode(self) -> AcquisitionMode:
        """The mode as managers know it."""
        return AcquisitionMode[self.mode.replace("-", "_").upper()]


class Recording(_Section):
    """`[recording]`: what is recorded besides tracks and video."""

    motors: bool = True
    annotations: bool = True


def _motor_names(motors: dict[str, MotorEntry]) -> dict[str, MotorEntry]:
    for name in motors:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}", name):
            raise ValueError(
                f"a motor is called {name!r}: names begin with a letter and have letters, digits, "
                "'_' and '-', 32 at most"
            )
    return motors


class _Settings:
    """Checks the settings table key by key, and completes it."""

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda given: {**_DEFAULTS, **given}, handler.generate_schema(_SettingsTable)
        )


class RigFile(_Section):
    """A whole rig file; what it does not name is the default rig's.

    `settings["bead roi width"]` and `beads.roi_px` are one width: giving either sets both.

    Attributes:
        seed: All that is drawn at random follows from it.
        nm_per_px: Size of a pixel at the sample.
        settings: The settings table of `MagScope`, complete.
        motors: By name; `magnet_height`, `magnet_rotation` and `focus` have a role.
    """

    seed: int = Field(default=1, ge=0, lt=2**63)
    nm_per_px: float = Field(default=100.0, gt=0)
    settings: Annotated[dict[str, int | float], _Settings()] = Field(
        default_factory=dict, validate_default=True
    )
    camera: CameraEntry
    motors: Annotated[dict[str, MotorEntry], AfterValidator(_motor_names)] = {}
    beads: Beads = Beads()
    acquisition: Acquisition = Acquisition()
    recording: Recording = Recording()
    _path: Path | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Remember the rig file that this was read from, where it was."""
        self._path = (context or {}).get("path")

    @property
    def path(self) -> Path | None:
        """The file that this was read from; None for the default rig."""
        return self._path

    @property
    def directory(self) -> Path | None:
        """Where `module:Class` drivers may stand beside the rig file; see `hal.registry`."""
        return self._path.parent if self._path else None

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, document: Any) -> Any:
        if not isinstance(document, Mapping):
            return document
        return completed(_with_one_roi_width(document))

    @model_validator(mode="after")
    def _check_roi_width(self) -> Self:
        width = self.settings.setdefault(_ROI_WIDTH, self.beads.roi_px)
        if width != self.beads.roi_px:
            raise ValueError(
                f'settings."{_ROI_WIDTH}" = {width} and beads.roi_px = {self.beads.roi_px} are one '
                "width: leave one of them out"
            )
        for x0, x1, _, _ in () if self.beads.rois == "auto" else self.beads.rois:
            if x1 - x0 != width:
                raise ValueError(
                    f"beads.rois are {x1 - x0} px wide, but beads.roi_px = {width}: leave it out"
                )
        return self


def known_keys(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the rig file's table at `path` may have."""
    if path == ("settings",):
        return list(_SettingsTable.__annotations__)
    model = _MODELS.get(path[0], RigFile) if path else RigFile
    return list(model.model_fields)


_MODELS: Mapping[str | int, type[_Section]] = {
    "camera": CameraEntry,
    "motors": MotorEntry,
    "beads": Beads,
    "acquisition": Acquisition,
    "recording": Recording,
}


def _with_one_roi_width(document: Mapping[str, Any]) -> dict[str, Any]:
    settings, beads = document.get("settings", {}), document.get("beads", {})
    if not isinstance(settings, Mapping) or not isinstance(beads, Mapping):
        return dict(document)
    width = beads.get("roi_px", settings.get(_ROI_WIDTH, _width_of(beads.get("rois"))))
    rule = RULES[_ROI_WIDTH]
    if type(width) is not int or not rule.lower <= width <= rule.upper:
        return dict(document)  # absent or wrong: left for its own check to say so
    return {
        **document,
        "settings": {_ROI_WIDTH: width, **settings},
        "beads": {"roi_px": width, **beads},
    }


def _width_of(rois: Any) -> int | None:
    try:
        first = _rois(rois)
    except ValueError:
        return None
    return None if first == "auto" or not first else first[0][1] - first[0][0]
