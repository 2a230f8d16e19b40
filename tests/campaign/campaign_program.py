"""A campaign of its own process: DIRECTORY RUNNER END."""

import sys
from pathlib import Path

from campaign_tools import source

from sim.campaign import book as book_module
from sim.campaign.book import Book
from sim.campaign.commands import CtrlC
from sim.campaign.drive import Campaign, Goal
from sim.campaign.local import LocalEngine

if __name__ == "__main__":
    book_module.code_fingerprint = lambda: ""
    what = source(sys.argv[2])
    with Book(Path(sys.argv[1]), what) as book, CtrlC() as ctrl_c, LocalEngine(what, 1) as engine:
        engine.batch_seeds = 10
        goal = Goal(0, int(sys.argv[3]))
        campaign = Campaign(book, engine, goal, is_interrupted=ctrl_c.asked)
        print(campaign.run(), flush=True)
        print(book.hash, flush=True)
