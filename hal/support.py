"""What a driver says of itself: the devices that it is for, what it needs, what it was tried on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Tried = Literal["hardware", "emulator", "nothing", "no device"]

_WORDS = {
    "hardware": "hardware: {}",
    "emulator": "an emulator: {}",
    "nothing": "nothing yet",
    "no device": "has no device behind it",
}


@dataclass(frozen=True)
class Support:
    """Stands in a driver's class as `support`; what is listed and documented is made from it.

    Attributes:
        devices: The devices that it is for, in a few words.
        tried: `hardware`; `emulator`, which is anything that answers in a device's place; `nothing`
            if it was only written; `no device` if there is none, as where frames come from a file.
        on: Which hardware or which emulator.
        library: The library that it needs, as it is named where it is installed from; empty if it
            needs none.
        extra: The extra that installs the library.

    Raises:
        ValueError: It does not say what it was tried on, or what it was tried on without saying so.
    """

    devices: str
    tried: Tried
    on: str = ""
    library: str = ""
    extra: str = ""

    def __post_init__(self) -> None:
        if self.tried not in get_args(Tried):
            raise ValueError(f"tried = {self.tried!r}: choose one of {', '.join(get_args(Tried))}")
        if bool(self.on) != (self.tried in ("hardware", "emulator")):
            raise ValueError(
                f"tried = {self.tried!r} and on = {self.on!r}: say on which hardware or emulator, "
                "and nothing where there was none"
            )

    @property
    def tried_on(self) -> str:
        """What it was tried on, in words."""
        return _WORDS[self.tried].format(self.on)


def table(drivers: Mapping[str, Support | None]) -> str:
    """Return a table in markdown: drivers that say the same stand in one line.

    Args:
        drivers: What each driver says of itself, by its name; None where it says nothing.
    """
    names: dict[Support | None, list[str]] = {}
    for name, support in drivers.items():
        names.setdefault(support, []).append(f"`{name}`")
    rows = ["| driver | devices | library | tried on |", "|---|---|---|---|"]
    for support, same in names.items():
        cells = ["does not say", "", ""] if support is None else _cells(support)
        rows.append("| " + " | ".join([", ".join(same), *cells]) + " |")
    return "\n".join(rows) + "\n"


def _cells(support: Support) -> list[str]:
    library = support.library or "none"
    if support.extra:
        library += f": `pip install '.[{support.extra}]'`"
    return [cell.replace("|", "\\|") for cell in (support.devices, library, support.tried_on)]
