"""Runs all checks of a driver and tells what came of each."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hal.clock import NS_PER_S, MachineClock
from hal.errors import DriverError
from hal.testing.catalogue import CHECKS, need_hypothesis
from hal.testing.checks import Check, CheckFailedError, NotApplicableError
from hal.testing.stand import Subject

LONGEST_CALL_S = 30.0


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Attributes:
        name: Of the check.
        says: What must hold.
        state: `passed`, `failed` or `not applicable`.
        reason: Why it is not applicable.
        expected: What should have come.
        got: What came.
        calls: The calls that lead there: the smallest sequence that was found.
        seconds: How long it took.
    """

    name: str
    says: str
    state: Literal["passed", "failed", "not applicable"]
    reason: str = ""
    expected: str = ""
    got: str = ""
    calls: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """What came of all checks of a driver.

    Attributes:
        driver: Its name.
        kind: `camera`, `motor` or `device`.
        clock: `machine` if the device goes on by itself, else `manual`.
        outcomes: In the order in which they were run.
    """

    driver: str
    kind: str
    clock: str
    outcomes: tuple[Outcome, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.count("failed")

    def count(self, state: str) -> int:
        """Return how many checks ended so."""
        return sum(outcome.state == state for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """Return what `magscope check --json` prints."""
        return {
            "driver": self.driver,
            "kind": self.kind,
            "clock": self.clock,
            "ok": self.ok,
            **{s.replace(" ", "_"): self.count(s) for s in ("passed", "failed", "not applicable")},
            "checks": [asdict(outcome) for outcome in self.outcomes],
        }


def run_checks(
    subject: Subject,
    checks: Sequence[Check] | None = None,
    *,
    longest_call_s: float = LONGEST_CALL_S,
) -> Report:
    """Run checks over a driver.

    Args:
        subject: The driver.
        checks: Those to run; all of its kind if None.
        longest_call_s: After so long a call of the device counts as hanging.

    Raises:
        DriverError: The driver refuses its options, or a library that it needs is missing;
            or hypothesis is.
    """
    if checks is None:
        need_hypothesis()
        checks = (*CHECKS[subject.kind], *subject.more)
    outcomes = tuple(_outcomes(subject, checks, longest_call_s))
    clock = "machine" if subject.has_own_time else "manual"
    return Report(subject.name, subject.kind, clock, outcomes)


def _outcomes(subject: Subject, checks: Sequence[Check], longest_s: float) -> Iterator[Outcome]:
    why_not = ""
    for check in checks:
        if excuse := why_not or subject.excused.get(check.name, ""):
            yield Outcome(check.name, check.says, "not applicable", excuse)
            continue
        wall = MachineClock()
        began_ns = wall.monotonic_ns()
        error = _run(check, subject, longest_s)
        seconds = (wall.monotonic_ns() - began_ns) / NS_PER_S
        if error is None:
            yield Outcome(check.name, check.says, "passed", seconds=seconds)
        elif isinstance(error, NotApplicableError):
            yield Outcome(check.name, check.says, "not applicable", str(error), seconds=seconds)
        elif isinstance(error, CheckFailedError):
            if isinstance(error.__cause__, DriverError):
                raise error.__cause__
            if error.is_final:
                why_not = f"not run: {check.name} failed for good"
            yield Outcome(
                check.name,
                check.says,
                "failed",
                "",
                error.expected,
                error.got,
                error.calls,
                seconds,
            )
        else:
            raise error


def _run(check: Check, subject: Subject, longest_s: float) -> BaseException | None:
    """Run a check in a thread of its own, which is left behind if the device hangs."""
    ended: list[BaseException | None] = []
    is_done = threading.Event()

    def work() -> None:
        try:
            check.run(subject)
            ended.append(None)
        except BaseException as error:  # noqa: BLE001, RUF100 - it is raised where it is seen
            ended.append(error)
        finally:
            is_done.set()

    thread = threading.Thread(target=work, name=check.name, daemon=True)
    seen: object = None
    try:
        thread.start()
        while not is_done.wait(longest_s):
            calls = subject.standing[0].calls if subject.standing else None
            now = (id(calls), calls.count if calls else 0)
            if calls and calls.pending and now == seen:
                return CheckFailedError(
                    f"every call to return within {longest_s:g} s",
                    f"{calls.pending} hangs",
                    calls.lines(),
                    is_final=True,
                )
            seen = now
    except KeyboardInterrupt:
        subject.let_go()
        raise
    thread.join()
    return ended[0]
