"""What a check is, and how it says that something does not hold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hal.errors import DeviceError

if TYPE_CHECKING:
    from hal.testing.stand import Stand, Subject


class CheckFailedError(AssertionError):
    """A device does not do what the contract says.

    Attributes:
        expected: What should have come.
        got: What came.
        calls: What was asked of the device, and what it answered, up to there.
        is_final: Whether no other check can say anything: the device does not open, or hangs.
    """

    def __init__(
        self, expected: str, got: str, calls: tuple[str, ...] = (), *, is_final: bool = False
    ) -> None:
        super().__init__(expected, got)
        self.expected, self.got, self.calls, self.is_final = expected, got, calls, is_final

    def __str__(self) -> str:
        lines = [f"expected {self.expected}", f"got      {self.got}"]
        return "\n".join(lines + [f"    {call}" for call in self.calls])


class NotApplicableError(Exception):
    """The device has not what the check looks at; the message says what."""


@dataclass(frozen=True)
class Check:
    """One thing that a device must do, written once: for pytest and for `magscope check`.

    Attributes:
        name: What reports and tests call it, in words joined by hyphens.
        says: What must hold, in a line.
        run: Raises `CheckFailedError` if it does not hold, `NotApplicableError` if it means nothing
            for this device.
    """

    name: str
    says: str
    run: "Callable[[Subject], None]"


def check(body: "Callable[[Stand], None]") -> Check:
    """Make a check of a function that is given one device, closed and fresh.

    The function's name is that of the check, and the first line of its docstring what it says.
    """

    def run(subject: "Subject") -> None:
        with subject.stand() as stand:
            body(stand)

    return named(body, run)


def named(body: Callable, run: "Callable[[Subject], None]") -> Check:
    """Return a check with the name and the words of a function."""
    says = (body.__doc__ or "").partition("\n")[0].rstrip(".")
    return Check(body.__name__.replace("_", "-"), says, run)


def expect(holds: bool, expected: str, got: object) -> None:
    """Raise `CheckFailedError` with these words unless it holds."""
    if not holds:
        raise CheckFailedError(expected, got if isinstance(got, str) else repr(got))


def refuses(
    kinds: type[DeviceError] | tuple[type[DeviceError], ...],
    ask: Callable[[], object],
    what: str,
    names: str = "",
) -> None:
    """Expect that a call raises one of these errors.

    Args:
        kinds: The classes that fit.
        ask: Makes the call.
        what: The call in words, for the message.
        names: A word that the error's message must hold, so that people know what it is about.
    """
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    wanted = f"{what} to raise {' or '.join(kind.__name__ for kind in kinds)}"
    try:
        answer = ask()
    except kinds as error:
        expect(names in str(error), f"{wanted}, with {names!r} in its message", f"{error}")
    except (Exception, SystemExit) as error:
        raise CheckFailedError(wanted, f"{type(error).__name__}: {error}") from error
    else:
        raise CheckFailedError(wanted, f"it returned {answer!r}")
