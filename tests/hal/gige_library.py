"""A stand-in for `telegenic.Camera`, for what the real protocol can not be made to do at will."""

from dataclasses import dataclass, field
from itertools import count

import telegenic

BIG = 2**63
CLOCK_NS = count(10**9, 10_000_000)


@dataclass
class Node:
    """A feature: `clipped` is what the device makes of a value that it is given."""

    word: str
    value: object
    bounds: tuple = (-BIG, BIG - 1)
    step: int = 1
    entries: tuple = ()
    access: object = None
    clipped: object = None


def some_nodes():
    return {
        "Width": Node("integer", 8, (4, 2048), step=4),
        "Height": Node("integer", 6, (1, 2048)),
        "WidthMax": Node("integer", 32),
        "OffsetX": Node("integer", 0, (0, 2048)),
        "PixelFormat": Node("enum", "Mono8", entries=("Mono8", "Mono12", "RGB8")),
        "ExposureTime": Node("float", 1000.0, (10.0, 1e7)),
        "AcquisitionFrameRate": Node("float", 100.0, (-1.7e308, 1.7e308)),
        "AcquisitionStart": Node("command", None),
        "ReverseX": Node("boolean", False),
        "DeviceUserID": Node("string", "left"),
        "SensorTemperature": Node("float", 30.0, (-50.0, 90.0), access=telegenic.AccessMode.RO),
    }


@dataclass
class Frame:
    frame_id: int
    is_complete: bool = True
    width: int = 8
    height: int = 6
    pixel_format: str = "Mono8"
    timestamp_ns: int = field(default_factory=lambda: next(CLOCK_NS))
    received_size: int = 48
    pixels: bytes = bytes(range(48))

    def data(self):
        return self.pixels


class Acquisition:
    def __init__(self, packet_size):
        self.frames, self.size, self.fails = [], packet_size or 1500, None

    def packet_size(self):
        return self.size

    def try_recv(self):
        return self.frames.pop(0) if self.frames else None

    def stop(self):
        if self.fails:
            raise self.fails


@dataclass
class Info:
    manufacturer: str = "Basler"
    model: str = "a2A"
    serial: str = "40"


class Library:
    """A camera of the library, which is made once and knows how it was asked for."""

    def __init__(self):
        self.nodes, self.connected, self.fails = some_nodes(), False, None
        self.remembered, self.asked_for, self.sizes = {}, {}, []
        self.acquisition, self.info = None, Info()
        self.executed, self.refuses = [], None

    def __call__(self, address, **how):
        self.asked_for = {"address": address, **how}
        return self

    def connect(self):
        if self.fails:
            raise self.fails
        self.connected = True

    def disconnect(self, deadline=0.5):
        self.connected = False

    def is_connected(self):
        return self.connected

    def device_info(self):
        return self.info

    def invalidate_caches(self):
        self.remembered.clear()

    def has_feature(self, name):
        return name in self.nodes

    def access_mode(self, name):
        return self.nodes[name].access or telegenic.AccessMode.RW

    def integer_increment(self, name):
        return self.nodes[name].step

    def execute(self, name):
        if self.fails or self.refuses:
            raise self.fails or self.refuses
        self.executed.append(name)

    def start_acquisition(self, *, n_buffers, packet_size):
        if self.fails:
            raise self.fails
        self.sizes.append(packet_size)
        self.acquisition = Acquisition(packet_size)
        return self.acquisition

    def node(self, name, word):
        if self.fails:
            raise self.fails
        if self.nodes[name].word != word:
            raise telegenic.GenicamError(f"node '{name}' does not support this access")
        return self.nodes[name]

    def get(self, name, word):
        node = self.node(name, word)
        return self.remembered.get(name, node.value)

    def set(self, name, word, value):
        node = self.node(name, word)
        self.remembered[name] = value
        node.value = value if node.clipped is None else node.clipped

    def __getattr__(self, name):
        verb, _, word = name.partition("_")
        if verb == "get":
            return lambda feature: self.get(feature, word)
        if verb == "set":
            return lambda feature, value: self.set(feature, word, value)
        if word == "bounds":
            return lambda feature: self.node(feature, verb).bounds
        if name == "enum_entries":
            return lambda feature: list(self.node(feature, "enum").entries)
        raise AttributeError(name)
