"""Renew the table of steps in scripts.md: `python docs/guide/make_scripts_table.py`.

The table is made from the methods under `registerwithscript`; a test compares it.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path

import magscope
from magscope.processes import ManagerProcessBase
from magscope.scripting import ScriptRegistry

PAGE = Path(__file__).resolve().with_name("scripts.md")
BEGIN, END = "<!-- steps: begin -->\n", "<!-- steps: end -->"


def managers() -> list[type[ManagerProcessBase]]:
    """Return every manager class of the core."""
    for module in pkgutil.iter_modules(magscope.__path__, "magscope."):
        importlib.import_module(module.name)
    found, waiting = [], [ManagerProcessBase]
    while waiting:
        cls = waiting.pop()
        if cls.__module__.startswith("magscope."):
            found.append(cls)
        waiting += cls.__subclasses__()
    return sorted(found, key=lambda cls: len(cls.__mro__))


def table() -> str:
    """Return the table in markdown."""
    registry = ScriptRegistry(managers())
    rows = ["| step | arguments | |", "|---|---|---|"]
    for name in registry.names:
        target = registry.target(name)
        parameters = [p for p in target.signature.parameters.values() if p.name != "self"]
        arguments = ", ".join(
            f"`{p.name}`" if p.default is p.empty else f"`{p.name}={p.default!r}`"
            for p in parameters
        )
        says = (inspect.getdoc(getattr(target.owner, target.method)) or "").partition("\n")[0]
        rows.append(f"| `{name}` | {arguments} | {says} |")
    return "\n".join(rows) + "\n"


def renewed(page: str) -> str:
    """Return the page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
