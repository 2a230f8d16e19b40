"""What production code must not reach for by itself."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEHIND_THE_SEAM = ("runtime", "cli")
FORBIDDEN = [
    r"^\s*(import|from) time\b",
    r"\btime\.(time|sleep|monotonic)\w*\(",
    r"^\s*(import|from) multiprocessing\b",
    r"^\s*(import|from) threading\b",
    r"^\s*(import|from) random\b",
    r"\bnp\.random\b",
    r"^\s*(import|from) (secrets|uuid)\b",
    r"\bdatetime\.(now|utcnow|today)\b",
    r"\bos\.(urandom|fork|kill)\b",
]


def sources(*packages):
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def lines_with(pattern, paths, flags=0):
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line, flags)
    ]


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_time_processes_threads_and_chance_are_asked_of_the_runtime(pattern):
    inside = [
        path
        for path in sources("magscope")
        if path.relative_to(ROOT / "magscope").parts[0] not in BEHIND_THE_SEAM
    ]
    assert len(inside) > 30
    assert lines_with(pattern, inside) == []


def test_production_code_never_asks_whether_it_is_simulated():
    outside_the_cli = [p for p in sources("magscope", "hal") if p.parent.name != "cli"]
    found = lines_with("simul", outside_the_cli, re.IGNORECASE)
    is_documentation = "Whether there is matter behind it"
    others_names = r"\bmicroscope\.simulators(:\w+)?"  # of a package that we did not name
    left = [re.sub(others_names, "", line) for line in found if is_documentation not in line]
    assert [line for line in left if "simul" in line.lower()] == []


def test_hal_imports_neither_magscope_nor_sim():
    assert lines_with(r"^\s*(import|from) (magscope|sim)\b", sources("hal")) == []


def test_magscope_never_imports_sim():
    assert lines_with(r"^\s*(import|from) sim\b", sources("magscope")) == []
