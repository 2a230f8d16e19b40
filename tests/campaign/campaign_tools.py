"""An engine of the test's own process, and campaigns on it."""

from collections import deque

from sim.campaign.book import Book
from sim.campaign.drive import Campaign, Goal
from sim.campaign.engine import Engine, Finished
from sim.campaign.source import Source
from sim.campaign.work import perform


def source(name: str) -> Source:
    return Source(runner=f"standins:{name}")


class HereEngine(Engine):
    """Carries jobs out at once, in this process, and keeps a list of them."""

    def __init__(self, source, slots=2, batch_seeds=10, batch_s=60.0):
        self.slots, self.batch_seeds, self.batch_s = slots, batch_seeds, batch_s
        self.source = source
        self.jobs = []
        self._waiting = deque()

    def submit(self, job):
        assert len(self._waiting) < self.slots
        assert job.within_s < 1000  # no engine waits for ever
        self.jobs.append(job)
        self._waiting.append(job)

    def wait(self, timeout_s):
        job = self._waiting.pop()  # the last one first: order must not matter
        return [Finished(job, tuple(perform(self.source, job)))]

    def close(self):
        self._waiting.clear()


def carried_out(directory, name, end=40, first=0, engine=None, **goal):
    """Return the book of a campaign, closed, and how it ended."""
    with Book(directory, source(name)) as book:
        campaign = Campaign(book, engine or HereEngine(source(name)), Goal(first, end, **goal))
        ending = campaign.run()
    return book, ending
