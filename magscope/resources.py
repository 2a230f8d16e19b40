"""What the router hands to every manager before it starts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magscope.flag import PoolFlag
from magscope.runtime import Bell, Endpoint, Event, Value, current
from magscope.utils import AcquisitionMode


class InterprocessValues:
    """What the video processing pool shares.

    Attributes:
        video_process_flag: The `PoolVideoFlag`, as `.value`; see `PoolFlag`.
        video_process_busy_count: How many workers are inside a task, as `.value`.
    """

    def __init__(self) -> None:
        self.video_process_flag = PoolFlag()
        self.video_process_busy_count: Value = current().value("q", 0)


@dataclass
class Resources:
    """What the router hands to a manager before it is started.

    Attributes:
        end: The manager's end of its pipe to the router.
        quitting: Set when the manager quits.
        system_quitting: Set when the router has begun to end the session.
        names: Every manager's name, in the order of the board.
        bells: What wakes the managers that share the video buffer, by their role.
        seed: The session's seed.
        started_ns: Unix time of the session's start.
        nm_per_px: Size of a pixel at the sample.
        record_dir: Where the recording begins; None for none.
        capture_dir: Where the calls of all devices are written down; None for nowhere.
    """

    end: Endpoint
    quitting: Event
    system_quitting: Event
    locks: Mapping[str, Any]
    shared_values: InterprocessValues
    settings: dict[str, Any]
    names: tuple[str, ...]
    camera_type: type | None = None
    hardware_types: dict[str, type] = field(default_factory=dict)
    bells: dict[str, Bell] = field(default_factory=dict)
    seed: int = 0
    started_ns: int = 0
    nm_per_px: float = 1.0
    record_dir: Path | None = None
    capture_dir: Path | None = None
    acquisition_on: bool = True
    acquisition_mode: AcquisitionMode = AcquisitionMode.TRACK
    bead_rois: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
