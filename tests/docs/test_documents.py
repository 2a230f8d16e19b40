"""What documents say of files, commands and steps is so."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECORDS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
SECTIONS = ("**Context.**", "**Decision.**", "**Consequences.**", "**Instead of.**")


def module(path: Path):
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_files_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    missing = [
        link
        for link in links
        if not link.startswith(("http://", "https://")) and not (page.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_in_backticks_exists(page):
    roots = "benchmarks|ci|docs|examples|hal|magscope|sim|tests"
    paths = re.findall(rf"`((?:{roots})/[\w./-]*)`", page.read_text())
    assert not [path for path in paths if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_toml_and_python_block_can_be_read(page):
    for kind, block in re.findall(r"```(toml|python)\n(.*?)```", page.read_text(), re.DOTALL):
        if kind == "toml":
            tomllib.loads(block)
        else:
            compile(block, str(page), "exec")


def test_ci_runs_both_commands_of_the_readme_as_they_stand_there():
    readme = module(ROOT / "ci" / "readme.py")
    commands = readme.commands((ROOT / "README.md").read_text())
    assert set(commands) == {"run", "test"}
    ci = (ROOT / "ci" / "run").read_text()
    for name in commands:
        assert f"readme {name}\n" in ci or f"readme {name};" in ci
        printed = subprocess.run(
            [sys.executable, ROOT / "ci" / "readme.py", name],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert printed.stdout.strip() == commands[name]
    assert "--for 30 --record out" in commands["run"]
    assert "pytest" in commands["test"]


def test_each_command_of_the_readme_is_one_line():
    readme = module(ROOT / "ci" / "readme.py")
    for command in readme.commands((ROOT / "README.md").read_text()).values():
        assert len(command.splitlines()) == 1


@pytest.mark.parametrize("name", ["make_scripts_table.py", "make_drivers_table.py"])
def test_the_tables_that_are_made_from_the_code_are_current(name):
    made = subprocess.run(
        [
            sys.executable, "-c",
            f"import runpy; page = runpy.run_path('docs/guide/{name}');"
            "text = page['PAGE'].read_text(encoding='utf-8');"
            "assert page['renewed'](text) == text",
        ],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, f"run python docs/guide/{name}\n" + made.stderr


def test_the_guide_to_rig_files_names_every_key():
    from magscope.rig.model import known_keys

    page = (ROOT / "docs" / "guide" / "rig-files.md").read_text()
    for section in ("camera", "motors", "beads", "acquisition", "recording", "settings"):
        for key in known_keys((section,)):
            assert f"`{key}`" in page or f'`"{key}"`' in page, key


def test_the_guide_to_drivers_names_every_driver_that_is_registered():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "guide" / "drivers.md").read_text()
    for driver in project["entry-points"]["magscope.drivers"]:
        assert f"`{driver}`" in page


def test_decision_records_are_numbered_without_a_gap():
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_decision_record_is_ten_lines_with_the_fixed_sections(path):
    text = path.read_text()
    assert text.startswith(f"# {path.name[:4]} ")
    places = [text.find(section) for section in SECTIONS]
    assert places == sorted(places)
    assert min(places) > 0
    assert len(text.splitlines()) <= 10


def test_every_benchmark_and_ci_step_that_a_document_names_exists():
    ci = (ROOT / "ci" / "run").read_text()
    for page in PAGES:
        for words in re.findall(r"`ci/run ([\w. ]+)`", page.read_text()):
            for step in words.split():
                assert f"step_{step}()" in ci


def test_the_oldest_dependencies_are_those_of_pyproject():
    oldest = module(ROOT / "ci" / "oldest.py")
    assert oldest.oldest("h5py>=3.11") == "h5py==3.11"
    assert oldest.oldest("magtrack==1.0.*") == "magtrack==1.0.*"
    with pytest.raises(ValueError, match="no oldest version"):
        oldest.oldest("numpy")
