"""A range of seeds in this process, one JSON line for each: `python -m sim.campaign.batch`.

A cluster's tasks run this, and so can a person, to see what was seen there.
"""

import argparse
import json
import os
import signal
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

from sim.campaign.seeds import parse
from sim.campaign.source import SWARM, Source, check_code, plan_source
from sim.campaign.work import Job, Result, carry_out

REFUSED = 2


def main(arguments: list[str] | None = None) -> int:
    """Carry out a job; the exit code is 0 if it was, whatever came of it.

    Args:
        arguments: The words after the module's name; those of this process if None.
    """
    words = _parser().parse_args(arguments)
    try:
        first, end = parse(words.seeds)
        source = _source(words)
        if words.leash:  # a terminal's Ctrl-C is for the campaign alone
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            threading.Thread(target=_leave_with_the_reader, daemon=True).start()
        source.load()
        if words.code:
            check_code(words.code)
    except (OSError, ValueError) as error:
        print(f"sim.campaign.batch: {error}", file=sys.stderr)  # noqa: T201, RUF100
        return REFUSED
    job = Job(first, end, "run", tuple(words.twice), words.within)
    if words.minimise:
        job = replace(job, do="minimise", trace_hash=words.minimise)
    for result in carry_out(source, job):
        # Line by line, so that a reader who has left ends this at once.
        print(_line(result, words.json), flush=True)  # noqa: T201, RUF100
    return 0


def _line(result: Result, as_json: bool) -> str:
    if as_json:
        return json.dumps(asdict(result))
    if result.failed is None:
        return f"seed {result.seed}: {result.trace_hash}, nothing was violated"
    return f"seed {result.seed}: {result.failed.violation}\n{result.failed.story}"


def _source(words: argparse.Namespace) -> Source:
    if words.plan is None:
        return Source(words.runner, words.strategy)
    if words.plan != "-":
        text = Path(words.plan).read_text("utf-8")
    else:
        text = sys.stdin.readline() if words.leash else sys.stdin.read()
    return plan_source(text, words.strategy)


def _leave_with_the_reader() -> None:
    """End this process with whoever holds the other end of stdin, however they ended."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.campaign.batch", description=__doc__)
    parser.add_argument("--seeds", required=True, metavar="A:B")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--swarm", action="store_const", const=SWARM, dest="runner", default=SWARM)
    kind.add_argument("--plan", metavar="FILE", help="a plan or a failure; - is stdin")
    kind.add_argument("--runner", metavar="MODULE:FUNCTION", help="what is run with each seed")
    parser.add_argument("--strategy", default="portfolio")
    parser.add_argument("--twice", type=int, nargs="*", default=[], metavar="SEED")
    parser.add_argument("--within", type=float, default=float("inf"), metavar="SECONDS")
    parser.add_argument("--minimise", metavar="HASH", help="make the failure of seed A small")
    parser.add_argument("--code", metavar="DIGEST", help="refuse to run other code than this")
    parser.add_argument("--leash", action="store_true", help="end when stdin is closed")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
