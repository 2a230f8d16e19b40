"""`magscope drivers`: what a rig file can name."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

EXAMPLE = "Example: magscope drivers --json"


def drivers(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    as_table: Annotated[
        bool,
        typer.Option("--table", help="Print in markdown what each is for and was tried on."),
    ] = False,
) -> None:
    """List the drivers that a rig file can name, and why one can not be used."""
    from hal.registry import available_drivers  # noqa: PLC0415, RUF100
    from hal.support import table as support_table  # noqa: PLC0415, RUF100

    entries = available_drivers()
    if as_table:
        typer.echo(support_table({entry.name: entry.support for entry in entries}), nl=False)
        return
    if as_json:
        typer.echo(json.dumps({"drivers": [asdict(entry) for entry in entries]}, indent=2))
        return
    from rich.console import Console  # noqa: PLC0415, RUF100
    from rich.table import Table  # noqa: PLC0415, RUF100
    from rich.text import Text  # noqa: PLC0415, RUF100

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for heading in ("driver", "kind", ""):
        table.add_column(heading, no_wrap=heading != "")
    for entry in entries:
        said = Text(entry.problem, "yellow") if entry.problem else Text(entry.summary)
        table.add_row(Text(entry.name, "cyan"), entry.kind or "?", said)
    console = Console(highlight=False)
    console.print(table)
    console.print('\nA class of your own: driver = "package.module:Class"', style="dim")
