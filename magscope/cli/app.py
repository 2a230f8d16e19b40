"""The commands: those of this package, and those that other packages bring."""

from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from magscope.cli import check, doctor, drivers, run
from magscope.cli.entry import BadInputError

GROUP = "magscope.commands"
DISTRIBUTION = "magscope-rig"


class Commands(TyperGroup):
    """Adds the entry points of the group `magscope.commands`, each loaded when it is needed.

    An entry point is a `typer.Typer` or a function with typer's annotations. Its module is
    imported to list it as well, so it imports what is slow inside its functions.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, ours first."""
        own = super().list_commands(ctx)
        return own + sorted(_foreign().keys() - set(own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by name; None if there is none."""
        command = super().get_command(ctx, cmd_name)
        entry = _foreign().get(cmd_name)
        return _loaded(entry) if command is None and entry is not None else command


def build_app() -> Any:
    """Return the command line as a click command."""
    app = typer.Typer(
        cls=Commands,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_magscope)
    app.command(epilog=run.EXAMPLE)(run.run)
    app.command(epilog=drivers.EXAMPLE)(drivers.drivers)
    app.command(epilog=check.EXAMPLE)(check.check)
    app.command(epilog=doctor.EXAMPLE)(doctor.doctor)
    return typer.main.get_command(app)


def _magscope(
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and leave.",
            is_eager=True,
            callback=lambda asked: _print_version() if asked else None,
        ),
    ] = False,
) -> None:
    """Run a magnetic-tweezers microscope: a real one, a simulated one, or a mix.

    Start with [bold]magscope run[/bold]: with no rig file it needs no hardware.
    """


def _print_version() -> None:
    typer.echo(f"magscope {version(DISTRIBUTION)}")
    raise typer.Exit


def _foreign() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _loaded(entry: EntryPoint) -> Any:
    try:
        target = entry.load()
        if not isinstance(target, typer.Typer):
            app = typer.Typer(add_completion=False)
            app.command(entry.name)(target)
            target = app
        command = typer.main.get_command(target)
    except Exception as error:  # somebody else's module may fail in any way
        return _broken(entry, f"{type(error).__name__}: {error}".replace("\n", " "))
    command.name = entry.name
    return command


def _broken(entry: EntryPoint, reason: str) -> Any:
    app = typer.Typer(add_completion=False)

    @app.command(
        entry.name,
        help=f"Can not be loaded. {reason}",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def complain() -> None:
        raise BadInputError(f"{entry.name} ({entry.value}) can not be loaded: {reason}")

    return typer.main.get_command(app)
