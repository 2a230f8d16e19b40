"""Renew the table of drivers in drivers.md: `python docs/guide/make_drivers_table.py`.

The table is made from what our drivers say of themselves in `support`; a test compares it.
"""

from pathlib import Path

from hal.registry import available_drivers
from hal.support import Support, table

PAGE = Path(__file__).resolve().with_name("drivers.md")
BEGIN, END = "<!-- drivers: begin -->\n", "<!-- drivers: end -->"
OURS = ("hal.", "sim.")


def drivers() -> dict[str, Support]:
    """Return what each driver of ours says of itself, by its name."""
    found = {}
    for entry in available_drivers():
        if entry.target.startswith(OURS):
            if entry.support is None:
                reason = entry.problem or "its class has no `support`: see hal/support.py"
                raise SystemExit(f"driver {entry.name!r}: {reason}")
            found[entry.name] = entry.support
    return found


def text() -> str:
    """Return the table in markdown, and whether anything was tried on hardware."""
    ours = drivers()
    tried = [name for name, support in ours.items() if support.tried == "hardware"]
    if tried:
        said = f"Tried on hardware: {', '.join(tried)}; none of the others."
    else:
        said = "None of them has been tried on hardware yet."
    return f"{table(ours)}\n{said}\n"


def renewed(page: str) -> str:
    """Return the page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + text() + END + after


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
