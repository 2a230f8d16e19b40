"""From the arguments to an exit code: 0 success, 1 a failed run, 2 bad input, 130 interrupted."""

import os
import sys
from collections.abc import Sequence

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130
DEBUG = "MAGSCOPE_DEBUG"


class BadInputError(ValueError):
    """What was asked for can not be done; the message is one line that says what to do."""


class RunFailedError(RuntimeError):
    """The system could not be started or broke down; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Whatever goes wrong is one line on stderr (one for each problem of a rig file). With
    `MAGSCOPE_DEBUG=1` in the environment an unexpected error shows its traceback.

    Args:
        arguments: The words after `magscope`; those of this process if None.
    """
    from magscope.cli.app import build_app  # noqa: PLC0415, RUF100

    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without µ or ● gets a ? for it
            stream.reconfigure(errors="replace")
    try:
        code = build_app().main(words or ["--help"], prog_name="magscope", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who read our output has left; nothing more can be said, not even when stdout is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # the one place where nothing may pass
        return _complain(error)
    return code if isinstance(code, int) else 0


def _complain(error: Exception) -> int:
    from hal.errors import DeviceError  # noqa: PLC0415, RUF100

    # Typer brings its own click or uses the installed one: its errors are known by their methods.
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        command = getattr(context, "command_path", "magscope")
        message = " ".join(error.format_message().split())
        return _say(f"{message} (see {command} --help)", BAD_INPUT)
    if type(error).__name__ == "Abort":
        return INTERRUPTED
    if problems := getattr(error, "problems", ()):
        return _say("\n".join(problems), BAD_INPUT)
    if isinstance(error, (BadInputError, DeviceError)):
        return _say(_in_a_line(error), BAD_INPUT)
    if isinstance(error, RunFailedError):
        return _say(_in_a_line(error), FAILED)
    if os.environ.get(DEBUG):
        raise error
    hint = f"(this is a bug; {DEBUG}=1 shows where it happened)"
    return _say(f"{type(error).__name__}: {_in_a_line(error)} {hint}", FAILED)


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _say(text: str, code: int) -> int:
    print(f"magscope: {text}" if "\n" not in text else text, file=sys.stderr)
    return code
