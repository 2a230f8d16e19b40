import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from campaign_tools import HereEngine, carried_out, source
from rich.console import Console

from magscope.cli import main
from sim.campaign.book import Book
from sim.campaign.commands import parse_duration
from sim.campaign.drive import Campaign, Goal
from sim.campaign.summary import summarise, write
from sim.campaign.view import LiveBar, PlainLines


@pytest.fixture
def campaign(monkeypatch, tmp_path):
    """`magscope campaign` with stand-ins, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(name, *words):
        monkeypatch.setattr("sim.campaign.source.SWARM", f"standins:{name}")
        monkeypatch.setattr("sim.campaign.local.LocalEngine", lambda what, jobs: HereEngine(what))
        return main(["campaign", *words])

    return run


def test_the_exit_code_is_0_only_if_nothing_was_violated(campaign, capsys):
    assert campaign("good", "--seeds", "0:30", "--out", "a") == 0
    assert "nothing was violated" in capsys.readouterr().out
    assert campaign("two_failures", "--seeds", "0:30", "--out", "b") == 1
    out = capsys.readouterr().out
    assert "B2" in out
    assert "magscope replay b/failures/B2-" in out
    assert campaign("two_failures", "--seeds", "0:30", "--out", "b") == 1  # though it ran nothing


def test_the_summary_is_printed_as_json_and_is_in_the_directory(campaign, capsys):
    assert campaign("two_failures", "--seeds", "0:40", "--json", "--out", "out") == 1
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert json.loads(Path("out/summary.json").read_text()) == summary
    assert (summary["worlds"], summary["failed_worlds"], summary["ended"]) == (40, 5, "done")
    assert {f["property"] for f in summary["failures"]} == {"B2", "S7"}
    for failure in summary["failures"]:
        assert Path("out", failure["file"]).exists()
    assert "seed 7: S7: the motor moves" in printed.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--seeds", "9"], "--seeds '9': expected A:B"),
        (["--seeds", "9:2"], "no seed is in it"),
        (["--budget", "soon"], "expected a time"),
        (["--budget", "0s"], "expected a time"),
        (["--plan", "none.json"], "--plan none.json: No such file"),
        (["--plan", "plan.json"], "--plan plan.json: version 7"),
        (["--plan", "plan.json", "--swarm"], "choose one"),
        (["--scheduler", "tcp://127.0.0.1:1"], "it needs --engine dask"),
        (["--strategy", "luck"], "--strategy: schedule 'luck'"),
        (["--engine", "cloud"], "cloud"),
        (["--jobs", "0"], "--jobs"),
        (["--out", "plan.json"], "--out plan.json"),
        (["--out", "other"], "is no campaign's"),
    ],
)
def test_a_bad_argument_is_one_clear_line(campaign, capsys, words, what):
    Path("plan.json").write_text('{"version": 7}')
    Path("other").mkdir()
    Path("other/results.jsonl").write_text("mine\n")
    assert campaign("good", *words) == 2
    error = capsys.readouterr().err
    assert what in error
    assert error.count("\n") == 1


def test_a_budget_in_which_nothing_was_run_is_no_success(campaign, monkeypatch, capsys):
    monkeypatch.setattr("sim.campaign.drive.Campaign._left_s", -1.0)
    assert campaign("good", "--budget", "1s") == 1
    assert "no world was run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2.5", 2.5)]
)
def test_a_time_is_written_as_people_do(text, seconds):
    assert parse_duration(text) == seconds


def test_the_junit_file_is_valid_whatever_a_violation_says(tmp_path):
    carried_out(tmp_path, "says_strange_things", 3)
    with Book(tmp_path, source("says_strange_things")) as book:
        campaign = Campaign(book, HereEngine(source("good")), Goal(0, 3))
        write(summarise(book, campaign.progress, "done", frozenset({"a <rare> state"})), tmp_path)
    suite = ET.parse(tmp_path / "junit.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed = suite.find("testcase/failure")
    assert failed.get("message") == "B1: <a> & 'b' \N{REPLACEMENT CHARACTER} \"c\""
    assert "magscope replay" in failed.text
    assert suite.find("system-out").text == "never reached: a <rare> state"


@pytest.mark.parametrize("view", [LiveBar, PlainLines])
def test_each_violation_is_told_once_while_the_campaign_runs(tmp_path, view):
    console = Console(file=io.StringIO(), force_terminal=view is LiveBar, width=120)
    with Book(tmp_path, source("two_failures")) as book, view(console) as show:
        show.every_s = 0.0
        engine = HereEngine(source("two_failures"))
        Campaign(book, engine, Goal(0, 60), show=show).run()
    text = console.file.getvalue()
    assert text.count("S7: the motor moves") == 1
    assert text.count(": B2: frame") == 1
    assert "60/60 seeds" in text
