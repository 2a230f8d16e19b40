"""Print the oldest version of every dependency that pyproject.toml allows, as pip's constraints.

`python ci/oldest.py > oldest.txt`, then `pip install -c oldest.txt …`.
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
EXTRAS = ("test", "genicam", "gigevision", "micromanager", "microscope", "pi-gcs", "zaber")
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)\s*(?P<operator>>=|==)\s*(?P<version>[^\s,;]+)"
)


def oldest(requirement: str) -> str:
    """Return `name==version` for a requirement with a floor, on the same condition if it has one.

    Raises:
        ValueError: The requirement has none.
    """
    match = _REQUIREMENT.match(requirement)
    if match is None:
        raise ValueError(f"{requirement!r} has no oldest version: write it as name>=version")
    _, semicolon, condition = requirement.partition(";")
    return f"{match['name']}=={match['version']}{semicolon}{condition}"


def main() -> None:
    """Print the constraints."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(r for extra in EXTRAS for r in extras[extra])]
    sys.stdout.writelines(f"{oldest(requirement)}\n" for requirement in requirements)


if __name__ == "__main__":
    main()
