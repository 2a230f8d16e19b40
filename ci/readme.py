"""Print one of README's commands as it stands there: `python ci/readme.py run|test`.

A command is the code block after the line `<!-- command: NAME -->`. The marks are what keeps the
README and CI from saying different things.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
_BLOCK = re.compile(r"<!-- command: (\w+) -->\n+```\w*\n(.*?)\n```", re.DOTALL)


def commands(text: str) -> dict[str, str]:
    """Return the marked commands of a text, by name."""
    return dict(_BLOCK.findall(text))


def main() -> None:
    """Print the command that is named."""
    known = commands(README.read_text(encoding="utf-8"))
    if len(sys.argv) != 2 or sys.argv[1] not in known:
        sys.exit(f"usage: python ci/readme.py {'|'.join(known)}")
    print(known[sys.argv[1]])


if __name__ == "__main__":
    main()
