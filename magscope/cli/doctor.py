"""`magscope doctor`: whether this machine has what a rig needs."""

import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: magscope doctor --sweep"

DISTRIBUTION = "magscope-rig"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
ENOUGH_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: `versions`, `drivers`, `sessions`, `memory` or `system`.
        name: What was looked at.
        value: What was found.
        state: `ok`, `note` (nothing is wrong, but worth knowing) or `wrong`.
        remedy: What to do about it.
    """

    topic: str
    name: str
    value: str
    state: str = "ok"
    remedy: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Remove what sessions that died left behind.")
    ] = False,
) -> None:
    """Check versions, drivers, shared memory and what dead sessions left behind.

    The exit code is 1 when something is wrong.
    """
    findings = list(examine(sweep=sweep))
    wrong = any(finding.state == "wrong" for finding in findings)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        typer.echo(json.dumps({"ok": not wrong, "findings": listed}, indent=2))
    else:
        _print(findings)
    raise typer.Exit(1 if wrong else 0)


def examine(*, sweep: bool = False) -> Iterator[Finding]:
    """Yield all that was found, a topic at a time; with `sweep`, leftovers are removed."""
    yield from _versions()
    yield from _drivers()
    yield from _leftovers(sweep=sweep)
    yield from _memory()
    yield from _system()


def _versions() -> Iterator[Finding]:
    yield Finding("versions", "python", f"{platform.python_version()}, {sys.executable}")
    for name in (DISTRIBUTION, *_required()):
        try:
            yield Finding("versions", name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding("versions", name, "not installed", "wrong", f"pip install {name}")


def _required() -> list[str]:
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    ours = (line for line in lines if "extra ==" not in line)
    return sorted((_name(line) for line in ours), key=str.lower)


def _name(requirement: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else " " for c in requirement).split()[0]


def _drivers() -> Iterator[Finding]:
    from hal.errors import DriverError, MissingExtraError  # noqa: PLC0415, RUF100
    from hal.registry import available_drivers, load_driver  # noqa: PLC0415, RUF100

    for entry in available_drivers():
        if not entry.problem:
            yield Finding("drivers", entry.name, entry.kind)
            continue
        try:
            load_driver(entry.name)
        except MissingExtraError as error:
            yield Finding("drivers", entry.name, "not installed", "note", str(error))
        except DriverError as error:
            yield Finding("drivers", entry.name, "broken", "wrong", str(error))


def _leftovers(*, sweep: bool) -> Iterator[Finding]:
    from magscope.runtime import os_session  # noqa: PLC0415, RUF100

    names = os_session.sweep() if sweep else os_session.leftovers()
    if not names:
        yield Finding("sessions", "left by dead sessions", "nothing")
    elif sweep:
        yield Finding("sessions", "left by dead sessions", f"{len(names)} removed")
    else:
        value = f"{len(names)}: {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"
        yield Finding(
            "sessions", "left by dead sessions", value, "wrong", "magscope doctor --sweep"
        )


def _memory() -> Iterator[Finding]:
    if not SHARED_MEMORY.is_dir():
        return
    usage = shutil.disk_usage(SHARED_MEMORY)
    value = f"{usage.free / 2**20:.0f} MB free of {usage.total / 2**20:.0f} MB"
    if usage.free < ENOUGH_BYTES:
        remedy = f"mount -o remount,size=1G {SHARED_MEMORY}, or docker run --shm-size=1g"
        yield Finding("memory", str(SHARED_MEMORY), value, "wrong", remedy)
    else:
        yield Finding("memory", str(SHARED_MEMORY), value)


def _system() -> Iterator[Finding]:
    yield Finding("system", "system", platform.platform())
    yield Finding("system", "cores", str(os.cpu_count()))
    methods = "spawn, fork, forkserver" if hasattr(os, "fork") else "spawn"
    yield Finding("system", "start methods", methods)
    if sys.stdout.isatty():
        size = shutil.get_terminal_size()
        value = f"{os.environ.get('TERM', '?')}, {size.columns} x {size.lines}"
    else:
        value = "none: plain lines are printed"
    yield Finding("system", "terminal", value)
    encoding = sys.stdout.encoding or "?"
    if encoding.lower().startswith("utf"):
        yield Finding("system", "encoding", encoding)
    else:
        yield Finding("system", "encoding", encoding, "note", "set PYTHONUTF8=1 to see µ and ●")


def _print(findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415, RUF100
    from rich.table import Table  # noqa: PLC0415, RUF100
    from rich.text import Text  # noqa: PLC0415, RUF100

    marks = {"ok": ("✓", "green"), "note": ("·", "yellow"), "wrong": ("✗", "bold red")}
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    topic = ""
    for finding in findings:
        if topic and finding.topic != topic:
            table.add_row()
        said = Text(finding.value)
        if finding.remedy:
            said.append(f"  {finding.remedy}", marks[finding.state][1])
        shown = "" if finding.topic == topic else finding.topic
        table.add_row(shown, Text(*marks[finding.state]), finding.name, said)
        topic = finding.topic
    console = Console(highlight=False)
    console.print(table)
    wrong = sum(finding.state == "wrong" for finding in findings)
    if wrong:
        console.print(f"\n{wrong} thing{'s' if wrong > 1 else ''} wrong", style="bold red")
    else:
        console.print("\nall is well", style="green")
