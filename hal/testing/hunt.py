"""Sequences of calls, drawn by hypothesis, and the smallest of those that go wrong."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from hal.clock import NS_PER_S, MachineClock
from hal.testing.checks import CheckFailedError
from hal.testing.stand import Stand, Subject

# So many sequences of so many calls: where time has to pass, and where it is virtual.
_REAL = (15, 12)
_VIRTUAL = (100, 25)
_REAL_S = 20.0
_SHRINK_S = 10.0


class _EnoughError(BaseException):
    """Ends the search when its time is up; no Exception, which hypothesis would take for one."""


class Hunt:
    """The search for a sequence of calls that goes wrong.

    Args:
        subject: The driver.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.smallest: CheckFailedError | None = None
        self._wall = MachineClock()
        seconds = subject.seconds
        if seconds is None and subject.has_own_time:
            seconds = _REAL_S
        # Without a limit the same sequences are drawn on any computer, however busy.
        self._ends_ns: float = math.inf
        if seconds is not None:
            self._ends_ns = self._wall.monotonic_ns() + seconds * NS_PER_S

    @property
    def is_over(self) -> bool:
        """Whether the time is up and nothing was found."""
        return self.smallest is None and self._wall.monotonic_ns() > self._ends_ns

    def found(self, failed: CheckFailedError) -> None:
        """Keep a failure if it is the smallest so far."""
        now_ns = self._wall.monotonic_ns()
        if self.smallest is None:
            self._ends_ns = now_ns + _SHRINK_S * NS_PER_S
        if self.smallest is None or len(failed.calls) <= len(self.smallest.calls):
            self.smallest = failed
        if now_ns > self._ends_ns:
            raise _EnoughError


class DeviceMachine(RuleBasedStateMachine):
    """A device that is called in any order, beside a model of what it should do.

    A subclass has rules; all that a rule does stands in `with self.step():`.

    Args:
        hunt: The search that it is part of.
    """

    def __init__(self, hunt: Hunt) -> None:
        if hunt.is_over:
            raise _EnoughError
        super().__init__()
        self.hunt = hunt
        self.is_open = False
        self._stack = ExitStack()
        self.stand: Stand = self._stack.enter_context(hunt.subject.stand())

    @contextmanager
    def step(self) -> Iterator[None]:
        """Report what goes wrong inside, and compare the device with the model after it."""
        try:
            yield
            self.agree()
        except (Exception, SystemExit) as error:
            failed = self.stand.failed(error)
            self.hunt.found(failed)
            raise failed from error

    def agree(self) -> None:
        """Expect that the device is as the model is; a subclass adds to it."""
        is_open = self.stand.itself.is_open
        if is_open is not self.is_open:
            raise CheckFailedError(f"is_open to be {self.is_open}", f"{is_open!r}")

    def teardown(self) -> None:
        """Close the device."""
        try:
            self._stack.close()
        except CheckFailedError as failed:
            self.hunt.found(failed)
            raise


def hunt(subject: Subject, make: Callable[[Hunt], DeviceMachine]) -> None:
    """Draw sequences of calls, the same ones each time, until the subject's seconds are over.

    Raises:
        CheckFailedError: A sequence went wrong; it is the smallest that was found.
    """
    search = Hunt(subject)
    examples, steps = _REAL if subject.has_own_time else _VIRTUAL
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(lambda: make(search), settings=chosen)  # type: ignore[arg-type]
    except (Exception, _EnoughError):
        # A real device need not fail twice in the same way: what was seen counts.
        if search.smallest is None and not search.is_over:
            raise
    if search.smallest is not None:
        raise search.smallest
