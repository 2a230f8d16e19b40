"""A device's data stream: the buffers that it fills, and those that are full.

GenTL itself is asked, not the acquirer of `harvesters`, which waits for at least a millisecond
where there is no frame, hides those that are not whole, and takes Ctrl-C from the process.
"""

from contextlib import suppress
from typing import Any

import numpy as np
from genicam import gentl

from hal.drivers.genicam.errors import GENICAM_ERRORS, translated
from hal.errors import UnsupportedError


class Stream:
    """The first data stream of an open device.

    Args:
        device: The GenTL module of the device.
        n_buffers: How many buffers it may fill before one is given back; more, if the producer
            needs more.

    Attributes:
        n_buffers: How many they are.

    Raises:
        UnsupportedError: The device has no data stream.
        DeviceError: It can not be opened.
    """

    def __init__(self, device: Any, n_buffers: int) -> None:
        self._buffers: list[Any] = []
        self._memory: list[np.ndarray] = []
        self._events: Any = None
        self._is_started = False
        with translated("opening the data stream"):
            names = device.data_stream_ids
            if not names:
                raise UnsupportedError("the device has no data stream: it sends no frames")
            self._stream = device.create_data_stream()
            self._stream.open(names[0])
        try:
            with translated("opening the data stream"):
                self._events = gentl.EventManagerNewBuffer(
                    self._stream.register_event(gentl.EVENT_TYPE_LIST.EVENT_NEW_BUFFER)
                )
        except BaseException:
            self.close()
            raise
        self.n_buffers = max(n_buffers, self._least_buffers())

    @property
    def payload_bytes(self) -> int:
        """How large a buffer must be, as the stream says; 0 where the device has to be asked."""
        with suppress(*GENICAM_ERRORS):
            if self._stream.defines_payload_size():
                return int(self._stream.payload_size)
        return 0

    @property
    def n_waiting(self) -> int:
        """How many full buffers wait to be taken; 0 where the producer does not tell."""
        try:
            return int(self._events.num_in_queue)
        except GENICAM_ERRORS:
            return 0

    def start(self, payload_bytes: int) -> None:
        """Let the device fill buffers of this size from now on; it is told to send afterwards."""
        with translated("starting the data stream"):
            for index in range(self.n_buffers):
                memory = bytes(payload_bytes)  # GenTL writes into it
                self._memory.append(np.frombuffer(memory, np.uint8))
                self._buffers.append(self._stream.announce_buffer(gentl.BufferToken(memory, index)))
            for buffer in self._buffers:
                self._stream.queue_buffer(buffer)
            self._stream.start_acquisition(gentl.ACQ_START_FLAGS_LIST.ACQ_START_FLAGS_DEFAULT, -1)
        self._is_started = True

    def take(self) -> Any | None:
        """Return the oldest full buffer, if there is one; `give_back` it.

        Raises:
            DeviceError: The stream has ended; the class says why.
        """
        with translated("fetching a frame"):
            try:
                self._events.update_event_data(0)
            except gentl.TimeoutException:  # there is none
                return None
            return self._events.buffer

    def bytes_of(self, buffer: Any) -> np.ndarray:
        """Return what a full buffer holds, uint8; valid until it is given back."""
        return self._memory[buffer.context]

    def give_back(self, buffer: Any) -> None:
        """Let the device fill a buffer again."""
        with translated("giving a buffer back"):
            self._stream.queue_buffer(buffer)

    def stop(self) -> None:
        """Let the device fill no more buffers, and forget those that are full.

        Raises:
            DeviceError: The stream can not be stopped; the buffers are forgotten all the same.
        """
        was_started, self._is_started = self._is_started, False
        try:
            if was_started:
                with translated("stopping the data stream"):
                    self._stream.stop_acquisition(gentl.ACQ_STOP_FLAGS_LIST.ACQ_STOP_FLAGS_KILL)
        finally:
            with suppress(*GENICAM_ERRORS):
                self._stream.flush_buffer_queue(gentl.ACQ_QUEUE_TYPE_LIST.ACQ_QUEUE_ALL_DISCARD)
            with suppress(*GENICAM_ERRORS):
                self._events.flush_event_queue()
            for buffer in self._buffers:
                with suppress(*GENICAM_ERRORS):
                    self._stream.revoke_buffer(buffer)
            self._buffers.clear()
            self._memory.clear()

    def close(self) -> None:
        """Let go of the stream, as far as it is still there."""
        with suppress(*GENICAM_ERRORS):
            if self._events is not None:
                self._events.unregister_event()
        with suppress(*GENICAM_ERRORS):
            self._stream.close()

    def _least_buffers(self) -> int:
        with suppress(*GENICAM_ERRORS):
            return int(self._stream.buffer_announce_min)
        return 1
