"""`magscope run`: the whole system, until its time is over or somebody ends it."""

import json
import math
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magscope.cli.entry import INTERRUPTED, BadInputError, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from magscope.report import Snapshot

EXAMPLE = (
    "Example: magscope run --for 20 --record out\n\n"
    "Example: magscope run examples/micromanager.toml --script examples/force_ramp.py --json\n\n"
    "Example: magscope run --for 20 --capture cap, and then: magscope run cap/rig.toml --for 20"
)


class StartMethod(StrEnum):
    """How processes come into being."""

    FORK = "fork"
    SPAWN = "spawn"
    FORKSERVER = "forkserver"


def run(
    rig: Annotated[
        Path | None,
        typer.Argument(
            help="Rig file (TOML); without it, a rig that needs no hardware.",
            metavar="RIG.toml",
            show_default=False,
        ),
    ] = None,
    run_for: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", help="End after so many seconds.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Record into this directory, new or empty."),
    ] = None,
    capture: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write every call and frame of every device into this directory, new or empty, "
            "with a rig.toml that plays them back.",
        ),
    ] = None,
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Run this script once the rig is up.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Use this seed, not the rig file's.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the final report as one JSON object.")
    ] = False,
    start_method: Annotated[
        StartMethod | None,
        typer.Option(help="How processes are started; the system's own way if not given."),
    ] = None,
) -> None:
    """Run the microscope until Ctrl-C, or for a time, and say how it went.

    The exit code is 0 only if every process ended cleanly and there was no error.
    """
    _check_duration(run_for)
    _check_script(script)
    with _ctrl_c_leaves_at_once():
        from magscope.rig import load_rig  # noqa: PLC0415, RUF100

        rig_file = load_rig(rig)
        recording = prepare_directory(record)
        captured = prepare_directory(capture, "--capture")
        _choose_start_method(start_method)
        from magscope.scope import MagScope  # noqa: PLC0415, RUF100

        scope = MagScope(rig=rig_file, seed=seed)
        scope.run_for_s, scope.record_dir, scope.script_path = run_for, recording, script
        scope.capture_dir = captured
        code = operate(scope, as_json=as_json)
    raise typer.Exit(code)


@contextmanager
def _ctrl_c_leaves_at_once() -> Iterator[None]:
    """Let Ctrl-C end the program at once, but for the time in which there is a system to end.

    While libraries are loaded an exception would now and then be swallowed, or crash one of them.
    """

    def leave(_number: int, _frame: object) -> None:
        os._exit(INTERRUPTED)

    try:
        before = signal.signal(signal.SIGINT, leave)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def operate(scope: Any, *, as_json: bool = False, console: "Console | None" = None) -> int:
    """Start a `MagScope`, show it, and print its report.

    Args:
        scope: Ready to be started.
        as_json: Print the report as one JSON object on stdout; all else then goes to stderr.
        console: Where the view is drawn; stdout or stderr if None.

    Returns:
        The exit code: 0 if the report is clean, else 1.
    """
    from rich.console import Console  # noqa: PLC0415, RUF100

    from hal.errors import DeviceError  # noqa: PLC0415, RUF100
    from magscope.cli.plain import PlainLines  # noqa: PLC0415, RUF100
    from magscope.cli.summary import print_summary  # noqa: PLC0415, RUF100
    from magscope.cli.view import REFRESH_S, LiveView  # noqa: PLC0415, RUF100
    from magscope.scripting import ScriptError  # noqa: PLC0415, RUF100

    console = console or Console(stderr=as_json, highlight=False, soft_wrap=False)
    view = LiveView(console) if _can_draw(console) else PlainLines(console)
    scope.observe(_until_nobody_reads(view, scope.reconnect), REFRESH_S)
    try:
        with view:
            scope.start()
    except ScriptError as error:
        raise BadInputError(f"--script: {error}") from error
    except (DeviceError, MemoryError, OSError) as error:
        raise RunFailedError(f"the run failed: {type(error).__name__}: {error}") from error
    report = scope.report
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        print_summary(report, console)
    return 0 if report.is_clean else 1


def _until_nobody_reads(
    view: "Callable[[Snapshot], None]", on_enter: "Callable[[], None]"
) -> "Callable[[Snapshot], None]":
    from magscope.cli.keyboard import enter_was_pressed  # noqa: PLC0415, RUF100

    gone = False

    def show(snapshot: "Snapshot") -> None:
        nonlocal gone
        if enter_was_pressed():
            on_enter()
        if gone:
            return
        try:
            view(snapshot)
        except (OSError, SystemExit):
            # The terminal or the reader of our pipe has left. An experiment goes on without it;
            # rich would end the whole process here.
            gone = True

    return show


def prepare_directory(directory: Path | None, option: str = "--record") -> Path | None:
    """Make the directory of an option, and see that it is empty and can be written to.

    Raises:
        BadInputError: It has something in it, or can not be made or written to.
    """
    if directory is None:
        return None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BadInputError(
                f"{option} {directory}: is not empty, and nothing is overwritten; "
                "name a new or an empty directory"
            )
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInputError(
            f"{option} {directory}: can not be written to ({reason}); name another directory"
        ) from None
    return directory.absolute()


def _can_draw(console: "Console") -> bool:
    return console.is_terminal and not console.is_dumb_terminal and _is_utf(console.encoding)


def _is_utf(encoding: str) -> bool:
    return encoding.lower().startswith("utf")


def _check_duration(seconds: float | None) -> None:
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise BadInputError(f"--for {seconds:g}: expected seconds above 0")


def _check_script(path: Path | None) -> None:
    if path is None:
        return
    if not path.is_file():
        raise BadInputError(f"--script {path}: there is no such file")
    if not os.access(path, os.R_OK):
        raise BadInputError(f"--script {path}: can not be read")


def _choose_start_method(method: StartMethod | None) -> None:
    if method is None:
        return
    import multiprocessing  # noqa: PLC0415, RUF100

    if method not in multiprocessing.get_all_start_methods():
        raise BadInputError(f"--start-method {method}: not on {sys.platform}; use spawn")
    multiprocessing.set_start_method(method, force=True)
