"""The link to a camera over which it is controlled: how it is made, and when it counts as lost."""

from ipaddress import AddressValueError, IPv4Address

import telegenic

from hal.drivers.gigevision.errors import translated
from hal.errors import DeviceError, DeviceTimeoutError, DisconnectedError, OptionError

_TRIES = 3


def connect(address: str, *, timeout_s: float, local_address: str | None) -> telegenic.Camera:
    """Connect to a camera, take control, and stop it if it was left running.

    Args:
        address: The camera's.
        timeout_s: How long it may take to answer, in s. Within that time a camera that is gone is
            noticed, also when nothing is asked of it.
        local_address: The address of this computer's own interface; None where there is one only.

    Raises:
        DeviceTimeoutError: Nobody answers at the address.
        BusyError: Another program has control of the camera.
        DeviceError: It can not be connected to; the class says why.
    """
    # The library looks whether the camera is there at a third of the time that the heartbeat has,
    # and asks three times: a half of the time-out for each.
    camera = telegenic.Camera(
        address,
        gvcp_timeout=timeout_s / (2 * _TRIES),
        retries=_TRIES - 1,
        heartbeat_timeout=1.5 * timeout_s,
        local_ip=local_address,
    )
    with translated(
        f"connecting to the camera at {address}; look at its address, cable and power, and whether "
        "another program has it"
    ):
        camera.connect()
    try:
        _stop_what_runs(camera, address)
    except BaseException:
        camera.disconnect(deadline=timeout_s)
        raise
    return camera


def checked_address(name: str, address: str) -> str:
    """Return an option that is the IPv4 address of one host.

    Raises:
        OptionError: It is none, or that of many.
    """
    try:
        parsed = IPv4Address(address)
    except AddressValueError:
        raise OptionError(
            f"{name} = {address!r}: expected an IPv4 address, as 192.168.0.30"
        ) from None
    if parsed.is_multicast or parsed.is_unspecified or parsed == IPv4Address("255.255.255.255"):
        raise OptionError(f"{name} = {address!r}: expected the address of one camera")
    return str(parsed)


def _stop_what_runs(camera: telegenic.Camera, address: str) -> None:
    """A program that died, or lost its link, may have left it sending to nobody."""
    try:
        with translated(f"stopping the camera at {address}"):
            camera.execute("AcquisitionStop")
    except (DeviceTimeoutError, DisconnectedError):
        raise
    except DeviceError:
        return  # there are cameras that refuse it when they stand
