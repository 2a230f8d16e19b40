"""What a campaign comes to: as JSON, as JUnit's XML, and as a table."""

import json
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.table import Table
from rich.text import Text

from magscope.cli.words import NONE, count, duration
from sim.campaign.book import Book, Distinct
from sim.campaign.drive import Progress

VERSION = 1
SUMMARY = "summary.json"
JUNIT = "junit.xml"
# XML 1.0 has no way to write any other control character.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def summarise(book: Book, progress: Progress, ending: str, known: frozenset[str]) -> dict[str, Any]:
    """Return the summary of a campaign as plain data.

    Args:
        book: What it knows.
        progress: How far it came in this start.
        ending: How this start ended: `done`, `budget` or `interrupted`.
        known: The rare states that it should have come to.
    """
    goal = progress.goal
    rate = progress.worlds / progress.elapsed_s if progress.elapsed_s else 0.0
    return {
        "version": VERSION,
        "ended": ending,
        "what": " ".join(book.source.words),
        "seeds": {"first": goal.first, "end": goal.end, "run": progress.done},
        "worlds": len(book.done),
        "failed_worlds": book.failed_worlds,
        "run_twice": book.totals["twice"],
        "operations": book.totals["steps"],
        "virtual_s": round(book.totals["virtual_s"], 3),
        "process_s": round(book.totals["wall_s"], 3),
        "elapsed_s": round(progress.elapsed_s, 3),
        "worlds_per_s": round(rate, 1),
        "hash": book.hash,
        "failures": [_failure(distinct) for distinct in progress.distinct],
        "reached": dict(sorted(book.reached.items())),
        "never_reached": sorted(known - book.reached.keys()),
    }


def _failure(distinct: Distinct) -> dict[str, Any]:
    failed = distinct.failed
    before, after = failed.causes or (None, None)
    return {
        "property": failed.property,
        "violation": failed.violation,
        "seed": failed.seed,
        "worlds": distinct.worlds,
        "like_it": distinct.like_it,
        "file": distinct.file,
        "minimised": failed.causes is not None,
        "causes_before": before,
        "causes": after,
        "story": failed.story,
    }


def write(summary: dict[str, Any], directory: Path) -> None:
    """Write `summary.json` and `junit.xml`."""
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (directory / SUMMARY).write_text(text + "\n", encoding="utf-8")
    tree = ET.ElementTree(junit(summary, directory))
    ET.indent(tree)
    tree.write(directory / JUNIT, encoding="utf-8", xml_declaration=True)


def junit(summary: dict[str, Any], directory: Path) -> ET.Element:
    """Return the summary as a JUnit suite: a failed case for each distinct failure."""
    failures = summary["failures"]
    tests = len(failures) + 1
    numbers = {"tests": str(tests), "failures": str(len(failures)), "errors": "0", "skipped": "0"}
    suites = ET.Element("testsuites", numbers)
    suite = ET.SubElement(
        suites, "testsuite", {"name": "campaign", "time": str(summary["elapsed_s"]), **numbers}
    )
    good = f"{summary['worlds'] - summary['failed_worlds']} worlds without a violation"
    _case(suite, good, summary["elapsed_s"])
    for failure in failures:
        case = _case(suite, f"{failure['property']}: {Path(failure['file']).stem}", 0)
        told = ET.SubElement(
            case, "failure", {"type": failure["property"], "message": _xml(failure["violation"])}
        )
        told.text = _xml(f"{failure['story']}\n{replay_command(failure, directory)}")
    if summary["never_reached"]:
        out = ET.SubElement(suite, "system-out")
        out.text = _xml("never reached: " + ", ".join(summary["never_reached"]))
    return suites


def replay_command(failure: dict[str, Any], directory: Path) -> str:
    """Return the line that runs a failure again."""
    if failure["property"] == "simulator":
        return f"see {shlex.quote(str(directory / failure['file']))}"
    return f"magscope replay {shlex.quote(str(directory / failure['file']))}"


def show(summary: dict[str, Any], directory: Path, console: Console) -> None:
    """Print the summary for a person."""
    twice = summary["run_twice"]
    console.print(
        f"{count(summary['worlds'])} worlds, {duration(summary['virtual_s'])} of virtual time, "
        f"{count(summary['operations'])} operations; {summary['worlds_per_s']:.1f} worlds/s; "
        f"{twice} run twice; hash {summary['hash']}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if summary["failures"]:
        console.print(_table(summary["failures"]))
        for failure in summary["failures"]:
            console.print(Text(replay_command(failure, directory)), soft_wrap=True)
    elif summary["worlds"]:
        console.print("nothing was violated", highlight=False)
    if summary["never_reached"]:
        names = ", ".join(summary["never_reached"])
        console.print(Text(f"never reached: {names}"), soft_wrap=True)
    if summary["ended"] == "interrupted":
        console.print("interrupted: the same command goes on from here", highlight=False)
    console.print(Text(f"results are in {directory}"), soft_wrap=True)


def _table(failures: list[dict[str, Any]]) -> Table:
    table = Table(expand=False)
    for name, options in (
        ("property", {}), ("worlds", {"justify": "right"}), ("seed", {"justify": "right"}),
        ("causes", {"justify": "right"}), ("what", {"ratio": 1, "overflow": "fold"}),
    ):  # fmt: skip
        table.add_column(name, **options)
    for failure in failures:
        worlds = str(failure["worlds"])
        if failure["like_it"]:
            worlds += f" (+{failure['like_it']} like it)"
        causes = (
            f"{failure['causes_before']} → {failure['causes']}" if failure["minimised"] else NONE
        )
        first = failure["violation"].strip().partition("\n")[0]
        what = first.removeprefix(failure["property"]).removeprefix(":").strip()
        table.add_row(Text(failure["property"]), worlds, str(failure["seed"]), causes, Text(what))
    return table


def _case(suite: ET.Element, name: str, time_s: float) -> ET.Element:
    attributes = {"classname": "campaign", "name": _xml(name), "time": str(time_s)}
    return ET.SubElement(suite, "testcase", attributes)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
