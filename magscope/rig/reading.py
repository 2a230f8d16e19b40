"""From a TOML file to a checked `RigFile`, or to every reason why not."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hal.registry import make_importable
from magscope.rig.default import completed
from magscope.rig.drivers import driver_problems
from magscope.rig.lines import KeyPath, line_numbers, line_of
from magscope.rig.model import RigFile
from magscope.rig.problems import RigError, problems_of


def load_rig(path: Path | None = None) -> RigFile:
    """Return a rig file, its drivers checked; the default rig if `path` is None.

    The file's directory goes to the end of `sys.path`, so that a driver `module:Class` may stand
    beside the rig file.

    Raises:
        RigError: The file can not be read or used; it lists everything that is wrong.
    """
    return _checked({}, "default rig", {}) if path is None else read_rig(_text_of(path), path)


def read_rig(text: str, path: Path) -> RigFile:
    """Return the rig that a rig file's text describes, as if it stood at `path`.

    Raises:
        RigError: The text can not be used; it lists everything that is wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RigError([_syntax_problem(path, str(error))]) from None
    make_importable(path.absolute().parent)
    return _checked(document, str(path), line_numbers(text), path.absolute())


def _checked(
    document: dict[str, Any], source: str, lines: dict[KeyPath, int], path: Path | None = None
) -> RigFile:
    problems = driver_problems(completed(document))
    try:
        rig = RigFile.model_validate(document, context={"path": path})
    except ValidationError as error:
        problems += problems_of(error)
    if problems:
        problems.sort(key=lambda problem: line_of(problem.key, lines) or 0)
        raise RigError(problem.in_a_line(source, lines) for problem in problems)
    return rig


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        beside = sorted(p.name for p in path.parent.glob("*.toml"))
        near = difflib.get_close_matches(path.name, beside, n=1)
        hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
        raise RigError([f"{path}: there is no such rig file{hint}"]) from None
    except IsADirectoryError:
        raise RigError([f"{path}: is a directory, expected a rig file (TOML)"]) from None
    except UnicodeDecodeError as error:
        raise RigError([f"{path}: is not UTF-8 text (byte {error.start})"]) from None
    except OSError as error:
        raise RigError([f"{path}: can not be read: {error.strerror}"]) from None


def _syntax_problem(path: Path, message: str) -> str:
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message)
    if not match:
        return f"{path}: is not TOML: {message}"
    text, line, column = match.groups()
    return f"{path}:{line}: is not TOML: {text[:1].lower()}{text[1:]} (column {column})"
