"""GenTL producers: where they are, and the devices that each of them offers."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import genicam
from genicam import gentl

from hal.drivers.genicam.errors import GENICAM_ERRORS, in_words
from hal.errors import DriverError, OptionError

# The producer inside the wheel of `genicam`: a small game, filmed, with no camera behind it.
EMULATOR = "viky"
EMULATOR_PATH = Path(genicam.__file__).resolve().parent / "viky.cti"
PATH_VARIABLE = "GENICAM_GENTL64_PATH"
_DISCOVERY_MS = 1000


@dataclass
class Producer:
    """A loaded producer. A process can load one, and open its parts, only once.

    Attributes:
        path: Its file.
        library: The producer itself.
        system: The part of it that knows the interfaces.
        interfaces: Those of its interfaces that are open, by id.
        n_users: How many have borrowed it.
    """

    path: Path
    library: Any
    system: Any
    interfaces: dict[str, Any] = field(default_factory=dict)
    n_users: int = 0

    @classmethod
    def load(cls, path: Path) -> "Producer":
        """Load a producer from its file; raises a DriverError if it is none."""
        _look_at(path)
        library = gentl.GenTLProducer.create_producer()
        try:
            library.open(str(path))
            system = library.create_system()
            system.open()
        except GENICAM_ERRORS as error:
            with suppress(*GENICAM_ERRORS):
                library.close()
            raise _refused(path, in_words(error)) from error
        return cls(path, library, system)

    def devices(self) -> Iterator["Offer"]:
        """Look for devices; an interface that can not be opened has none."""
        self.system.update_interface_info_list(_DISCOVERY_MS)
        for info in self.system.interface_info_list:
            with suppress(*GENICAM_ERRORS):
                if info.id_ not in self.interfaces:
                    interface = info.create_interface()
                    interface.open()
                    self.interfaces[info.id_] = interface
                interface = self.interfaces[info.id_]
                interface.update_device_info_list(_DISCOVERY_MS)
                yield from (Offer(self, device) for device in interface.device_info_list)

    def close(self) -> None:
        """Let go of it, as far as it lets."""
        for part in (*self.interfaces.values(), self.system, self.library):
            with suppress(*GENICAM_ERRORS):
                part.close()
        self.interfaces.clear()


@dataclass(frozen=True)
class Offer:
    """A device that a producer offers.

    Attributes:
        producer: Whose it is.
        info: What the producer says of it.
    """

    producer: Producer
    info: Any

    def fact(self, name: str) -> str:
        """Return what the producer says, or nothing where it says nothing."""
        try:
            return str(getattr(self.info, name) or "")
        except GENICAM_ERRORS:
            return ""

    @property
    def names(self) -> set[str]:
        """All that the option `device` may call it."""
        return {self.fact(name) for name in ("id_", "user_defined_name", "display_name", "model")}

    def __str__(self) -> str:
        return (
            f"{self.fact('vendor')} {self.fact('model')}, serial = {self.fact('serial_number')!r}, "
            f"device = {self.fact('id_')!r}"
        )


def _look_at(path: Path) -> None:
    """Refuse a file that is no producer, of which the library would not survive the loading."""
    try:
        found = hasattr(ctypes.CDLL(str(path)), "GCInitLib")
    except OSError as error:
        raise _refused(path, str(error)) from error
    if not found:
        raise _refused(path, "it is a library without GenTL's GCInitLib")


def _refused(path: Path, why: str) -> DriverError:
    return DriverError(
        f"producer {path} can not be loaded; is it a GenTL producer for this kind of machine, and "
        f"is all installed that it needs? {why}"
    )


# A producer can be loaded only once in a process, however many cameras use it.
_LOADED: dict[Path, Producer] = {}


def borrow(path: Path) -> Producer:
    """Load a producer, or share it with those who use it already; `give_back` it.

    Raises:
        DriverError: It can not be loaded.
    """
    if path not in _LOADED:
        _LOADED[path] = Producer.load(path)
    producer = _LOADED[path]
    producer.n_users += 1
    return producer


def give_back(producer: Producer) -> None:
    """Use a producer no more; the last one closes it."""
    producer.n_users -= 1
    if producer.n_users == 0:
        _LOADED.pop(producer.path, None)
        producer.close()


def find_producers(option: str | None, directory: Path | None) -> list[Path]:
    """Return the files of the producers that an option names.

    Args:
        option: A `.cti` file, a folder of them, `"viky"` for the one that comes with `genicam`, or
            None for those in the folders of GENICAM_GENTL64_PATH.
        directory: Where a relative path begins; None for the current directory.

    Raises:
        OptionError: There is none.
    """
    if option == EMULATOR:
        return [EMULATOR_PATH]
    if option is not None:
        path = (directory or Path()) / Path(option).expanduser()
        found = sorted(path.glob("*.cti")) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            what = "no .cti file in this folder" if path.is_dir() else "no such file"
            raise OptionError(
                f"producer = {option!r}: {what} ({path.absolute()}); give the .cti file of your "
                f'camera\'s maker, or "{EMULATOR}" to try without a camera'
            )
        return [each.resolve() for each in found]
    folders = [Path(each) for each in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if each]
    found = [each.resolve() for folder in folders for each in sorted(folder.glob("*.cti"))]
    if not found:
        searched = ", ".join(map(str, folders)) or "nothing, as it is not set"
        raise OptionError(
            f"no GenTL producer (.cti file) found; searched the folders of {PATH_VARIABLE}: "
            f"{searched}. Install that of your camera's maker, or give the option producer: its "
            f'path, or "{EMULATOR}" to try without a camera'
        )
    return list(dict.fromkeys(found))
