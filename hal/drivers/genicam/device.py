"""A device of a GenTL producer: chosen, opened, described, let go of."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from genicam import gentl

with warnings.catch_warnings():  # at import, harvesters changes what the process warns of
    from harvesters.core import RemoteDevice

from hal.drivers.genicam.errors import GENICAM_ERRORS, translated
from hal.drivers.genicam.features import Features
from hal.drivers.genicam.producers import EMULATOR_PATH, Offer, Producer, borrow, give_back
from hal.errors import DisconnectedError, DriverError, OptionError, ProtocolError


class GenicamDevice:
    """An open device and its features.

    Args:
        offer: The device, whose producer was borrowed; `close` gives it back.

    Attributes:
        module: What GenTL calls the device module.
        features: The features of the device itself.
        vendor: Its maker.
        model: Its maker's name for it.
        serial: Its number.
        is_real: Whether it is another than the one that comes with `genicam`.

    Raises:
        BusyError: Somebody else has it.
        DeviceError: It can not be opened, or does not describe itself.
    """

    def __init__(self, offer: Offer) -> None:
        self._producer: Producer | None = offer.producer
        self._node_map: Any = None
        self.vendor = offer.fact("vendor") or "unknown"
        self.model = offer.fact("model") or offer.fact("id_") or "unknown"
        self.serial = offer.fact("serial_number")
        self.is_real = offer.producer.path != EMULATOR_PATH
        self.module = offer.info.create_device()
        try:
            with translated(f"opening {offer}"):
                self.module.open(gentl.DEVICE_ACCESS_FLAGS_LIST.DEVICE_ACCESS_EXCLUSIVE)
                self._node_map = RemoteDevice(module=self.module).node_map
            self.features = _features_of_a_camera(self._node_map, offer)
        except BaseException:
            self.close()
            raise

    @property
    def wraps_ids(self) -> bool:
        """Whether its block ids may have 16 bits, as with GigE Vision."""
        try:
            return str(self.module.tl_type) == "GEV"
        except GENICAM_ERRORS:
            return False

    @property
    def ticks_hz(self) -> int:
        """Ticks a second of its clock, 0 if it does not say."""
        with suppress(*GENICAM_ERRORS):
            return int(self.module.timestamp_frequency)
        if self.features.has("GevTimestampTickFrequency"):
            return int(self.features.read("GevTimestampTickFrequency"))
        return 0

    def close(self) -> None:
        """Let go of it, as far as it is still there."""
        if self._node_map is not None:
            with suppress(*GENICAM_ERRORS):
                self._node_map.disconnect()
            self._node_map = None
        with suppress(*GENICAM_ERRORS):
            self.module.close()
        if self._producer is not None:
            give_back(self._producer)
            self._producer = None


def _features_of_a_camera(node_map: Any, offer: Offer) -> Features:
    features = Features(node_map)
    if not features.has("Width"):
        raise ProtocolError(f"{offer} does not describe itself as a camera: it has no Width")
    return features


def open_device(paths: Sequence[Path], serial: str | None, name: str | None) -> GenicamDevice:
    """Open the one device that the options mean.

    Args:
        paths: The producers to ask.
        serial: Its serial number, where there are several.
        name: Its id, user-defined name, display name or model, where there are several.

    Raises:
        OptionError: Several are meant.
        DisconnectedError: None is there.
        DriverError: No producer can be loaded.
        DeviceError: It can not be opened.
    """
    borrowed: list[Producer] = []
    problems: list[str] = []
    try:
        for path in paths:
            try:
                borrowed.append(borrow(path))
            except DriverError as error:
                problems.append(str(error))
        if not borrowed:
            raise DriverError("; ".join(problems))
        offers: list[Offer] = []
        for producer in borrowed:
            with translated(f"looking for devices of {producer.path.name}"):
                offers += producer.devices()
        offer = _choose(offers, serial, name, [p.path.name for p in borrowed], problems)
        borrow(offer.producer.path)  # for the device, which gives it back
        return GenicamDevice(offer)
    finally:
        for producer in borrowed:
            give_back(producer)


def _choose(
    offers: Sequence[Offer],
    serial: str | None,
    name: str | None,
    asked: Sequence[str],
    problems: Sequence[str],
) -> Offer:
    meant = [
        offer
        for offer in offers
        if serial in (None, offer.fact("serial_number")) and (name is None or name in offer.names)
    ]
    there = "".join(f"\n  {offer}" for offer in offers)
    wanted = ", ".join(
        f"{option} = {value!r}"
        for option, value in (("serial", serial), ("device", name))
        if value is not None
    )
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise OptionError(f"{wanted or 'no serial and no device'}: choose one of{there}")
    if offers:
        raise DisconnectedError(f"no camera with {wanted}; there are{there}")
    also = "".join(f"; {problem}" for problem in problems)
    raise DisconnectedError(
        f"{', '.join(asked)} found no camera: is it switched on and connected?{also}"
    )
