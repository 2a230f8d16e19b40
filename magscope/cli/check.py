"""`magscope check`: whether a driver does what every driver must do."""

import faulthandler
import json
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magscope.cli.entry import BadInputError

if TYPE_CHECKING:
    from hal.testing import Outcome, Report

EXAMPLE = "Example: magscope check custom_camera:MyCamera --option framerate_hz=200"

_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "bold red"), "not applicable": ("·", "dim")}
_MOST_CALLS = 40


def check(
    driver: Annotated[
        str, typer.Argument(help="A name that `magscope drivers` lists, or module:Class.")
    ],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of the driver."),
    ] = None,
    leave: Annotated[
        list[str] | None,
        typer.Option("--leave", metavar="SETTING", help="A setting that is not to be written."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="How long calls in any order may be tried; 20 where time has to pass.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check that a driver does what every driver must do.

    The device is really used: a camera is set and started, a motor moves over its axis. Options
    such as limits keep it where it is safe. The exit code is 0 only if no check failed.
    """
    from hal.registry import make_importable  # noqa: PLC0415, RUF100
    from hal.testing import run_checks  # noqa: PLC0415, RUF100
    from hal.testing.catalogue import need_hypothesis  # noqa: PLC0415, RUF100
    from magscope.conformance import subject_of  # noqa: PLC0415, RUF100

    if sys.__stderr__ is not None and not faulthandler.is_enabled():
        faulthandler.enable(sys.__stderr__)  # a vendor's library may end the process: show where
    make_importable(Path.cwd())
    options = dict(_option(words) for words in option or ())
    subject = subject_of(driver, options, seconds=seconds, leave_alone=frozenset(leave or ()))
    need_hypothesis()
    with _no_folder_left_behind():
        report = run_checks(subject)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _print(report)
    raise typer.Exit(0 if report.ok else 1)


@contextmanager
def _no_folder_left_behind() -> Iterator[None]:
    """Let hypothesis keep what it notes elsewhere than in the present directory."""
    from hypothesis.configuration import set_hypothesis_home_dir  # noqa: PLC0415, RUF100

    with tempfile.TemporaryDirectory() as scratch:
        set_hypothesis_home_dir(scratch)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)


def _option(words: str) -> tuple[str, Any]:
    """Read `name=value` as a rig file would; what is no TOML value is text."""
    name, equals, text = words.partition("=")
    if not (equals and name):
        raise BadInputError(f"--option {words}: expected NAME=VALUE, as framerate_hz=200")
    try:
        return name, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return name, text


def _print(report: "Report") -> None:
    from rich.console import Console  # noqa: PLC0415, RUF100
    from rich.text import Text  # noqa: PLC0415, RUF100

    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"{report.driver}: a {report.kind}, on the {report.clock} clock\n"))
    for outcome in report.outcomes:
        mark, style = _MARKS[outcome.state]
        said = outcome.reason if outcome.state == "not applicable" else outcome.says
        console.print(Text.assemble((mark, style), f"  {outcome.name:34}  ", (said, "dim")))
        if outcome.state == "failed":
            console.print(Text(_failure(outcome)))
    counts = f"{report.count('passed')} passed, {report.count('failed')} failed, "
    console.print(
        Text(
            f"\n{counts}{report.count('not applicable')} not applicable, "
            f"in {sum(outcome.seconds for outcome in report.outcomes):.1f} s",
            "bold green" if report.ok else "bold red",
        )
    )


def _failure(outcome: "Outcome") -> str:
    calls = list(outcome.calls)
    if len(calls) > _MOST_CALLS:
        calls = [f"({len(calls) - _MOST_CALLS} calls before)", *calls[-_MOST_CALLS:]]
    lines = [f"expected  {outcome.expected}", f"got       {outcome.got}"]
    heading = "calls     "
    for call in calls:
        lines.append(heading + call)
        heading = " " * len(heading)
    return "\n".join("     " + line for line in lines)
