"""A GigE Vision camera that streams the frames of any HAL camera, over real UDP.

The protocol is spoken by Aravis' camera of software alone. Its port is fixed by the standard, 3956:
one of them an address, and best a network of its own, which is what a test gives it.
"""

import threading
from contextlib import suppress
from typing import Self

import numpy as np

from hal.camera import Camera
from hal.clock import NS_PER_S
from hal.device import SettingValue
from hal.errors import DeviceError, DeviceTimeoutError, OptionError, UnsupportedError
from hal.testing.fakes.aravis import AravisCamera, Register
from hal.testing.fakes.network import interfaces_up

HOST = "127.0.0.1"
# By the code of a pixel format: bits in a pixel, and bits that mean something.
_DEPTHS = {
    0x01080001: (8, 8),  # Mono8
    0x01100003: (16, 10),  # Mono10
    0x01100005: (16, 12),  # Mono12
    0x01100007: (16, 16),  # Mono16
}
_LAST_BLOCK = 0xFFFF
_STARTED, _NOTICED = 1, 2
# While it waits for a frame, the camera answers nothing.
_LONGEST_WAIT_S = 0.2
_LONGEST_START_S = 10.0


class FakeGigeCamera:
    """A GigE Vision camera, as a context manager. Its sensor is a HAL camera.

    The size, frame rate and exposure are at first those of the sensor. A part of the sensor can be
    read out; a frame rate or an exposure is passed on to the sensor, if it has such a setting. What
    the sensor lost is missing in the block ids as well.

    Args:
        sensor: A camera whose frames come at the rate that its setting `framerate_hz` says; without
            that setting, every 0.2 s or more often. It belongs to the fake.
        host: The address of this computer, on whose UDP port 3956 it listens.
        serial: Its number.
        packet_loss: The part of the stream's packets that is lost on the way, 0 to 1.
        first_block: The block id of the first frame after a start, 1 to 65535.

    Attributes:
        address: What a driver takes as its `address`.

    Raises:
        OptionError: An argument is out of its range.
    """

    def __init__(
        self,
        sensor: Camera,
        *,
        host: str = HOST,
        serial: str = "1",
        packet_loss: float = 0.0,
        first_block: int = 1,
    ) -> None:
        if not 0.0 <= packet_loss <= 1.0:
            raise OptionError(f"packet_loss = {packet_loss!r}: expected 0 to 1")
        if not 1 <= first_block <= _LAST_BLOCK:
            raise OptionError(f"first_block = {first_block!r}: expected 1 to {_LAST_BLOCK}")
        self.address = host
        self._sensor = sensor
        self._serial = serial
        self._packet_loss = packet_loss
        self._first_block = first_block
        self._passed_on: dict[str, float] = {}
        self._has_ended = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Open the sensor and begin to answer.

        Raises:
            UnsupportedError: There is another network than the loopback one, from where it would
                be found.
            DriverError: Aravis is not installed, or the port can not be had.
            DeviceError: The sensor can not be opened.
        """
        if outside := interfaces_up() - {"lo"}:
            raise UnsupportedError(
                f"{', '.join(sorted(outside))} would lead others to this camera: start it in a "
                "network of its own, with hal.testing.fakes.network.own_network() or inside of "
                "unshare -rn sh -c 'ip link set lo up; exec \"$@\"' sh COMMAND"
            )
        self._sensor.open()
        form = self._sensor.frame_format
        self._frame = np.zeros(form.shape, form.dtype)
        try:
            self._look_at_one_frame()
            self._camera = AravisCamera(
                self.address, self._serial, self._draw, packet_loss=self._packet_loss
            )
        except BaseException:
            self._sensor.close()
            raise
        height, width = form.shape
        for register, value in (
            (Register.SENSOR_WIDTH, width),
            (Register.SENSOR_HEIGHT, height),
            (Register.WIDTH, width),
            (Register.HEIGHT, height),
        ):
            self._camera[register] = value
        for name in {setting.name for setting in self._sensor.settings} & {*_PASSED_ON}:
            register = _PASSED_ON[name]
            self._camera[register] = round(_in_us(name, self._sensor.get(name)))
            self._passed_on[name] = self._camera[register]

    def wait(self) -> None:
        """Wait until it is closed by another thread.

        Raises:
            DeviceError: The sensor failed.
        """
        self._has_ended.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Answer no more, and close the sensor."""
        self._camera.close()
        self._sensor.close()
        self._has_ended.set()

    def _draw(self, pixels: np.ndarray) -> tuple[int, int]:
        try:
            self._begin_if_started()
            number, timestamp_ns = self._next_frame()
        except BaseException as error:  # whatever it is, it would be lost in the library's thread
            self._failure = error
            self._has_ended.set()
            return self._first_block, 0
        self._read_out(pixels)
        block = (self._first_block - 1 + number) % _LAST_BLOCK + 1
        return block, timestamp_ns

    def _begin_if_started(self) -> None:
        self._pass_on()
        if self._camera[Register.ACQUISITION] == _STARTED:
            self._camera[Register.ACQUISITION] = _NOTICED  # anything but 0 is the same to Aravis
            self._sensor.stop()
            self._sensor.start()

    def _pass_on(self) -> None:
        for name, before in self._passed_on.items():
            value = self._camera[_PASSED_ON[name]]
            if value != before:
                self._passed_on[name] = value
                with suppress(DeviceError):  # a sensor that can not do it goes on as it was
                    self._sensor.set(name, _in_us(name, value))

    def _look_at_one_frame(self) -> None:
        """See that frames come; the first of a process may take long, and hold up those behind."""
        self._sensor.start()
        self._next_frame(_LONGEST_START_S)
        self._sensor.stop()

    def _next_frame(self, longest_s: float = _LONGEST_WAIT_S) -> tuple[int, int]:
        clock = self._sensor.context.clock
        deadline_ns = clock.monotonic_ns() + round(longest_s * NS_PER_S)
        while (info := self._sensor.fetch_into(self._frame)) is None:
            left_s = (deadline_ns - clock.monotonic_ns()) / NS_PER_S
            if left_s <= 0.0:
                raise DeviceTimeoutError(
                    f"the sensor gave no frame for {longest_s:g} s: choose a camera that gives "
                    "them at the rate that it says"
                )
            clock.sleep_s(min(self._sensor.ready_in_s(), left_s))
        return info.frame_number, info.timestamp_ns

    def _read_out(self, pixels: np.ndarray) -> None:
        width, height = self._camera[Register.WIDTH], self._camera[Register.HEIGHT]
        n_bits, n_used = _DEPTHS.get(self._camera[Register.PIXEL_FORMAT], (0, 0))
        if width * height * n_bits != 8 * len(pixels) or not n_bits:
            return  # of another shape than when the stream began, or of colours
        left, top = self._camera[Register.X_OFFSET], self._camera[Register.Y_OFFSET]
        part = self._frame[top : top + height, left : left + width]
        out = pixels.view(f"<u{n_bits // 8}").reshape(height, width)
        shift = n_used - 8 * self._frame.dtype.itemsize
        region = out[: part.shape[0], : part.shape[1]]
        if part.shape != out.shape:
            out[:] = 0
        if shift == 0:
            region[:] = part
        else:
            region[:] = part.astype(out.dtype) << shift if shift > 0 else part >> -shift


_PASSED_ON = {"exposure_us": Register.EXPOSURE_US, "framerate_hz": Register.PERIOD_US}


def _in_us(name: str, value: SettingValue) -> float:
    """Turn the value of a setting into that of its register, or back."""
    return float(value) if name == "exposure_us" else 1e6 / float(value)
