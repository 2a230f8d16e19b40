"""A camera as GenICam describes one, and the buffers that it fills, for what viky can not do."""

from collections import deque
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from genicam import genapi, gentl

from hal.drivers.genicam.features import Features
from hal.registry import create


def _node(kind: str, name: str, *properties: str) -> str:
    return f'<{kind} Name="{name}">{"".join(properties)}</{kind}>'


def _integer(name: str, value: int, low: int, high: int, step: int = 1) -> str:
    limits = f"<Value>{value}</Value><Min>{low}</Min><Max>{high}</Max><Inc>{step}</Inc>"
    return _node("Integer", name, limits)


def _float(name: str, value: float, low: float, high: float, unit: str, locked: str = "") -> str:
    lock = f"<pIsLocked>{locked}</pIsLocked>" if locked else ""
    limits = f"<Value>{value}</Value><Min>{low}</Min><Max>{high}</Max><Unit>{unit}</Unit>"
    return _node("Float", name, lock, limits)


def _enumeration(name: str, value: int, **entries: int) -> str:
    listed = "".join(
        f'<EnumEntry Name="{entry}"><Value>{number}</Value></EnumEntry>'
        for entry, number in entries.items()
    )
    return _node("Enumeration", name, listed, f"<Value>{value}</Value>")


def _command(name: str) -> str:
    return _node("Command", name, f"<pValue>{name}Value</pValue><CommandValue>1</CommandValue>")


FORMATS = {"Mono12p": 17563719, "Mono12": 17825797, "Mono8": 17301505, "BayerRG8": 17301513}
_FEATURES = [
    _node(
        "Integer",
        "Width",
        "<Value>1280</Value><Min>64</Min><pMax>WidthMax</pMax><Inc>16</Inc>",
    ),
    _node(
        "IntSwissKnife",
        "WidthMax",
        '<pVariable Name="X">OffsetX</pVariable><Formula>1280 - X</Formula>',
    ),
    _integer("Height", 1024, 2, 1024, 2),
    _integer("OffsetX", 0, 0, 1216, 16),
    _integer("OffsetY", 0, 0, 1022, 2),
    _integer("PayloadSize", 1966080, 0, 10**9),
    _enumeration("PixelFormat", FORMATS["BayerRG8"], **FORMATS),
    _float("ExposureTime", 5000.0, 10.0, 1e6, "us"),
    _float("Gain", 0.0, 0.0, 24.0, "dB"),
    _float("AcquisitionFrameRate", 30.0, 1.0, 500.0, "Hz", locked="FrameRateLock"),
    _node("Boolean", "AcquisitionFrameRateEnable", "<pValue>FrameRateSwitch</pValue>"),
    _integer("FrameRateSwitch", 0, 0, 1),
    _node(
        "IntSwissKnife",
        "FrameRateLock",
        '<pVariable Name="ON">FrameRateSwitch</pVariable><Formula>ON = 0</Formula>',
    ),
    _enumeration("AcquisitionMode", 1, SingleFrame=0, Continuous=1),
    _enumeration("TriggerMode", 0, Off=0, On=1),
    _command("AcquisitionStart"),
    _command("AcquisitionStop"),
    _integer("AcquisitionStartValue", 0, 0, 1),
    _integer("AcquisitionStopValue", 0, 0, 1),
    _integer("Unlimited", 7, -(2**63), 2**63 - 1),
]
DESCRIPTION = """<?xml version="1.0" encoding="utf-8"?>
<RegisterDescription ModelName="Fake" VendorName="Lab" ToolTip="" StandardNameSpace="None"
  SchemaMajorVersion="1" SchemaMinorVersion="1" SchemaSubMinorVersion="0" MajorVersion="1"
  MinorVersion="0" SubMinorVersion="0"
  ProductGuid="11111111-2222-3333-4444-555555555555"
  VersionGuid="11111111-2222-3333-4444-555555555556"
  xmlns="http://www.genicam.org/GenApi/Version_1_1"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
{}
</RegisterDescription>"""


def node_map(nodes: str = "".join(_FEATURES)) -> Any:
    """Return what a camera describes of itself, which GenApi itself looks after."""
    made = genapi.NodeMap()
    made.load_xml_from_string(DESCRIPTION.format(nodes))
    return made


class Buffer:
    """A full buffer of which the producer tells what is given, and no more."""

    def __init__(self, pixels: np.ndarray | bytes, *, is_whole: bool = True, **told: Any) -> None:
        self.data = np.frombuffer(
            pixels if isinstance(pixels, bytes) else pixels.tobytes(), np.uint8
        )
        self.is_whole = is_whole
        self.told = told

    def is_complete(self) -> bool:
        return self.is_whole

    def __getattr__(self, name: str) -> Any:
        if name not in self.told:
            raise gentl.NotAvailableException(name)
        if isinstance(self.told[name], Exception):
            raise self.told[name]
        return self.told[name]


class Stream:
    """A stream whose buffers a test fills."""

    payload_bytes = 0

    def __init__(self, _module: Any, n_buffers: int) -> None:
        self.n_buffers = n_buffers
        self.full: deque[Buffer | Exception] = deque()
        self.given_back: list[Buffer] = []
        self.is_started = False

    @property
    def n_waiting(self) -> int:
        return len(self.full)

    def start(self, payload_bytes: int) -> None:
        self.is_started = True
        self.payload_bytes = payload_bytes

    def take(self) -> Buffer | None:
        return self.full.popleft() if self.full else None

    def bytes_of(self, buffer: Buffer) -> np.ndarray:
        return buffer.data

    def give_back(self, buffer: Buffer) -> None:
        self.given_back.append(buffer)

    def stop(self) -> None:
        self.is_started = False
        self.full.clear()

    def close(self) -> None:
        self.full.clear()


class Device:
    """An open device with the features of the fake camera."""

    vendor, model, serial, is_real = "Lab", "Fake", "F1", True
    module = None

    def __init__(self, *, wraps_ids: bool = False, ticks_hz: int = 0) -> None:
        self.features = Features(node_map())
        self.wraps_ids, self.ticks_hz = wraps_ids, ticks_hz

    def close(self) -> None:
        """Nothing is to be let go of."""


def take_one_frame(answer: Connection, options: dict[str, Any]) -> None:
    """Open a camera, take a frame, and send its number, shape and mean; for a process."""
    with create("genicam", options) as camera:
        out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)
        camera.start()
        while (info := camera.fetch_into(out)) is None:
            camera.context.clock.sleep_s(0.001)
        answer.send((info.frame_number, out.shape, float(out.mean())))
