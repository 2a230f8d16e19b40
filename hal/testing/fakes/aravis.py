"""What is called of Aravis, the library whose camera of software alone speaks GigE Vision.

It is a package of the operating system: `apt-get install libaravis-0.8-0`.
"""

import ctypes
import socket
from collections.abc import Callable
from enum import IntEnum

import numpy as np

from hal.errors import DriverError

PORT = 3956
_LIBRARY = "libaravis-0.8.so.0"
_OBJECTS = "libgobject-2.0.so.0"

_Fill = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32
)


class Register(IntEnum):
    """Where the camera keeps its state, four bytes each."""

    WIDTH = 0x100
    HEIGHT = 0x104
    SENSOR_HEIGHT = 0x118
    SENSOR_WIDTH = 0x11C
    EXPOSURE_US = 0x120
    ACQUISITION = 0x124
    PIXEL_FORMAT = 0x128
    X_OFFSET = 0x130
    Y_OFFSET = 0x134
    PERIOD_US = 0x138


def load_aravis() -> ctypes.CDLL:
    """Return the library.

    Raises:
        DriverError: It is not installed.
    """
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise DriverError(f"{error}; install it: apt-get install libaravis-0.8-0") from None
    address, number = ctypes.c_void_p, ctypes.c_uint32
    for name, result, arguments in (
        ("arv_gv_fake_camera_new", address, [ctypes.c_char_p, ctypes.c_char_p]),
        ("arv_gv_fake_camera_is_running", ctypes.c_int, [address]),
        ("arv_gv_fake_camera_get_fake_camera", address, [address]),
        ("arv_fake_camera_set_fill_pattern", None, [address, _Fill, address]),
        ("arv_fake_camera_read_register", ctypes.c_int, [address, number, address]),
        ("arv_fake_camera_write_register", ctypes.c_int, [address, number, number]),
        ("arv_fake_camera_get_payload", ctypes.c_size_t, [address]),
        ("arv_buffer_get_data", address, [address, address]),
        ("arv_buffer_set_frame_id", None, [address, ctypes.c_uint64]),
        ("arv_buffer_set_timestamp", None, [address, ctypes.c_uint64]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class AravisCamera:
    """Aravis' camera of software alone, on UDP port 3956 of an address of this computer.

    Args:
        address: The address.
        serial: The number by which the camera calls itself.
        draw: Called by a thread of the library for each frame with its pixels, `(n,)` uint8, to be
            filled; returns the frame's block id and its timestamp in ns.
        packet_loss: The part of the stream's packets that is lost, 0 to 1.

    Raises:
        DriverError: The library is not installed, or the port can not be had.
    """

    def __init__(
        self,
        address: str,
        serial: str,
        draw: Callable[[np.ndarray], tuple[int, int]],
        *,
        packet_loss: float = 0.0,
    ) -> None:
        self._library = load_aravis()
        self._objects = ctypes.CDLL(_OBJECTS)
        self._draw = draw
        _see_that_port_is_free(address)
        self._camera = self._library.arv_gv_fake_camera_new(address.encode(), serial.encode())
        if not (self._camera and self._library.arv_gv_fake_camera_is_running(self._camera)):
            raise DriverError(f"{address}: Aravis' camera does not start at this address")
        self._memory = self._library.arv_gv_fake_camera_get_fake_camera(self._camera)
        set_property = self._objects.g_object_set
        set_property.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double, ctypes.c_void_p]
        set_property(self._camera, b"gvsp-lost-ratio", packet_loss, None)
        self._fill = _Fill(self._filled)  # must live as long as the camera
        self._library.arv_fake_camera_set_fill_pattern(self._memory, self._fill, None)

    def __getitem__(self, register: Register) -> int:
        value = ctypes.c_uint32()
        self._library.arv_fake_camera_read_register(self._memory, register, ctypes.byref(value))
        return value.value

    def __setitem__(self, register: Register, value: int) -> None:
        self._library.arv_fake_camera_write_register(self._memory, register, value)

    def close(self) -> None:
        """End the camera."""
        self._objects.g_object_unref.argtypes = [ctypes.c_void_p]
        self._objects.g_object_unref(self._camera)

    def _filled(self, buffer: int, _data: int, _exposure: int, _gain: int, _format: int) -> None:
        size = self._library.arv_fake_camera_get_payload(self._memory)
        start = self._library.arv_buffer_get_data(buffer, None)
        pixels = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(start))
        block_id, timestamp_ns = self._draw(pixels)
        self._library.arv_buffer_set_frame_id(buffer, block_id)
        self._library.arv_buffer_set_timestamp(buffer, timestamp_ns)


def _see_that_port_is_free(address: str) -> None:
    # The library would share it with another camera, and the two would answer by turns.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, PORT))
        except OSError as error:
            raise DriverError(
                f"UDP port {PORT} of {address} can not be had: {error}; end the other camera there"
            ) from None
